#pragma once

// 4.7 transfer: move money between accounts that many threads use, without a deadlock and without a wrong total.

#include <mutex>
#include <span>

#include "exercise/not_done.hpp"

/// What each account has. You may add members that begin as they should by themselves.
struct Account {
  std::mutex mutex;  // whoever has it, and nobody else, reads or writes `balance`
  long balance = 0;
};

/// Moves `amount` from `from` to `to`, and returns true; if `from` has less than that, does nothing and returns false.
/// A negative amount throws std::invalid_argument. `from` and `to` may be the same account: then nothing changes, and
/// the answer is the same.
///
/// Any thread may call this and total() at any time, on any accounts, in any order: each call ends. No account becomes
/// negative.
///
/// A transfer waits only for the mutexes of its own two accounts: while one waits, those between other accounts go on.
inline bool transfer(Account& from, Account& to, long amount) {
  (void)from, (void)to, (void)amount;  // take this line out once you use them
  interleave::not_done();
}

/// The sum of all balances at one moment: as long as money is only moved among these accounts, it is always the same.
inline long total(std::span<Account> accounts) {
  (void)accounts;  // take this line out once you use it
  interleave::not_done();
}
