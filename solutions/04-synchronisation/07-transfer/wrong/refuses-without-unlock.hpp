// Locks by hand and returns from the middle when there is not enough: every transfer that succeeds unlocks, and the
// first that is refused locks both accounts for ever.
// caught: plain, Transfer.MovesWhatThereIs, deadlock

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
  Account& first = std::less<Account*>{}(&from, &to) ? from : to;
  Account& second = &first == &from ? to : from;
  first.mutex.lock();
  second.mutex.lock();
  if (from.balance < amount) return false;
  from.balance -= amount;
  to.balance += amount;
  second.mutex.unlock();
  first.mutex.unlock();
  return true;
}

inline long total(std::span<Account> accounts) {
  std::vector<std::unique_lock<std::mutex>> locks;  // all of them, before the first balance is read
  for (Account& each : accounts) locks.emplace_back(each.mutex);
  long sum = 0;
  for (const Account& each : accounts) sum += each.balance;
  return sum;
}
