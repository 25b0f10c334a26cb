// std::scoped_lock takes both mutexes in whatever order: it waits for one at a time and gives back what it has when the
// other is taken. The total recurses, so that each lock is kept until the last account has been read.

#pragma once

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
  std::scoped_lock both(from.mutex, to.mutex);
  if (from.balance < amount) return false;
  from.balance -= amount;
  to.balance += amount;
  return true;
}

inline long total(std::span<Account> accounts) {
  if (accounts.empty()) return 0;
  std::lock_guard lock(accounts.front().mutex);  // kept until the rest has been added up
  return accounts.front().balance + total(accounts.subspan(1));
}
