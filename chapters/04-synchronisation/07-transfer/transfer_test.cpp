#include "exercise/test.hpp"

#include <transfer.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;

// All accounts stand on the heap: ThreadSanitizer is not told when a std::mutex ends, and takes one that later lies at
// the same place of the stack for the same one, with the order of locking that the first had.

namespace {

long balance_of(Account& a) {
  std::lock_guard lock(a.mutex);
  return a.balance;
}

}  // namespace

TEST(Transfer, MovesWhatThereIs) {
  std::vector<Account> accounts(2);
  Account &a = accounts[0], &b = accounts[1];
  a.balance = 10;
  EXPECT_TRUE(transfer(a, b, 7)) << "there are 10";
  EXPECT_FALSE(transfer(a, b, 4)) << "there are 3 left";
  EXPECT_EQ(balance_of(a), 3) << "10, less the 7 of the first transfer; the second must not take anything";
  EXPECT_EQ(balance_of(b), 7) << "the 7 of the first transfer";
  EXPECT_TRUE(transfer(a, b, 3)) << "there are exactly 3";
  EXPECT_THROW(transfer(a, b, -1), std::invalid_argument) << "a negative amount";
  EXPECT_EQ(balance_of(a), 0);
  EXPECT_EQ(balance_of(b), 10);
}

TEST(Transfer, ToTheSameAccountChangesNothing) {
  std::vector<Account> accounts(1);
  Account& a = accounts[0];
  a.balance = 10;
  Onlooker onlooker([](Onlooker& it) {
    if (it.wait_until_asleep().what == Onlooker::busy) {
      it.fail(FailureKind::livelock, "transfer(a, a, 7) keeps the CPU busy and does not end");
    }
  });
  bool enough = transfer(a, a, 7);
  bool too_much = transfer(a, a, 11);
  onlooker.call_is_over();
  EXPECT_TRUE(enough) << "there are 10, and 7 of them were to be moved";
  EXPECT_FALSE(too_much) << "there are 10, and 11 of them were to be moved";
  EXPECT_EQ(balance_of(a), 10) << "the account gave to itself";
}

TEST(Transfer, GoesOnWhileAnotherOneWaits) {
  std::vector<Account> accounts(4);
  Account &a = accounts[0], &b = accounts[1], &c = accounts[2], &d = accounts[3];
  a.balance = c.balance = 10;
  EXPECT_TRUE(transfer(a, b, 1)) << "nobody has any of the mutexes";
  Rendezvous done(2, "transfer(a, b) to end while transfer(c, d) waits for the mutex of c, which the test has");
  std::latch seen(1);
  std::unique_lock held(c.mutex);
  std::thread waiting([&] { transfer(c, d, 1); });
  std::thread witness([&] { done.arrive_and_wait(); });
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();  // or busy: it is inside transfer(c, d) and cannot go on
    seen.count_down();
  });
  seen.wait();
  EXPECT_EQ(c.balance, 10) << "the test has the mutex of c, so transfer(c, d) has to wait";
  transfer(a, b, 1);
  done.arrive_and_wait();
  held.unlock();
  waiting.join(), witness.join();
  onlooker.call_is_over();
}

TEST(Transfer, TotalAddsUp) {
  std::vector<Account> accounts(3);
  for (long i = 0; Account & each : accounts) each.balance = ++i;
  EXPECT_EQ(total(accounts), 6) << "1 + 2 + 3";
  EXPECT_TRUE(transfer(accounts[2], accounts[0], 3)) << "nobody has any of the mutexes any more";
  EXPECT_EQ(total(accounts), 6) << "after a transfer";
  EXPECT_EQ(total({}), 0) << "of no accounts";
}

INTERLEAVING_TEST(Transfer, EndsWhenTwoMoveInOppositeDirections) {
  std::vector<Account> accounts(2);
  Account &a = accounts[0], &b = accounts[1];
  a.balance = b.balance = 10;
  std::thread there([&] { transfer(a, b, 1); });
  std::thread back([&] { transfer(b, a, 2); });
  there.join(), back.join();
  EXPECT_EQ(a.balance, 11) << "10, less 1 and with 2 more";
  EXPECT_EQ(b.balance, 9) << "10, with 1 more and less 2";
}

INTERLEAVING_TEST(Transfer, NeverTakesMoreThanThereIs) {
  std::vector<Account> accounts(2);
  Account &a = accounts[0], &b = accounts[1];
  a.balance = 10;
  std::atomic<int> moved = 0;
  auto move_seven = [&] { moved += transfer(a, b, 7) ? 1 : 0; };
  std::thread one(move_seven), two(move_seven);
  one.join(), two.join();
  EXPECT_EQ(moved, 1) << "transfers of 7 that said true, of two from an account with 10";
  EXPECT_EQ(a.balance, 3);
  EXPECT_EQ(b.balance, 7);
}

INTERLEAVING_TEST(Transfer, TotalIsThatOfOneMoment) {
  std::vector<Account> accounts(2);
  accounts[0].balance = accounts[1].balance = 10;
  std::thread there([&] { transfer(accounts[0], accounts[1], 7); });
  std::thread back([&] { transfer(accounts[1], accounts[0], 5); });
  EXPECT_EQ(total(accounts), 20) << "two accounts with 10 each, and transfers between the two alone";
  there.join(), back.join();
}
