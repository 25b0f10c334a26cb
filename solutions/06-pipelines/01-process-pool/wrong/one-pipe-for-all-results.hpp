// Lets all workers write their results into one pipe, with the number of the worker before each, so that one thread
// can read them all: the pipe does not end as long as one worker is left, so nobody learns that another has died.
// caught: plain, ProcessPool.BreaksTheTaskOfAWorkerThatEnds, deadlock

#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <future>
#include <given/fork_server.hpp>  // ForkServer, Worker, WorkerContext, Functions
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

struct TaskError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct BrokenWorker : std::runtime_error {
  explicit BrokenWorker(int status_of_worker)
      : std::runtime_error("the worker ended in the middle of the task"), status(status_of_worker) {}
  int status;  // how the worker's process ended, as waitpid(2) says it
};

// On the socket: a task is the name of the function and the argument, an answer is a mark and the result or the
// message. Before each piece comes its length.

inline bool send_all(int socket, const void* data, std::size_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);  // or a worker's death would be ours, by SIGPIPE
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes += sent, size -= static_cast<std::size_t>(sent);
  }
  return true;
}

inline bool receive_all(int socket, void* data, std::size_t size) {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    ssize_t got = ::recv(socket, bytes, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got, size -= static_cast<std::size_t>(got);
  }
  return true;
}

inline bool send_piece(int socket, std::string_view piece) {
  std::uint64_t size = piece.size();
  return send_all(socket, &size, sizeof(size)) && send_all(socket, piece.data(), piece.size());
}

inline bool receive_piece(int socket, std::string& piece) {
  std::uint64_t size = 0;
  if (!receive_all(socket, &size, sizeof(size))) return false;
  piece.resize(size);
  return receive_all(socket, piece.data(), piece.size());
}

inline bool write_all(int pipe, const char* bytes, std::size_t size) {
  while (size > 0) {
    ssize_t written = ::write(pipe, bytes, size);
    if (written < 0) return false;
    bytes += written, size -= static_cast<std::size_t>(written);
  }
  return true;
}

inline bool write_piece(int pipe, std::string_view piece) {
  std::uint64_t size = piece.size();
  return write_all(pipe, reinterpret_cast<const char*>(&size), sizeof(size)) &&
         write_all(pipe, piece.data(), piece.size());
}

inline bool read_piece(int pipe, std::string& piece) {
  std::uint64_t size = 0;
  auto read_all = [&](char* bytes, std::size_t left) {
    for (ssize_t got; left > 0; bytes += got, left -= static_cast<std::size_t>(got)) {
      if ((got = ::read(pipe, bytes, left)) <= 0) return false;
    }
    return true;
  };
  if (!read_all(reinterpret_cast<char*>(&size), sizeof(size))) return false;
  piece.resize(size);
  return read_all(piece.data(), piece.size());
}

inline constexpr char returned_mark = 'R';
inline constexpr char threw_mark = 'T';

// What a worker does until the pool closes its end of the socket, or is gone.
inline void serve_tasks(const WorkerContext& context) {
  const int results = context.descriptors[0];
  std::string number, function, argument;
  while (receive_piece(context.socket, number) && receive_piece(context.socket, function) &&
         receive_piece(context.socket, argument)) {
    char mark = returned_mark;
    std::string result;
    try {
      result = context.functions.at(function)(argument);
    } catch (const std::exception& exception) {
      mark = threw_mark, result = exception.what();
    } catch (...) {
      mark = threw_mark, result = "unknown exception";
    }
    if (!write_piece(results, number + mark) || !write_piece(results, result)) return;
  }
}

class ProcessPool {
 public:
  ProcessPool(ForkServer& server, int workers) : server_(server) {
    if (workers < 1) throw std::invalid_argument("ProcessPool: less than one worker");
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    results_.reset(ends[0]);
    Descriptor write_end(ends[1]);
    for (int i = 0; i < workers; ++i) members_.push_back({server_.spawn(serve_tasks, std::array{ends[1]}), false, {}});
    reader_ = std::thread([this] { read_results(); });
  }

  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;

  ~ProcessPool() {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] {
        return tasks_.empty() && std::none_of(members_.begin(), members_.end(), [](auto& each) { return each.busy; });
      });
    }
    for (Member& member : members_) member.worker.close_socket();
    for (Member& member : members_) member.worker.wait();
    reader_.join();
  }

  std::future<std::string> submit(std::string_view function, std::string argument) {
    if (!server_.functions().contains(function)) {
      throw std::invalid_argument("ProcessPool: no function " + std::string(function));
    }
    Task task{std::string(function), std::move(argument), {}};
    std::future<std::string> future = task.promise.get_future();
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    hand_out();
    return future;
  }

 private:
  struct Task {
    std::string function, argument;
    std::promise<std::string> promise;
  };
  struct Member {
    Worker worker;
    bool busy;
    std::promise<std::string> promise;
  };

  void hand_out() {
    for (std::size_t i = 0; i < members_.size() && !tasks_.empty(); ++i) {
      Member& member = members_[i];
      if (member.busy) continue;
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      member.busy = true;
      member.promise = std::move(task.promise);
      send_piece(member.worker.socket(), std::to_string(i));
      send_piece(member.worker.socket(), task.function);
      send_piece(member.worker.socket(), task.argument);
    }
  }

  void read_results() {
    std::string head, result;
    while (read_piece(results_.get(), head) && read_piece(results_.get(), result)) {
      const char mark = head.back();
      head.pop_back();
      std::lock_guard lock(mutex_);
      Member& member = members_[std::stoul(head)];
      if (mark == returned_mark) {
        member.promise.set_value(std::move(result));
      } else {
        member.promise.set_exception(std::make_exception_ptr(TaskError(result)));
      }
      member.busy = false;
      hand_out();
      changed_.notify_all();
    }
  }

  ForkServer& server_;
  Descriptor results_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::vector<Member> members_;
  std::thread reader_;
};
