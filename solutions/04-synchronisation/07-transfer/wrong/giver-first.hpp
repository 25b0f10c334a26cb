// Locks the one that gives and then the one that takes, always in this order, so it seems: but who gives is the
// caller's choice, and two who pay each other lock the same two mutexes the other way round.
// caught: explore, Transfer.EndsWhenTwoMoveInOppositeDirections, deadlock

#pragma once

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
  std::lock_guard first(from.mutex);
  std::lock_guard second(to.mutex);
  if (from.balance < amount) return false;
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
