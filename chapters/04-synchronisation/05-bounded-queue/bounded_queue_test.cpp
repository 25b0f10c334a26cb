#include "exercise/test.hpp"

#include <bounded_queue.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;

namespace {

// An element that counts the copies made of it and calls back when it is destroyed, unless it was moved from.
class Element {
 public:
  explicit Element(int element_value, std::function<void()> at_end = nullptr)
      : value(element_value), at_end_(std::move(at_end)) {}
  Element(const Element& other) : value(other.value), copies(other.copies + 1) {}
  Element(Element&& other) noexcept
      : value(other.value), copies(other.copies), at_end_(std::exchange(other.at_end_, nullptr)) {}
  Element& operator=(Element other) noexcept {
    value = other.value;
    copies = other.copies;
    at_end_.swap(other.at_end_);
    return *this;
  }
  ~Element() {
    if (at_end_) at_end_();
  }

  int value;
  int copies = 0;

 private:
  std::function<void()> at_end_;
};

// Sees `call`, which must wait, fall asleep for as long as nothing happens.
void expect_sleep(Onlooker& it, const std::string& call, const std::string& reason) {
  Onlooker::Sight sight = it.wait_until_asleep();
  if (sight.what == Onlooker::over) it.fail(FailureKind::wrong_answer, call + " returned, but " + reason);
  if (sight.what == Onlooker::busy) {
    it.fail(FailureKind::wrong_answer, call + " uses the CPU while it waits; it must sleep");
  }
  // ThreadSanitizer has a thread of its own, which sleeps for a time.
  if (sight.time_limit && !interleave::under_sanitizer) {
    it.fail(FailureKind::wrong_answer, call + " sleeps for a time, to look again; it must sleep until it is woken");
  }
}

}  // namespace

TEST(BoundedQueue, RefusesACapacityOfZero) { EXPECT_THROW(BoundedQueue<int>(0), std::invalid_argument); }

TEST(BoundedQueue, GivesTheOldestElementFirst) {
  BoundedQueue<int> queue(3);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(queue.push(i)) << "push(" << i << ") on a queue that is not closed";
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(queue.pop(), i) << "1, 2 and 3 went in, in this order";
}

TEST(BoundedQueue, SleepsWhileItIsFull) {
  BoundedQueue<int> queue(1);
  queue.push(1);
  Onlooker onlooker([&](Onlooker& it) {
    expect_sleep(it, "push()", "the queue was full");
    queue.pop();
  });
  EXPECT_TRUE(queue.push(2)) << "one was popped, so there was room";
  onlooker.call_is_over();
}

TEST(BoundedQueue, SleepsWhileItIsEmpty) {
  BoundedQueue<int> queue(1);
  Onlooker onlooker([&](Onlooker& it) {
    expect_sleep(it, "pop()", "the queue was empty and not closed");
    queue.push(1);
  });
  EXPECT_EQ(queue.pop(), 1) << "1 was pushed while pop() waited";
  onlooker.call_is_over();
}

TEST(BoundedQueue, KeepsItsElementsWhenItIsClosed) {
  BoundedQueue<int> queue(2);
  queue.push(1);
  queue.push(2);
  queue.close();
  queue.close();
  EXPECT_EQ(queue.pop(), 1) << "1 and 2 were in the queue when it was closed";
  EXPECT_EQ(queue.pop(), 2) << "1 and 2 were in the queue when it was closed";
  EXPECT_EQ(queue.pop(), std::nullopt) << "closed and empty";
}

TEST(BoundedQueue, TakesNothingOnceItIsClosed) {
  BoundedQueue<int> queue(2);
  queue.close();
  EXPECT_FALSE(queue.push(1)) << "push() on a closed queue";
  EXPECT_EQ(queue.pop(), std::nullopt) << "nothing may have entered the closed queue";
}

TEST(BoundedQueue, DoesNotCopyElements) {
  BoundedQueue<Element> queue(2);
  queue.push(Element(1));
  std::optional<Element> element = queue.pop();
  ASSERT_TRUE(element.has_value());
  EXPECT_EQ(element->value, 1);
  EXPECT_EQ(element->copies, 0) << "copies on the way through the queue";
}

TEST(BoundedQueue, DestroysTheElementsThatAreLeft) {
  int destroyed = 0;
  {
    BoundedQueue<Element> queue(2);
    queue.push(Element(1, [&] { ++destroyed; }));
    queue.push(Element(2, [&] { ++destroyed; }));
  }
  EXPECT_EQ(destroyed, 2) << "elements destroyed together with the queue that they were in";
}

TEST(BoundedQueue, LetsTheDestructorOfAnElementUseTheQueue) {
  BoundedQueue<Element> queue(2);
  bool pushed = false;
  queue.push(Element(1, [&] { pushed = queue.push(Element(2)); }));
  queue.clear();  // a deadlock here: the destructor waits for something that you hold
  EXPECT_TRUE(pushed) << "the destructor of the element that clear() destroys, once, calls push(); there is room";
}

TEST(BoundedQueue, LetsOthersInWhileAnElementIsDestroyed) {
  BoundedQueue<Element> queue(2);
  Rendezvous both(2, "an element's destructor runs while another thread pushes");
  std::latch begun(1);
  queue.push(Element(1, [&] {
    begun.count_down();
    both.arrive_and_wait();
  }));
  std::thread other([&] {
    begun.wait();
    EXPECT_TRUE(queue.push(Element(2)));
    both.arrive_and_wait();
  });
  queue.clear();
  other.join();
}

INTERLEAVING_TEST(BoundedQueue, WakesAConsumerForEachElement) {
  BoundedQueue<int> queue(2);
  std::atomic<int> sum = 0;
  auto consume = [&] {
    std::optional<int> element = queue.pop();
    EXPECT_TRUE(element.has_value()) << "pop() gave no element, but the queue is not closed";
    sum += element.value_or(0);
  };
  std::thread a(consume), b(consume);
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  a.join();
  b.join();
  EXPECT_EQ(sum, 3) << "1 and 2 were pushed, and two threads popped one each";
}

INTERLEAVING_TEST(BoundedQueue, WakesAProducerForEachRoom) {
  BoundedQueue<int> queue(2);
  queue.push(0);
  queue.push(0);
  std::thread a([&] { EXPECT_TRUE(queue.push(1)) << "the queue is not closed"; });
  std::thread b([&] { EXPECT_TRUE(queue.push(2)) << "the queue is not closed"; });
  EXPECT_EQ(queue.pop(), 0) << "the oldest first";
  EXPECT_EQ(queue.pop(), 0) << "the oldest first";
  a.join();
  b.join();
  EXPECT_EQ(queue.pop().value_or(0) + queue.pop().value_or(0), 3) << "1 and 2 were pushed";
}

INTERLEAVING_TEST(BoundedQueue, WakesTheSideThatCanGoOn) {
  BoundedQueue<int> queue(1);
  std::thread a([&] { EXPECT_TRUE(queue.pop().has_value()) << "the queue is not closed"; });
  std::thread b([&] { EXPECT_TRUE(queue.pop().has_value()) << "the queue is not closed"; });
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  a.join();
  b.join();
}

INTERLEAVING_TEST(BoundedQueue, NeverHoldsMoreThanItsCapacity) {
  BoundedQueue<int> queue(1);
  queue.push(1);
  std::atomic<int> pushed = 1, pops_begun = 0;
  auto produce = [&] {
    EXPECT_TRUE(queue.push(1)) << "the queue is not closed";
    int at_least_in = ++pushed;
    at_least_in -= pops_begun;
    EXPECT_LE(at_least_in, 1) << "elements in a queue of capacity 1, even if each pop() that was begun took one out";
  };
  std::thread a(produce), b(produce);
  for (int i = 0; i < 3; ++i) {
    ++pops_begun;
    queue.pop();
  }
  a.join();
  b.join();
}

INTERLEAVING_TEST(BoundedQueue, CloseWakesEveryConsumer) {
  BoundedQueue<int> queue(1);
  auto consume = [&] { EXPECT_EQ(queue.pop(), std::nullopt) << "nothing was ever pushed"; };
  std::thread a(consume), b(consume);
  queue.close();
  a.join();
  b.join();
}

INTERLEAVING_TEST(BoundedQueue, LosesNoElementWhenItIsClosed) {
  BoundedQueue<int> queue(1);
  queue.push(1);
  bool accepted = false;
  std::thread producer([&] { accepted = queue.push(2); });
  int popped = queue.pop().has_value() ? 1 : 0;
  queue.close();
  while (queue.pop().has_value()) ++popped;
  producer.join();
  EXPECT_EQ(popped, accepted ? 2 : 1) << "elements popped until the queue was closed and empty; push() returned "
                                      << (accepted ? "true for two" : "true for one");
}

INTERLEAVING_TEST(BoundedQueue, CloseWakesEveryProducer) {
  BoundedQueue<int> queue(1);
  queue.push(1);
  auto produce = [&] { EXPECT_FALSE(queue.push(2)) << "the queue was full until it was closed"; };
  std::thread a(produce), b(produce);
  queue.close();
  a.join();
  b.join();
}

INTERLEAVING_TEST(BoundedQueue, ClearMakesRoomForAllOfItsCapacity) {
  BoundedQueue<int> queue(2);
  queue.push(1);
  queue.push(2);
  auto produce = [&] { EXPECT_TRUE(queue.push(3)) << "the queue is not closed"; };
  std::thread a(produce), b(produce);
  queue.clear();
  a.join();
  b.join();
}
