// Each account draws a number when it is made, and the lower number is locked first: an order that does not depend on
// where the account lies. An array makes its elements from the first to the last, so it is the order of a span too.

#pragma once

#include <atomic>
#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

inline std::atomic<long> accounts_made = 0;

struct Account {
  std::mutex mutex;
  long balance = 0;
  long number = accounts_made++;
};

inline bool transfer(Account& from, Account& to, long amount) {
  if (amount < 0) throw std::invalid_argument("transfer: the amount is negative");
  if (&from == &to) {
    std::lock_guard lock(from.mutex);
    return from.balance >= amount;
  }
  bool from_first = from.number < to.number;
  std::unique_lock first(from_first ? from.mutex : to.mutex);
  std::unique_lock second(from_first ? to.mutex : from.mutex);
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
