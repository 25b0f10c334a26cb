// Guards all accounts by one mutex of its own and does not touch theirs: among themselves transfer() and total() are
// safe, but whoever has the mutex of an account relies on it in vain.
// caught: plain, Transfer.GoesOnWhileAnotherOneWaits, wrong answer

#pragma once

#include <mutex>
#include <span>
#include <stdexcept>

struct Account {
  std::mutex mutex;
  long balance = 0;
};

inline std::mutex bank;

inline bool transfer(Account& from, Account& to, long amount) {
  if (amount < 0) throw std::invalid_argument("transfer: the amount is negative");
  std::lock_guard everything(bank);
  if (from.balance < amount) return false;
  from.balance -= amount;
  to.balance += amount;
  return true;
}

inline long total(std::span<Account> accounts) {
  std::lock_guard everything(bank);
  long sum = 0;
  for (const Account& each : accounts) sum += each.balance;
  return sum;
}
