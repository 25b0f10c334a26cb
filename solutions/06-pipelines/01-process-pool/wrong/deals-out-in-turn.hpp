// Gives each worker its tasks when they are submitted, one after the other in turn, which is fair and needs no common
// queue: a short task waits behind a long one while another worker has nothing to do.
// caught: plain, ProcessPool.LetsNoTaskWaitForABusyWorker, over-synchronised

#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
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

inline constexpr char returned_mark = 'R';
inline constexpr char threw_mark = 'T';

// What a worker does until the pool closes its end of the socket, or is gone.
inline void serve_tasks(const WorkerContext& context) {
  std::string function, argument;
  while (receive_piece(context.socket, function) && receive_piece(context.socket, argument)) {
    char mark = returned_mark;
    std::string result;
    try {
      result = context.functions.at(function)(argument);
    } catch (const std::exception& exception) {
      mark = threw_mark, result = exception.what();
    } catch (...) {
      mark = threw_mark, result = "unknown exception";
    }
    if (!send_all(context.socket, &mark, 1) || !send_piece(context.socket, result)) return;
  }
}

class ProcessPool {
 public:
  ProcessPool(ForkServer& server, int workers) : server_(server), workers_(workers) {
    if (workers < 1) throw std::invalid_argument("ProcessPool: less than one worker");
    try {
      for (int i = 0; i < workers; ++i) {
        // A thread for each worker: it may block in the middle of a large argument, and nobody waits for it but its
        // task.
        threads_.emplace_back(
            [this, i, worker = server_.spawn(serve_tasks)]() mutable { look_after(i, std::move(worker)); });
      }
    } catch (...) {
      finish();
      throw;
    }
  }

  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;

  ~ProcessPool() { finish(); }

  std::future<std::string> submit(std::string_view function, std::string argument) {
    if (!server_.functions().contains(function)) {
      throw std::invalid_argument("ProcessPool: no function " + std::string(function));
    }
    Task task{std::string(function), std::move(argument), next_++ % workers_, {}};
    std::future<std::string> future = task.promise.get_future();
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (no_workers_left_) {
      fail_all_tasks();
    } else {
      changed_.notify_all();
    }
    return future;
  }

 private:
  struct Task {
    std::string function, argument;
    int worker;
    std::promise<std::string> promise;
  };

  void look_after(int index, Worker worker) {
    while (std::optional<Task> task = next_task(index)) {
      // It may have ended long ago, of something else than a task.
      if (worker.has_ended() && !replace(worker, *task)) return;
      run(worker, *task);
    }
    worker.close_socket();
    worker.wait();
  }

  std::optional<Task> next_task(int index) {
    auto mine = [&](const Task& task) { return task.worker == index; };
    std::deque<Task>::iterator first;
    std::unique_lock lock(mutex_);
    changed_.wait(
        lock, [&] { return (first = std::find_if(tasks_.begin(), tasks_.end(), mine)) != tasks_.end() || closing_; });
    if (first == tasks_.end()) {
      ++retired_;
      return std::nullopt;
    }
    std::optional<Task> task(std::move(*first));
    tasks_.erase(first);
    return task;
  }

  void run(Worker& worker, Task& task) {
    char mark = 0;
    std::string result;
    bool complete = send_piece(worker.socket(), task.function) && send_piece(worker.socket(), task.argument) &&
                    receive_all(worker.socket(), &mark, 1) && receive_piece(worker.socket(), result);
    if (!complete) {
      task.promise.set_exception(std::make_exception_ptr(BrokenWorker(worker.wait())));
    } else if (mark == returned_mark) {
      task.promise.set_value(std::move(result));
    } else {
      task.promise.set_exception(std::make_exception_ptr(TaskError(result)));
    }
  }

  // False if there is no other worker to be had. Then the task is left to those who have one, or nobody.
  bool replace(Worker& worker, Task& task) {
    try {
      worker = server_.spawn(serve_tasks);
      return true;
    } catch (const std::system_error&) {
      std::lock_guard lock(mutex_);
      tasks_.push_front(std::move(task));
      if (++retired_ == workers_) {
        no_workers_left_ = std::current_exception();
        fail_all_tasks();
      }
      changed_.notify_all();
      return false;
    }
  }

  void fail_all_tasks() {
    for (Task& task : tasks_) task.promise.set_exception(no_workers_left_);
    tasks_.clear();
  }

  void finish() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  ForkServer& server_;
  const int workers_;
  std::mutex mutex_;
  std::condition_variable changed_;  // there is a task, or there will be none any more
  std::deque<Task> tasks_;
  bool closing_ = false;
  std::atomic<int> next_ = 0;
  int retired_ = 0;  // threads that take no more tasks
  std::exception_ptr no_workers_left_;
  std::vector<std::thread> threads_;
};
