// No queue and no thread that stays: each piece of work is a std::async that first gets the future of the one before.
// An event is a copy of the last future, and an error goes along the chain by itself. Costs a thread for each task.

#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <mutex>
#include <stdexcept>
#include <utility>

class Stream;

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() = default;

  bool query() const {
    std::shared_future<void> work = captured();
    return !work.valid() || work.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  void synchronize() const {
    std::shared_future<void> work = captured();
    if (work.valid()) work.get();
  }

 private:
  friend Stream;

  std::shared_future<void> captured() const {
    std::lock_guard lock(mutex_);
    return captured_;
  }

  mutable std::mutex mutex_;
  std::shared_future<void> captured_;
};

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  ~Stream() {
    if (last_.valid()) last_.wait();
  }

  void enqueue(std::function<void()> task) {
    if (!task) throw std::invalid_argument("Stream::enqueue: an empty function");
    append(std::move(task));
  }

  void record(Event& event) {
    std::shared_future<void> work = last();
    std::lock_guard lock(event.mutex_);
    std::swap(event.captured_, work);
  }

  void wait(const Event& event) {
    std::shared_future<void> work = event.captured();
    if (work.valid()) append([work] { work.get(); });
  }

  bool query() const {
    std::shared_future<void> work = last();
    return !work.valid() || work.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  void synchronize() {
    std::shared_future<void> work = last();
    if (work.valid()) work.get();
  }

 private:
  void append(std::function<void()> task) {
    std::lock_guard lock(mutex_);
    last_ = std::async(std::launch::async, [before = last_, to_run = std::move(task)]() mutable {
              // Both go when this is done, not with the future: otherwise the last future would own all that ever ran.
              auto mine = std::move(to_run);
              auto previous = std::move(before);
              if (previous.valid()) previous.get();
              mine();
            }).share();
  }

  std::shared_future<void> last() const {
    std::lock_guard lock(mutex_);
    return last_;
  }

  mutable std::mutex mutex_;
  std::shared_future<void> last_;
};
