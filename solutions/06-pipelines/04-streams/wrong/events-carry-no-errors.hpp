// Takes an event as a matter of time only: the waiting stream goes on when the other one is done, also if that has
// failed and the input was never written.
// caught: plain, Stream.FailsWithTheEventThatItWaitsFor, wrong answer

#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

class Stream;

class Timeline {
 public:
  void complete(std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    if (error && !error_) {
      error_ = std::move(error);
      failed_ = complete_;
    }
    ++complete_;
    progress_.notify_all();
  }

  bool is_complete(std::size_t number) const {
    std::lock_guard lock(mutex_);
    return complete_ >= number;
  }

  std::exception_ptr wait_for(std::size_t number) const {
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [&] { return complete_ >= number; });
    return failed_ < number ? error_ : nullptr;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable progress_;
  std::size_t complete_ = 0;
  std::size_t failed_ = std::numeric_limits<std::size_t>::max();
  std::exception_ptr error_;
};

struct Point {
  bool is_complete() const { return !timeline || timeline->is_complete(number); }
  std::exception_ptr wait() const { return timeline ? timeline->wait_for(number) : nullptr; }

  std::shared_ptr<const Timeline> timeline;
  std::size_t number = 0;
};

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() = default;

  bool query() const { return captured().is_complete(); }

  void synchronize() const {
    if (std::exception_ptr error = captured().wait()) std::rethrow_exception(error);
  }

 private:
  friend Stream;

  Point captured() const {
    std::lock_guard lock(mutex_);
    return captured_;
  }

  mutable std::mutex mutex_;
  Point captured_;
};

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  ~Stream() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
      enqueued_.notify_one();
    }
    thread_.join();
  }

  void enqueue(std::function<void()> task) {
    if (!task) throw std::invalid_argument("Stream::enqueue: an empty function");
    append(Work{std::move(task), {}});
  }

  void record(Event& event) {
    Point now = end();
    std::lock_guard lock(event.mutex_);
    std::swap(event.captured_, now);
  }

  void wait(const Event& event) { append(Work{nullptr, event.captured()}); }

  bool query() const { return end().is_complete(); }

  void synchronize() {
    if (std::exception_ptr error = end().wait()) std::rethrow_exception(error);
  }

 private:
  struct Work {
    std::function<void()> task;
    Point point;

    std::exception_ptr run() const {
      if (!task) {
        point.wait();
        return nullptr;
      }
      try {
        task();
        return nullptr;
      } catch (...) {
        return std::current_exception();
      }
    }
  };

  void append(Work work) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    ++enqueued_so_far_;
    enqueued_.notify_one();
  }

  Point end() const {
    std::lock_guard lock(mutex_);
    return {timeline_, enqueued_so_far_};
  }

  void run() {
    for (bool failed = false;;) {
      Work work;
      {
        std::unique_lock lock(mutex_);
        enqueued_.wait(lock, [this] { return !queue_.empty() || over_; });
        if (queue_.empty()) return;
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      std::exception_ptr error = failed ? nullptr : work.run();
      failed = failed || error;
      work = Work();
      timeline_->complete(std::move(error));
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable enqueued_;
  std::deque<Work> queue_;
  std::size_t enqueued_so_far_ = 0;
  bool over_ = false;
  const std::shared_ptr<Timeline> timeline_ = std::make_shared<Timeline>();
  std::thread thread_{[this] { run(); }};
};
