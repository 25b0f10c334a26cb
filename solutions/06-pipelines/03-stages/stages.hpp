#pragma once

// 6.3 stages: a pipeline of stages with bounded queues between them, and how long its consumer had nothing to do.
//
// Between two stages Python has `queue.Queue(maxsize)`, with `shutdown()` (Python 3.13); the whole is what
// `torch.utils.data.DataLoader` and `tf.data` are inside.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

/// A step that changes items, each on its own: decoding, augmentation.
template <typename Item>
struct Stage {
  std::function<Item(Item)> work;
  std::size_t workers = 1;  ///< so many calls of `work` run at the same time, and no more
};

struct StagesOptions {
  std::size_t batch = 1;     ///< items in a batch
  std::size_t capacity = 2;  ///< room in each queue
  /// What time it is. Called in the thread that called run_stages().
  std::function<std::chrono::nanoseconds()> clock = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
};

/// What the consumer was given, and how it spent its time.
struct StagesReport {
  std::size_t batches = 0;           ///< calls of `consume`
  std::chrono::nanoseconds busy{0};  ///< inside of `consume`
  std::chrono::nanoseconds idle{0};  ///< waiting: for the first batch, for the next one, to learn that there is none
};

/// A queue whose values are numbered. They leave in order of their numbers, whoever brings his first: the number of the
/// next to leave and the `capacity - 1` after it have a place kept, and who has a later one waits. So no worker that is
/// ahead of the others can fill the queue and keep out the one whom all wait for.
template <typename T>
class Channel {
 public:
  struct Numbered {
    std::size_t number;
    T value;
  };
  struct End {
    std::size_t number;  // that the next value would have had
    std::exception_ptr error;
  };

  explicit Channel(std::size_t capacity) : places_(capacity) {}

  /// Waits for the place of this number. Returns false, and drops the value, if nobody will take it any more.
  bool put(std::size_t number, T value) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return number < taken_ + places_.size() || number >= end_.number || abandoned_; });
    if (number >= end_.number || abandoned_) return false;
    places_[number % places_.size()] = std::move(value);
    ready_.notify_all();
    return true;
  }

  /// Waits for the next value. None after the last, and none if the channel was abandoned.
  std::optional<Numbered> take() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return next_place().has_value() || taken_ == end_.number || abandoned_; });
    if (taken_ == end_.number || abandoned_) return std::nullopt;
    Numbered next{taken_, std::move(*next_place())};
    next_place().reset();
    ++taken_;
    room_.notify_all();
    return next;
  }

  /// By those who put: the value of this number will never come, nor any after it. The earliest end counts.
  void finish(End end) {
    std::lock_guard lock(mutex_);
    if (end.number >= end_.number) return;
    end_ = std::move(end);
    room_.notify_all();
    ready_.notify_all();
  }

  /// By those who take: nobody takes any more.
  void abandon() {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
    room_.notify_all();
    ready_.notify_all();
  }

  /// What finish() said, for those to whom take() gave nothing.
  End end() {
    std::lock_guard lock(mutex_);
    return end_;
  }

 private:
  std::optional<T>& next_place() { return places_[taken_ % places_.size()]; }

  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable ready_;
  std::vector<std::optional<T>> places_;
  std::size_t taken_ = 0;
  End end_{std::numeric_limits<std::size_t>::max(), nullptr};
  bool abandoned_ = false;
};

template <typename Item>
void take_from_source(const std::function<std::optional<Item>()>& source, Channel<Item>& out) {
  for (std::size_t number = 0;; ++number) {
    std::optional<Item> item;
    try {
      item = source();
    } catch (...) {
      return out.finish({number, std::current_exception()});
    }
    if (!item) return out.finish({number, nullptr});
    if (!out.put(number, std::move(*item))) return;
  }
}

template <typename Item>
void work(const Stage<Item>& stage, Channel<Item>& in, Channel<Item>& out) {
  while (auto item = in.take()) {
    try {
      if (out.put(item->number, stage.work(std::move(item->value)))) continue;
    } catch (...) {
      out.finish({item->number, std::current_exception()});
    }
    return in.abandon();  // so the steps before stop, one after the other
  }
  out.finish(in.end());
}

template <typename Item>
void make_batches(std::size_t size, Channel<Item>& in, Channel<std::vector<Item>>& out) {
  std::size_t number = 0;
  std::vector<Item> batch;
  while (auto item = in.take()) {
    batch.push_back(std::move(item->value));
    if (batch.size() < size) continue;
    if (!out.put(number++, std::exchange(batch, {}))) return in.abandon();
  }
  std::exception_ptr error = in.end().error;
  if (!batch.empty() && !error) out.put(number++, std::move(batch));
  out.finish({number, error});
}

/// Takes items from `source` until that gives none, has each stage in turn work on each of them, puts them together to
/// batches, and calls `consume` with each batch. Items and batches keep the order of the source, however many workers
/// there are and however long each takes. The last batch may have fewer items, but is never empty. Returns when
/// all is done; nothing is left running, whether it returns or throws.
///
/// `consume` is called in the calling thread, everything else in other threads. `source` is called once at a time, and
/// so is the `work` of a stage with one worker; what one call did is seen by the next. Apart from that no step waits
/// for another without need: the source, all workers, the step that makes batches and `consume` run at the same time.
///
/// Steps are connected by queues: one behind the source and one behind each stage, for `capacity` items each, and one
/// for `capacity` batches in front of `consume`. Each step goes on until the queue behind it is full, and then sleeps.
/// What was taken from the source and not given to `consume` is in a queue, or it is one item in the hands of the
/// source, one in those of each worker, or the batch that is just being made. An item that must wait for an
/// earlier one counts: it is in the queue, or in its worker's hands. All that holds to the end, also when the
/// consumer stops or something throws: the source is not run dry for that.
///
/// The consumer stops by returning false. Then it is not called again, and run_stages() returns.
///
/// If `source`, a stage or `consume` throws, run_stages() throws the same, as a simple loop over the source
/// would: the batches that are complete with the items before are consumed, and nothing after them. If several throw,
/// it is the one that comes first in the order of items.
///
/// Items are moved and never copied; moving does not throw. A capacity of 0, a batch of 0 or a stage with 0 workers
/// throws std::invalid_argument, and nothing is called.
template <typename Item>
StagesReport run_stages(std::function<std::optional<Item>()> source, std::vector<Stage<Item>> stages,
                        std::function<bool(std::vector<Item>)> consume, StagesOptions options = {}) {
  bool possible = options.batch > 0 && options.capacity > 0;
  for (const Stage<Item>& stage : stages) possible = possible && stage.workers > 0;
  if (!possible) throw std::invalid_argument("run_stages: a batch, a queue or a stage of size 0");

  struct Pipeline {
    explicit Pipeline(std::size_t capacity) : batches(capacity) {}
    ~Pipeline() {
      // All of them, and before the first join: a step may be asleep at any of the queues.
      for (Channel<Item>& channel : channels) channel.abandon();
      batches.abandon();
      for (std::thread& thread : threads) thread.join();
    }
    std::deque<Channel<Item>> channels;
    Channel<std::vector<Item>> batches;
    std::vector<std::thread> threads;
  } pipeline(options.capacity);

  StagesReport report;
  std::chrono::nanoseconds since = options.clock();
  auto& channels = pipeline.channels;
  auto& batches = pipeline.batches;
  channels.emplace_back(options.capacity);
  pipeline.threads.emplace_back([&source, &out = channels.back()] { take_from_source(source, out); });
  for (const Stage<Item>& stage : stages) {
    Channel<Item>& in = channels.back();
    Channel<Item>& out = channels.emplace_back(options.capacity);
    for (std::size_t i = 0; i < stage.workers; ++i) {
      pipeline.threads.emplace_back([&stage, &in, &out] { work(stage, in, out); });
    }
  }
  pipeline.threads.emplace_back([&, &in = channels.back()] { make_batches(options.batch, in, batches); });

  for (;;) {
    auto batch = batches.take();
    const std::chrono::nanoseconds ready = options.clock();
    report.idle += ready - since;
    if (!batch) {
      if (std::exception_ptr error = batches.end().error) std::rethrow_exception(error);
      return report;
    }
    const bool more = consume(std::move(batch->value));
    since = options.clock();
    report.busy += since - ready;
    ++report.batches;
    if (!more) return report;
  }
}
