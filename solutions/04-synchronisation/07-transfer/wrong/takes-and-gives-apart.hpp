// Takes from the one under its lock, then gives to the other under the other lock: never two locks, so never a
// deadlock, and for a moment the money is nowhere.
// caught: explore, Transfer.TotalIsThatOfOneMoment, wrong answer

#pragma once

#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

struct account {
  std::mutex mutex;
  long balance = 0;
};

inline bool transfer(account& from, account& to, long amount) {
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

inline long total(std::span<account> accounts) {
  std::vector<std::unique_lock<std::mutex>> locks;  // all of them, before the first balance is read
  for (account& each : accounts) locks.emplace_back(each.mutex);
  long sum = 0;
  for (const account& each : accounts) sum += each.balance;
  return sum;
}
