// Recurses through the accounts and stops at the last one: which is fine for every list but the one that has none.
// caught: plain, Transfer.TotalAddsUp, crash

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
  if (accounts.size() == 1) return std::lock_guard(accounts.front().mutex), accounts.front().balance;
  std::lock_guard lock(accounts.front().mutex);  // kept until the rest has been added up
  return accounts.front().balance + total(accounts.subspan(1));
}
