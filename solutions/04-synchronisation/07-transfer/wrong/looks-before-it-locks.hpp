// Refuses before it locks anything, to save two locks when there is not enough: that look is a read beside the writes
// of others, and what it has seen may be gone when the locks are there.
// caught: tsan, Transfer.EndsWhenTwoMoveInOppositeDirections, data race

#pragma once

#include <functional>
#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

struct Account {
  std::mutex mutex;
  long balance = 0;
};

inline bool transfer(Account& from, Account& to, long amount) {
  if (amount < 0) throw std::invalid_argument("transfer: the amount is negative");
  if (&from == &to) {
    std::lock_guard lock(from.mutex);
    return from.balance >= amount;
  }
  if (from.balance < amount) return false;
  // One order for everybody, whoever gives and whoever takes. Addresses of different objects are ordered by std::less.
  bool from_first = std::less<Account*>{}(&from, &to);
  std::lock_guard first(from_first ? from.mutex : to.mutex);
  std::lock_guard second(from_first ? to.mutex : from.mutex);
  from.balance -= amount;
  to.balance += amount;
  return true;
}

inline long total(std::span<Account> accounts) {
  std::vector<std::unique_lock<std::mutex>> locks;  // all of them, before the first balance is read
  for (Account& each : accounts) locks.emplace_back(each.mutex);
  long sum = 0;
  for (const Account& each : accounts) sum += each.balance;
  return sum;
}
