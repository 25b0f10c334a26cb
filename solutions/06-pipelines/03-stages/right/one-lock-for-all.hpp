// One mutex and one condition variable for the whole pipeline, and no queues as such: what is between two steps is a
// map from numbers to items. Each change wakes everybody. Less to prove, more to wake.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
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

template <typename Item>
class Pipeline {
 public:
  Pipeline(std::function<std::optional<Item>()> source, std::vector<Stage<Item>> stages, const StagesOptions& options)
      : source_(std::move(source)), stages_(std::move(stages)), options_(options), buffers_(stages_.size() + 1) {}

  ~Pipeline() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  void start() {
    threads_.emplace_back([this] { read(); });
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      for (std::size_t worker = 0; worker < stages_[i].workers; ++worker) {
        threads_.emplace_back([this, i] { work(i); });
      }
    }
    threads_.emplace_back([this] { make_batches(); });
  }

  // Empty at the end.
  std::vector<Item> next_batch() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !batches_.empty() || no_more_batches_; });
    if (batches_.empty()) {
      if (error_) std::rethrow_exception(error_);
      return {};
    }
    std::vector<Item> batch = std::move(batches_.begin()->second);
    batches_.erase(batches_.begin());
    changed_.notify_all();
    return batch;
  }

 private:
  struct Buffer {
    std::map<std::size_t, Item> items;
    std::size_t next = 0;  // to leave
  };

  // No item of this number or a later one is of interest any more.
  bool in_vain(std::size_t number) const { return number >= end_ || stopped_; }

  void end_at(std::size_t number, std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    if (number < end_) {
      end_ = number;
      error_ = std::move(error);
    }
    changed_.notify_all();
  }

  bool put(Buffer& buffer, std::size_t number, Item item) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return number < buffer.next + options_.capacity || in_vain(number); });
    if (in_vain(number)) return false;
    buffer.items.emplace(number, std::move(item));
    changed_.notify_all();
    return true;
  }

  std::optional<std::pair<std::size_t, Item>> take(Buffer& buffer) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return buffer.items.contains(buffer.next) || in_vain(buffer.next); });
    if (in_vain(buffer.next)) return std::nullopt;
    auto node = buffer.items.extract(buffer.next++);
    changed_.notify_all();
    return std::pair(node.key(), std::move(node.mapped()));
  }

  void read() {
    for (std::size_t number = 0;; ++number) {
      std::optional<Item> item;
      try {
        item = source_();
      } catch (...) {
        return end_at(number, std::current_exception());
      }
      if (!item) return end_at(number, nullptr);
      if (!put(buffers_.front(), number, std::move(*item))) return;
    }
  }

  void work(std::size_t i) {
    while (auto item = take(buffers_[i])) {
      try {
        Item done = stages_[i].work(std::move(item->second));
        if (!put(buffers_[i + 1], item->first, std::move(done))) return;
      } catch (...) {
        return end_at(item->first, std::current_exception());
      }
    }
  }

  void make_batches() {
    std::vector<Item> batch;
    std::size_t number = 0;
    auto hand_on = [&] {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return batches_.size() < options_.capacity || stopped_; });
      batches_.emplace(number++, std::exchange(batch, {}));
      changed_.notify_all();
      return !stopped_;
    };
    while (auto item = take(buffers_.back())) {
      batch.push_back(std::move(item->second));
      if (batch.size() == options_.batch && !hand_on()) return;
    }
    std::unique_lock lock(mutex_);
    const bool failed = error_ != nullptr;
    lock.unlock();
    if (!failed && !batch.empty()) hand_on();
    lock.lock();
    no_more_batches_ = true;
    changed_.notify_all();
  }

  const std::function<std::optional<Item>()> source_;
  const std::vector<Stage<Item>> stages_;
  const StagesOptions& options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Buffer> buffers_;
  std::map<std::size_t, std::vector<Item>> batches_;
  std::size_t end_ = std::numeric_limits<std::size_t>::max();
  std::exception_ptr error_;
  bool no_more_batches_ = false;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

template <typename Item>
StagesReport run_stages(std::function<std::optional<Item>()> source, std::vector<Stage<Item>> stages,
                        std::function<bool(std::vector<Item>)> consume, StagesOptions options = {}) {
  if (options.batch == 0 || options.capacity == 0) throw std::invalid_argument("run_stages: a size of 0");
  for (const Stage<Item>& stage : stages) {
    if (stage.workers == 0) throw std::invalid_argument("run_stages: a stage without workers");
  }
  StagesReport report;
  std::chrono::nanoseconds before = options.clock();
  Pipeline<Item> pipeline(std::move(source), std::move(stages), options);
  pipeline.start();
  for (bool more = true; more;) {
    std::vector<Item> batch = pipeline.next_batch();
    const std::chrono::nanoseconds ready = options.clock();
    report.idle += ready - before;
    if (batch.empty()) break;
    more = consume(std::move(batch));
    before = options.clock();
    report.busy += before - ready;
    ++report.batches;
  }
  return report;
}
