// Takes from the one under its lock, then gives to the other under the other lock: never two locks, so never a
// deadlock, and for a moment the money is nowhere.
// caught: explore, Transfer.TotalIsThatOfOneMoment, wrong answer

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
  {
    std::lock_guard lock(from.mutex);
    if (from.balance < amount) return false;
    from.balance -= amount;
  }
  std::lock_guard lock(to.mutex);
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
