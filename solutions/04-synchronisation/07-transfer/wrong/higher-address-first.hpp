// Locks in order of address, the higher one first, which is as good an order as any: but total() goes through its
// accounts from the lower to the higher, and one order is an order only if all keep it.
// caught: explore, Transfer.TotalIsThatOfOneMoment, deadlock

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
  bool from_first = std::less<Account*>{}(&to, &from);
  std::lock_guard first(from_first ? from.mutex : to.mutex);
  std::lock_guard second(from_first ? to.mutex : from.mutex);
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
