// How far a stream has come is an atomic number, and whoever waits does so on that number (a futex on Linux), with no
// condition variable. The thread's loop takes all that is in the queue at once.

#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

class Stream;

struct Progress {
  std::exception_ptr wait_for(std::uint64_t target) const {
    for (std::uint64_t now; (now = complete.load(std::memory_order_acquire)) < target;) {
      complete.wait(now, std::memory_order_acquire);
    }
    // The failure was written before `complete` got past it.
    return target > failed_at.load(std::memory_order_relaxed) ? error : nullptr;
  }

  std::atomic<std::uint64_t> complete = 0;
  std::atomic<std::uint64_t> failed_at = UINT64_MAX;
  std::exception_ptr error;  // written once, before failed_at
};

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() = default;

  bool query() const {
    auto [progress, target] = captured();
    return !progress || progress->complete.load(std::memory_order_acquire) >= target;
  }

  void synchronize() const {
    auto [progress, target] = captured();
    if (!progress) return;
    if (std::exception_ptr error = progress->wait_for(target)) std::rethrow_exception(error);
  }

 private:
  friend Stream;
  using Target = std::pair<std::shared_ptr<const Progress>, std::uint64_t>;

  Target captured() const {
    std::lock_guard lock(mutex_);
    return captured_;
  }

  mutable std::mutex mutex_;
  Target captured_{nullptr, 0};
};

class Stream {
 public:
  Stream() : thread_([this] { run(); }) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  ~Stream() {
    append(nullptr);  // the end
    thread_.join();
  }

  void enqueue(std::function<void()> task) {
    if (!task) throw std::invalid_argument("Stream::enqueue: an empty function");
    append(std::move(task));
  }

  void record(Event& event) {
    Event::Target target(progress_, appended_.load());
    std::lock_guard lock(event.mutex_);
    event.captured_.swap(target);
  }

  void wait(const Event& event) {
    append([target = event.captured()] {
      std::exception_ptr error = target.first ? target.first->wait_for(target.second) : nullptr;
      if (error) std::rethrow_exception(error);
    });
  }

  bool query() const { return progress_->complete.load(std::memory_order_acquire) >= appended_.load(); }

  void synchronize() {
    if (std::exception_ptr error = progress_->wait_for(appended_.load())) std::rethrow_exception(error);
  }

 private:
  void append(std::function<void()> work) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    ++appended_;
    appended_.notify_one();
  }

  void run() {
    bool failed = false;
    for (std::uint64_t done = 0;;) {
      appended_.wait(done);
      std::vector<std::function<void()>> taken;
      {
        std::lock_guard lock(mutex_);
        taken.swap(queue_);
      }
      for (std::function<void()>& work : taken) {
        if (!work) return;
        try {
          if (!failed) work();
        } catch (...) {
          failed = true;
          progress_->error = std::current_exception();
          progress_->failed_at.store(done, std::memory_order_relaxed);
        }
        work = nullptr;
        progress_->complete.store(++done, std::memory_order_release);
        progress_->complete.notify_all();
      }
    }
  }

  std::mutex mutex_;
  std::vector<std::function<void()>> queue_;
  std::atomic<std::uint64_t> appended_ = 0;
  const std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
  std::thread thread_;
};
