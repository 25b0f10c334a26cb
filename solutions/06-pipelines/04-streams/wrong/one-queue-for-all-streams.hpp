// Has one thread that runs the work of all streams in the order in which it came: each stream is in order, and none
// runs beside another.
// caught: plain, Stream.RunsAtTheSameTimeAsAllOthers, over-synchronised

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

class Device {
 public:
  static std::shared_ptr<Device> the_only() {
    static std::mutex mutex;
    static std::weak_ptr<Device> device;
    std::lock_guard lock(mutex);
    std::shared_ptr<Device> here = device.lock();
    if (!here) device = here = std::make_shared<Device>();
    return here;
  }

  Device() : thread_([this] { run(); }) {}

  ~Device() {
    append(nullptr);
    thread_.join();
  }

  void append(std::function<void()> operation) {
    std::lock_guard lock(mutex_);
    operations_.push_back(std::move(operation));
    appended_.notify_one();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      appended_.wait(lock, [this] { return !operations_.empty(); });
      std::function<void()> operation = std::move(operations_.front());
      operations_.pop_front();
      lock.unlock();
      if (!operation) return;
      operation();
    }
  }

  std::mutex mutex_;
  std::condition_variable appended_;
  std::deque<std::function<void()>> operations_;
  std::thread thread_;
};

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  ~Stream() { end().wait(); }

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
      if (!task) return point.wait();
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
    ++enqueued_so_far_;
    device_->append([this, timeline = timeline_, work = std::make_shared<Work>(std::move(work))] {
      std::exception_ptr error = failed_ ? nullptr : work->run();
      failed_ = failed_ || error;
      *work = Work();
      timeline->complete(std::move(error));
    });
  }

  Point end() const {
    std::lock_guard lock(mutex_);
    return {timeline_, enqueued_so_far_};
  }

  mutable std::mutex mutex_;
  const std::shared_ptr<Device> device_ = Device::the_only();
  bool failed_ = false;
  std::size_t enqueued_so_far_ = 0;
  const std::shared_ptr<Timeline> timeline_ = std::make_shared<Timeline>();
};
