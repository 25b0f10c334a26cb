#pragma once

// 6.4 streams: CUDA's streams and events, on the processor's own threads.
//
// PyTorch's `torch.cuda.Stream` and `torch.cuda.Event` are the same thing once more. The names of CUDA's runtime stand
// at each function; where this differs from CUDA, it says so.

#include <functional>

#include "exercise/not_done.hpp"

class Stream;

/// A point in the work of a stream (cudaEvent_t): all that had been enqueued there when record() was called.
///
/// A new event has captured no work, and counts as complete. Recording it again, in the same stream or in another,
/// replaces what it has captured. Who waits already goes on waiting for what it had captured when he began.
///
/// An event may be destroyed at any time, also while a stream waits for what it has captured, and may outlive the
/// streams. All functions may be called from any thread at any time.
class Event {
 public:
  Event() { interleave::not_done(); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() = default;

  /// Whether all captured work is complete; does not wait. (cudaEventQuery)
  bool query() const { interleave::not_done(); }

  /// Waits until the work is complete that is captured now, and then throws the error of that work, if there was one.
  /// (cudaEventSynchronize)
  void synchronize() const { interleave::not_done(); }
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
  Stream() { interleave::not_done(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Waits until all work is complete. Throws nothing: who wants to know of errors synchronizes first.
  /// (cudaStreamDestroy returns at once and lets the work run on; but what the tasks refer to often goes out of scope
  /// together with the stream.)
  ~Stream() = default;

  /// Appends a task. (a kernel launch, cudaMemcpyAsync, cudaLaunchHostFunc) An empty function throws
  /// std::invalid_argument, and nothing is enqueued.
  void enqueue(std::function<void()> task) {
    (void)task;  // take this line out once you use it
    interleave::not_done();
  }

  /// Has the event capture all work that has been enqueued here so far. (cudaEventRecord)
  void record(Event& event) {
    (void)event;  // take this line out once you use it
    interleave::not_done();
  }

  /// All work that is enqueued here from now on runs after the work is complete that the event has captured now. If it
  /// is recorded later, once more or for the first time, that changes nothing here: to wait for an event that has
  /// never been recorded is to wait for nothing. (cudaStreamWaitEvent)
  void wait(const Event& event) {
    (void)event;  // take this line out once you use it
    interleave::not_done();
  }

  /// Whether all work that was enqueued here is complete; does not wait. (cudaStreamQuery)
  bool query() const { interleave::not_done(); }

  /// Waits until all work is complete that was enqueued here before the call, and then throws the stream's error, if
  /// that work has one. What others enqueue meanwhile is not waited for. (cudaStreamSynchronize)
  void synchronize() { interleave::not_done(); }
};
