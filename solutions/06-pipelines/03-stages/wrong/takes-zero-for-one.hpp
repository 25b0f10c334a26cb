// Makes 1 of a size of 0: it is kind to the caller, who never learns that his 0, often the result of a
// miscalculation, means nothing.
// caught: plain, RunStages.RefusesSizesOfZero, wrong answer

#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

template <typename Item>
struct Stage {
  std::function<Item(Item)> work;
  std::size_t workers = 1;
};

struct StagesOptions {
  std::size_t batch = 1;
  std::size_t capacity = 2;
  std::function<std::chrono::nanoseconds()> clock = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
};

struct StagesReport {
  std::size_t batches = 0;
  std::chrono::nanoseconds busy{0};
  std::chrono::nanoseconds idle{0};
};

template <typename T>
class Channel {
 public:
  struct Numbered {
    std::size_t number;
    T value;
  };
  struct End {
    std::size_t number;
    std::exception_ptr error;
  };

  explicit Channel(std::size_t capacity) : places_(capacity) {}

  bool put(std::size_t number, T value) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return number < taken_ + places_.size() || number >= end_.number || abandoned_; });
    if (number >= end_.number || abandoned_) return false;
    places_[number % places_.size()] = std::move(value);
    ready_.notify_all();
    return true;
  }

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

  void finish(End end) {
    std::lock_guard lock(mutex_);
    if (end.number >= end_.number) return;
    end_ = std::move(end);
    room_.notify_all();
    ready_.notify_all();
  }

  void abandon() {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
    room_.notify_all();
    ready_.notify_all();
  }

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
    return in.abandon();
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

template <typename Item>
StagesReport run_stages(std::function<std::optional<Item>()> source, std::vector<Stage<Item>> stages,
                        std::function<bool(std::vector<Item>)> consume, StagesOptions options = {}) {
  options.batch = std::max<std::size_t>(options.batch, 1);
  options.capacity = std::max<std::size_t>(options.capacity, 1);
  for (Stage<Item>& stage : stages) stage.workers = std::max<std::size_t>(stage.workers, 1);

  struct Pipeline {
    explicit Pipeline(std::size_t capacity) : batches(capacity) {}
    ~Pipeline() {
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
