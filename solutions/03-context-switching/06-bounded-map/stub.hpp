#pragma once

// 3.6 bounded-map: apply a function to any number of items on a bounded number of threads, also where the function does
// the same again.
//
// Python's `list(executor.map(function, items))` of a `concurrent.futures.ThreadPoolExecutor`, but a function may call
// map() itself, which there ends in a deadlock as soon as every worker waits.

#include <cstddef>
#include <type_traits>
#include <vector>

#include "exercise/not_done.hpp"

/// A fixed number of threads, the workers, that call functions for the items of any number of calls of map().
///
/// No item waits while a worker has none. Everybody who waits here sleeps until there is something to do: nobody spins.
///
/// map() may be called from any thread at any time, also from a function that a worker is calling for map(), to any
/// depth. Nobody destroys the BoundedMap while a call is under way.
class BoundedMap {
 public:
  /// No workers throws std::invalid_argument.
  explicit BoundedMap(std::size_t workers) {
    (void)workers;  // take this line out once you use it
    interleave::not_done();
  }

  BoundedMap(const BoundedMap&) = delete;
  BoundedMap& operator=(const BoundedMap&) = delete;

  /// Ends the workers.
  ~BoundedMap() = default;

  /// Calls `function(item)` once for each item, in the workers alone: in no other thread, and so never in more at a time
  /// than there are workers. Returns the results in the order of the items, once all are there. `function` returns a
  /// value, and may be called by several workers at the same time.
  ///
  /// If some of the calls throw, the others are made all the same, and when all have ended, the exception of the first
  /// of those items is thrown: first in the order of the items, not in time.
  ///
  /// In a worker, a nested call does not wait for a free worker, for there may be none: the worker calls `function`
  /// itself for those items of the nested call that no other worker has begun. Only for those. If it took others, whose
  /// functions might call map() again, its stack would grow with the number of items.
  template <typename Item, typename Function>
  auto map(const std::vector<Item>& items, Function function)
      -> std::vector<std::invoke_result_t<Function&, const Item&>> {
    (void)items, (void)function;  // take this line out once you use them
    interleave::not_done();
  }
};
