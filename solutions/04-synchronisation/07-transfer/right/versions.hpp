// Each account counts its changes, under its mutex. The total takes one mutex at a time, and is that of one moment if a
// second pass finds no account changed since the first: every account was then the same all through the time between.

#pragma once

#include <functional>
#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

struct Account {
  std::mutex mutex;
  long balance = 0;
  long version = 0;
};

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
  ++from.version;
  ++to.version;
  return true;
}

inline long total(std::span<Account> accounts) {
  std::vector<long> before, now;
  while (true) {
    long sum = 0;
    now.clear();
    for (Account& each : accounts) {
      std::lock_guard lock(each.mutex);
      sum += each.balance;
      now.push_back(each.version);
    }
    if (now == before) return sum;
    before = now;
  }
}
