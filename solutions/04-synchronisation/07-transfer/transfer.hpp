#pragma once

// 4.7 transfer: move money between accounts that many threads use, without a deadlock and without a wrong total.

#include <functional>
#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

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
  if (amount < 0) throw std::invalid_argument("transfer: the amount is negative");
  if (&from == &to) {
    std::lock_guard lock(from.mutex);
    return from.balance >= amount;
  }
  // One order for everybody, whoever gives and whoever takes. Addresses of different objects are ordered by std::less.
  bool from_first = std::less<Account*>{}(&from, &to);
  std::lock_guard first(from_first ? from.mutex : to.mutex);
  std::lock_guard second(from_first ? to.mutex : from.mutex);
  if (from.balance < amount) return false;
  from.balance -= amount;
  to.balance += amount;
  return true;
}

/// The sum of all balances at one moment: as long as money is only moved among these accounts, it is always the same.
inline long total(std::span<Account> accounts) {
  // In order of address as well: that is the order of a span.
  std::vector<std::unique_lock<std::mutex>> locks;  // all of them, before the first balance is read
  for (Account& each : accounts) locks.emplace_back(each.mutex);
  long sum = 0;
  for (const Account& each : accounts) sum += each.balance;
  return sum;
}
