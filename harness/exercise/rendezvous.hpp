#pragma once

#include <string>
#include <string_view>

#include "exercise/failure_kind.hpp"

namespace interleave {

/// A place where `parties` threads or processes must all be at the same time: how a test shows concurrency without a
/// clock. Each party calls arrive_and_wait(), which returns once all have come.
///
/// If they never come together, everybody ends up blocked; the supervisor sees that nothing can run any more and
/// reports `promise` as broken, with the kind given (over-synchronised unless said otherwise). So a solution that runs
/// its workers one after the other fails at once and every time, and a slow machine never fails a good one.
///
/// Lives in memory that fork(2) shares, so make it before the children. One use each. Safe from any thread and
/// process; a party that dies before it arrives counts as one that never comes.
class Rendezvous {
 public:
  /// `promise` says what the specification promises, as "4 workers alive at the same time".
  Rendezvous(int parties, std::string_view promise, FailureKind kind = FailureKind::over_synchronised);
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;
  ~Rendezvous();

  void arrive_and_wait();

  /// How many have come so far.
  int arrived() const;

 private:
  struct Memory;
  Memory* memory_;
  int parties_;
  std::string promise_;
  FailureKind kind_;
};

}  // namespace interleave
