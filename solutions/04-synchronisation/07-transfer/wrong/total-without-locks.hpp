// Adds up without any lock, for a report need not be exact to the second: but this is not an old number, it is a read
// beside a write.
// caught: tsan, Transfer.TotalIsThatOfOneMoment, data race

#pragma once

#include <functional>
#include <mutex>
#include <span>
#include <stdexcept>

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
  // One order for everybody, whoever gives and whoever takes. Addresses of different objects are ordered by std::less.
  bool from_first = std::less<Account*>{}(&from, &to);
  std::lock_guard first(from_first ? from.mutex : to.mutex);
  std::lock_guard second(from_first ? to.mutex : from.mutex);
  if (from.balance < amount) return false;
  from.balance -= amount;
  to.balance += amount;
  return true;
}

inline long total(std::span<Account> accounts) {
  long sum = 0;
  for (const Account& each : accounts) sum += each.balance;
  return sum;
}
