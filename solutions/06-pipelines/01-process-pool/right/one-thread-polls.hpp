// One thread for all workers, with poll(2) and no call that blocks; a worker is replaced when it ends.

#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

// A message: its size, a mark, and two strings, of which the first has its size before it. Whole messages only are
// taken apart; until then it is bytes that come and go.
struct Message {
  char mark;
  std::string first, second;

  std::string packed() const {
    std::array<std::uint64_t, 2> sizes = {1 + first.size() + second.size(), first.size()};
    std::string bytes(reinterpret_cast<const char*>(sizes.data()), sizeof(sizes));
    return bytes + mark + first + second;
  }

  static std::optional<Message> from(const std::string& bytes) {
    std::array<std::uint64_t, 2> sizes{};
    if (bytes.size() < sizeof(sizes)) return std::nullopt;
    std::memcpy(sizes.data(), bytes.data(), sizeof(sizes));
    if (bytes.size() < sizeof(sizes) + sizes[0]) return std::nullopt;
    std::string_view body = std::string_view(bytes).substr(sizeof(sizes));
    return Message{body[0], std::string(body.substr(1, sizes[1])), std::string(body.substr(1 + sizes[1]))};
  }
};

inline constexpr char task_mark = 'F';
inline constexpr char returned_mark = 'R';
inline constexpr char threw_mark = 'T';

inline void serve_tasks(const WorkerContext& context) {
  std::string bytes;
  std::vector<char> buffer(1 << 18);
  while (true) {
    ssize_t got = ::recv(context.socket, buffer.data(), buffer.size(), 0);
    if (got <= 0) return;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
    std::optional<Message> task = Message::from(bytes);
    if (!task) continue;
    bytes.clear();
    Message answer{returned_mark, "", ""};
    try {
      answer.second = context.functions.find(task->first)->second(task->second);
    } catch (const std::exception& exception) {
      answer.mark = threw_mark, answer.second = exception.what();
    } catch (...) {
      answer.mark = threw_mark, answer.second = "unknown exception";
    }
    std::string out = answer.packed();
    for (std::string_view rest = out; !rest.empty();) {
      ssize_t sent = ::send(context.socket, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
}

class ProcessPool {
 public:
  ProcessPool(ForkServer& server, int workers) : server_(server), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (workers < 1) throw std::invalid_argument("ProcessPool: less than one worker");
    if (wake_.get() < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    try {
      for (int i = 0; i < workers; ++i) members_.push_back(Member{server_.spawn(serve_tasks), std::nullopt, "", 0, ""});
    } catch (...) {
      end_workers();
      throw;
    }
    manager_ = std::thread([this] { manage(); });
  }

  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;

  ~ProcessPool() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake();
    manager_.join();
    end_workers();
  }

  std::future<std::string> submit(std::string_view function, std::string argument) {
    if (server_.functions().find(function) == server_.functions().end()) {
      throw std::invalid_argument("ProcessPool: no function " + std::string(function));
    }
    Task task{Message{task_mark, std::string(function), std::move(argument)}, {}};
    std::future<std::string> future = task.promise.get_future();
    {
      std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    wake();
    return future;
  }

 private:
  struct Task {
    Message message;
    std::promise<std::string> promise;
  };
  struct Member {
    Worker worker;
    std::optional<Task> task;
    std::string out;
    std::size_t sent;
    std::string in;
  };

  void wake() const {
    std::uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(wake_.get(), &one, sizeof(one));
  }

  // One thread for all of them: it never blocks on one, so it must be ready for half of anything.
  void manage() {
    while (hand_out()) {
      std::vector<pollfd> events = {{wake_.get(), POLLIN, 0}};
      for (const Member& member : members_) {
        events.push_back({member.worker.end(), POLLIN, 0});
        // Without a task there is nothing to read, and the end of the socket comes with the end of the worker.
        short wanted = member.sent < member.out.size() ? POLLIN | POLLOUT : POLLIN;
        events.push_back({member.task ? member.worker.socket() : -1, wanted, 0});
      }
      if (::poll(events.data(), events.size(), -1) < 0) continue;
      std::uint64_t count;
      [[maybe_unused]] ssize_t got = ::read(wake_.get(), &count, sizeof(count));
      for (std::size_t i = members_.size(); i-- > 0;) {
        Member& member = members_[i];
        const bool ended = events[1 + 2 * i].revents != 0;
        if (member.task && (ended || events[2 + 2 * i].revents != 0)) go_on_with(member);
        if (ended) replace(i);
      }
    }
  }

  // False if there is nothing to be done any more.
  bool hand_out() {
    std::unique_lock lock(mutex_);
    for (std::size_t i = members_.size(); i-- > 0;) {
      if (members_[i].task || tasks_.empty()) continue;
      if (members_[i].worker.has_ended() && !replace(i)) continue;
      Member& member = members_[i];
      member.task.emplace(std::move(tasks_.front()));
      tasks_.pop_front();
      member.out = member.task->message.packed();
      member.sent = 0;
      member.in.clear();
    }
    if (members_.empty()) {
      for (Task& task : tasks_) task.promise.set_exception(no_workers_left_);
      tasks_.clear();
    }
    bool idle = tasks_.empty();
    for (const Member& member : members_) idle = idle && !member.task;
    return !(closing_ && idle);
  }

  static void go_on_with(Member& member) {
    const int socket = member.worker.socket();
    while (member.sent < member.out.size()) {
      ssize_t done =
          ::send(socket, member.out.data() + member.sent, member.out.size() - member.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (done <= 0) break;
      member.sent += static_cast<std::size_t>(done);
    }
    bool over = false;
    std::vector<char> buffer(1 << 18);
    while (true) {
      ssize_t got = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
      over = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
      if (got <= 0) break;
      member.in.append(buffer.data(), static_cast<std::size_t>(got));
    }
    if (std::optional<Message> answer = Message::from(member.in)) {
      Task task = std::move(*member.task);
      member.task.reset();
      if (answer->mark == returned_mark) {
        task.promise.set_value(std::move(answer->second));
      } else {
        task.promise.set_exception(std::make_exception_ptr(TaskError(answer->second)));
      }
    } else if (over) {
      std::promise<std::string> promise = std::move(member.task->promise);
      member.task.reset();
      promise.set_exception(std::make_exception_ptr(BrokenWorker(member.worker.wait())));
    }
  }

  bool replace(std::size_t index) {
    try {
      members_[index].worker = server_.spawn(serve_tasks);
      return true;
    } catch (const std::system_error&) {
      no_workers_left_ = std::current_exception();
      members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(index));
      return false;
    }
  }

  void end_workers() {
    for (Member& member : members_) {
      member.worker.close_socket();
      server_.kill(member.worker);
    }
    for (Member& member : members_) member.worker.wait();
  }

  ForkServer& server_;
  Descriptor wake_;
  std::mutex mutex_;
  std::deque<Task> tasks_;
  bool closing_ = false;
  // The manager's own.
  std::vector<Member> members_;
  std::exception_ptr no_workers_left_;
  std::thread manager_;
};
