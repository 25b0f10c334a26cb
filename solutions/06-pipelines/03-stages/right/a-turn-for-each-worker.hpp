// Plain queues, first in, first out. A worker that takes an item draws a number, and when it is done it waits until
// that number has its turn to hand on. An error and the end are entries of the queues like all others.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <variant>
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

struct Finish {
  std::exception_ptr error;
};

template <typename T>
class Queue {
 public:
  using Entry = std::variant<T, Finish>;

  explicit Queue(std::size_t capacity) : capacity_(capacity) {}

  bool push(Entry entry) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return entries_.size() < capacity_ || closed_; });
    if (closed_) return false;
    entries_.push_back(std::move(entry));
    changed_.notify_all();
    return true;
  }

  std::optional<Entry> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !entries_.empty() || closed_; });
    if (closed_) return std::nullopt;
    std::optional<Entry> entry(std::move(entries_.front()));
    entries_.pop_front();
    changed_.notify_all();
    return entry;
  }

  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> entries_;
  bool closed_ = false;
};

template <typename Item>
class Workers {
 public:
  Workers(const std::function<Item(Item)>& work, Queue<Item>& in, Queue<Item>& out) : work_(work), in_(in), out_(out) {}

  void run() {
    std::size_t number = 0;
    while (auto entry = draw(number)) {
      if (Item* item = std::get_if<Item>(&*entry)) {
        try {
          *entry = work_(std::move(*item));
        } catch (...) {
          *entry = Finish{std::current_exception()};
        }
      }
      if (!hand_on(number, std::move(*entry))) break;
    }
  }

 private:
  std::optional<typename Queue<Item>::Entry> draw(std::size_t& number) {
    std::lock_guard lock(drawing_);
    auto entry = in_.pop();
    number = drawn_++;
    return entry;
  }

  bool hand_on(std::size_t number, typename Queue<Item>::Entry entry) {
    std::unique_lock lock(mutex_);
    turn_.wait(lock, [&] { return turns_ == number || over_; });
    if (over_) return false;
    const bool last = std::holds_alternative<Finish>(entry);
    lock.unlock();  // nobody else has the turn
    const bool more = out_.push(std::move(entry)) && !last;
    lock.lock();
    ++turns_;
    over_ = !more;
    turn_.notify_all();
    if (over_) in_.close();
    return more;
  }

  const std::function<Item(Item)>& work_;
  Queue<Item>& in_;
  Queue<Item>& out_;
  std::mutex drawing_;
  std::size_t drawn_ = 0;
  std::mutex mutex_;
  std::condition_variable turn_;
  std::size_t turns_ = 0;
  bool over_ = false;
};

template <typename Item>
StagesReport run_stages(std::function<std::optional<Item>()> source, std::vector<Stage<Item>> stages,
                        std::function<bool(std::vector<Item>)> consume, StagesOptions options = {}) {
  if (options.batch == 0) throw std::invalid_argument("run_stages: batches of no items");
  if (options.capacity == 0) throw std::invalid_argument("run_stages: queues without room");
  for (const Stage<Item>& stage : stages) {
    if (stage.workers == 0) throw std::invalid_argument("run_stages: a stage without workers");
  }
  const std::chrono::nanoseconds begin = options.clock();
  std::vector<std::unique_ptr<Queue<Item>>> queues;
  for (std::size_t i = 0; i <= stages.size(); ++i) queues.push_back(std::make_unique<Queue<Item>>(options.capacity));
  Queue<std::vector<Item>> batches(options.capacity);
  std::vector<std::unique_ptr<Workers<Item>>> crews;

  struct Threads : std::vector<std::thread> {
    explicit Threads(std::function<void()> stop_all) : stop(std::move(stop_all)) {}
    ~Threads() {
      stop();
      for (std::thread& thread : *this) thread.join();
    }
    std::function<void()> stop;
  } threads([&] {
    for (auto& queue : queues) queue->close();
    batches.close();
  });

  threads.emplace_back([&] {
    for (bool more = true; more;) {
      typename Queue<Item>::Entry entry = Finish{};
      try {
        if (std::optional<Item> item = source()) entry = std::move(*item);
      } catch (...) {
        entry = Finish{std::current_exception()};
      }
      const bool last = std::holds_alternative<Finish>(entry);
      more = queues.front()->push(std::move(entry)) && !last;
    }
  });
  for (std::size_t i = 0; i < stages.size(); ++i) {
    crews.push_back(std::make_unique<Workers<Item>>(stages[i].work, *queues[i], *queues[i + 1]));
    for (std::size_t worker = 0; worker < stages[i].workers; ++worker) {
      threads.emplace_back([crew = crews.back().get()] { crew->run(); });
    }
  }
  threads.emplace_back([&] {
    Queue<Item>& in = *queues.back();
    std::vector<Item> batch;
    while (auto entry = in.pop()) {
      if (Item* item = std::get_if<Item>(&*entry)) {
        batch.push_back(std::move(*item));
        if (batch.size() == options.batch && !batches.push(std::exchange(batch, {}))) break;
      } else {
        Finish finish = std::get<Finish>(*entry);
        if (!finish.error && !batch.empty()) batches.push(std::move(batch));
        batches.push(std::move(finish));
        return;
      }
    }
    in.close();
  });

  StagesReport report;
  for (bool more = true; more;) {
    auto entry = batches.pop();
    const std::chrono::nanoseconds ready = options.clock();
    if (Finish* finish = std::get_if<Finish>(&*entry)) {
      report.idle = ready - begin - report.busy;
      if (finish->error) std::rethrow_exception(finish->error);
      break;
    }
    more = consume(std::move(std::get<std::vector<Item>>(*entry)));
    const std::chrono::nanoseconds done = options.clock();
    report.busy += done - ready;
    report.idle = done - begin - report.busy;
    ++report.batches;
  }
  return report;
}
