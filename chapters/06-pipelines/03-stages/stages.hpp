#pragma once

// 6.3 stages: a pipeline of stages with bounded queues between them, and how long its consumer had nothing to do.
//
// Between two stages Python has `queue.Queue(maxsize)`, with `shutdown()` (Python 3.13); the whole is what
// `torch.utils.data.DataLoader` and `tf.data` are inside.

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "exercise/not_done.hpp"

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
  (void)source, (void)stages, (void)consume, (void)options;  // take this line out once you use them
  interleave::not_done();
}
