#pragma once

// 6.4 streams: CUDA's streams and events, on the processor's own threads.
//
// PyTorch's `torch.cuda.Stream` and `torch.cuda.Event` are the same thing once more. The names of CUDA's runtime stand
// at each function; where this differs from CUDA, it says so.

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

/// How far a stream has come. Work is numbered as it is enqueued, so a number stands for all work up to there: that is
/// all that an event has to know, and all that is compared. Those who wait own it too, so it may outlive its stream.
class Timeline {
 public:
  /// Work is complete up to here.
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

  /// Waits until so much work is complete, and returns its error.
  std::exception_ptr wait_for(std::size_t number) const {
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [&] { return complete_ >= number; });
    return failed_ < number ? error_ : nullptr;
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable progress_;
  std::size_t complete_ = 0;
  std::size_t failed_ = std::numeric_limits<std::size_t>::max();  // the number of the work that failed
  std::exception_ptr error_;
};

/// A place on a timeline; without one, the beginning of all.
struct Point {
  bool is_complete() const { return !timeline || timeline->is_complete(number); }
  std::exception_ptr wait() const { return timeline ? timeline->wait_for(number) : nullptr; }

  std::shared_ptr<const Timeline> timeline;
  std::size_t number = 0;
};

/// A point in the work of a stream (cudaEvent_t): all that had been enqueued there when record() was called.
///
/// A new event has captured no work, and counts as complete. Recording it again, in the same stream or in another,
/// replaces what it has captured. Who waits already goes on waiting for what it had captured when he began.
///
/// An event may be destroyed at any time, also while a stream waits for what it has captured, and may outlive the
/// streams. All functions may be called from any thread at any time.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() = default;

  /// Whether all captured work is complete; does not wait. (cudaEventQuery)
  bool query() const { return captured().is_complete(); }

  /// Waits until the work is complete that is captured now, and then throws the error of that work, if there was one.
  /// (cudaEventSynchronize)
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

/// Tasks that run one after the other, in the order in which they were enqueued, each after the one before is complete
/// (cudaStream_t, made with cudaStreamNonBlocking). What a task did is seen by the next one. Streams run at the same
/// time as each other, as many as there are, unless an event orders them.
///
/// No function but synchronize() and the destructor waits for a task. Whoever waits sleeps, the streams too.
///
/// A task is complete when it has run and its function object is destroyed.
///
/// If a task throws, the stream has failed: no later task of it runs, each is dropped instead and so complete.
/// The error is *sticky*: whoever synchronizes with work that the failure is part of gets the exception, each time.
/// Work before it is not affected. (In CUDA, a kernel's invalid access makes every later call of the process fail.)
/// Here it goes where the data would have gone: a stream that waits for an event whose captured work has failed fails
/// there with the same exception.
///
/// All functions may be called from any thread at any time; synchronize() and the destructor not from a task of the
/// same stream.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Waits until all work is complete. Throws nothing: who wants to know of errors synchronizes first.
  /// (cudaStreamDestroy returns at once and lets the work run on; but what the tasks refer to often goes out of scope
  /// together with the stream.)
  ~Stream() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
      enqueued_.notify_one();
    }
    thread_.join();
  }

  /// Appends a task. (a kernel launch, cudaMemcpyAsync, cudaLaunchHostFunc) An empty function throws
  /// std::invalid_argument, and nothing is enqueued.
  void enqueue(std::function<void()> task) {
    if (!task) throw std::invalid_argument("Stream::enqueue: an empty function");
    append(Work{std::move(task), {}});
  }

  /// Has the event capture all work that has been enqueued here so far. (cudaEventRecord)
  void record(Event& event) {
    Point now = end();
    std::lock_guard lock(event.mutex_);
    std::swap(event.captured_, now);
  }

  /// All work that is enqueued here from now on runs after the work is complete that the event has captured now. If it
  /// is recorded later, once more or for the first time, that changes nothing here: to wait for an event that has
  /// never been recorded is to wait for nothing. (cudaStreamWaitEvent)
  void wait(const Event& event) { append(Work{nullptr, event.captured()}); }

  /// Whether all work that was enqueued here is complete; does not wait. (cudaStreamQuery)
  bool query() const { return end().is_complete(); }

  /// Waits until all work is complete that was enqueued here before the call, and then throws the stream's error, if
  /// that work has one. What others enqueue meanwhile is not waited for. (cudaStreamSynchronize)
  void synchronize() {
    if (std::exception_ptr error = end().wait()) std::rethrow_exception(error);
  }

 private:
  // Either a task, or a point to wait for.
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
      work = Work();  // before it counts as complete: a task may own what others wait to have back
      timeline_->complete(std::move(error));
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable enqueued_;
  std::deque<Work> queue_;
  std::size_t enqueued_so_far_ = 0;
  bool over_ = false;
  const std::shared_ptr<Timeline> timeline_ = std::make_shared<Timeline>();
  std::thread thread_{[this] { run(); }};  // the last member: it uses all others
};
