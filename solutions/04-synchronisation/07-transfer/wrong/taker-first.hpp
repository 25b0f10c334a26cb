// Locks the one that takes first, as some advice against deadlocks has it to change the order: any order by the place
// of an argument turns round with the arguments.
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
  std::unique_lock second(to.mutex);
  std::unique_lock first(from.mutex);
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
