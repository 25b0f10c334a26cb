// Takes a lock of the whole bank before those of the accounts, so that no two transfers can get in each other's way:
// they do not, and one that waits for a busy account now keeps all the others waiting.
// caught: plain, Transfer.GoesOnWhileAnotherOneWaits, over-synchronised

#pragma once

#include <mutex>
#include <span>
#include <stdexcept>
#include <vector>

struct Account {
  std::mutex mutex;
  long balance = 0;
};

inline std::mutex bank;

inline bool transfer(Account& from, Account& to, long amount) {
  if (amount < 0) throw std::invalid_argument("transfer: the amount is negative");
  if (&from == &to) {
    std::lock_guard lock(from.mutex);
    return from.balance >= amount;
  }
  std::lock_guard everything(bank);
  std::lock_guard first(from.mutex);
  std::lock_guard second(to.mutex);
  if (from.balance < amount) return false;
  from.balance -= amount;
  to.balance += amount;
  return true;
}

inline long total(std::span<Account> accounts) {
  std::lock_guard everything(bank);
  std::vector<std::unique_lock<std::mutex>> locks;  // all of them, before the first balance is read
  for (Account& each : accounts) locks.emplace_back(each.mutex);
  long sum = 0;
  for (const Account& each : accounts) sum += each.balance;
  return sum;
}
