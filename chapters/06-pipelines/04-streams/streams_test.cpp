#include "exercise/test.hpp"

#include <streams.hpp>

using interleave::FailureKind;
using interleave::Onlooker;
using interleave::Rendezvous;

namespace {

// By type alone: what is in the exception is freed by one of two threads, and ThreadSanitizer does not see how they
// settle which.
struct Failed {};

// Sees `call`, which must wait for a task, fall asleep, and then opens the gate that holds the task up.
class Opener : public Onlooker {
 public:
  Opener(const std::string& call, std::latch& gate)
      : Onlooker([call, &gate](Onlooker& it) {
          switch (it.wait_until_asleep().what) {
            case Onlooker::asleep:
              break;
            case Onlooker::busy:
              it.fail(FailureKind::wrong_answer, "somebody uses the CPU instead of sleeping, in " + call +
                                                     " or in a stream that waits for an event");
            case Onlooker::over:
              it.fail(FailureKind::wrong_answer, call + " returned, but a task that was enqueued before still runs");
          }
          gate.count_down();
        }) {}
};

}  // namespace

INTERLEAVING_TEST(Stream, RunsItsTasksInOrder) {
  std::latch done(1);
  int value = 0;  // nothing guards it: the tasks do not meet
  Stream stream;
  stream.enqueue([&] { value = 1; });
  stream.enqueue([&] {
    EXPECT_EQ(value, 1) << "what the task before has written";
    done.count_down();
  });
  done.wait();
}

TEST(Stream, WaitsForNoTaskInEnqueueRecordAndWait) {
  std::latch begun(1), enqueued(1);
  int value = 0;
  Event event;
  Stream first, second;
  first.enqueue([&] {
    begun.count_down();
    enqueued.wait();  // a deadlock here: a call waits for this task, which waits for the calls to return
    value = 1;
  });
  begun.wait();
  first.record(event);
  second.wait(event);
  second.enqueue([&] { EXPECT_EQ(value, 1) << "the stream was to wait for the event before this task"; });
  enqueued.count_down();
  second.synchronize();
}

TEST(Stream, RefusesAnEmptyFunction) {
  Stream stream;
  EXPECT_THROW(stream.enqueue(nullptr), std::invalid_argument);
  EXPECT_NO_THROW(stream.synchronize()) << "nothing was enqueued";
}

TEST(Stream, RunsAtTheSameTimeAsAllOthers) {
  Rendezvous all(6, "a task of each of 6 streams at work at the same time");
  std::latch done(6);
  std::array<Stream, 6> streams;
  for (Stream& stream : streams) {
    stream.enqueue([&] {
      all.arrive_and_wait();
      done.count_down();
    });
  }
  done.wait();
}

TEST(Stream, RecordsAnEventAnewEachTime) {
  std::latch gate(1);
  Event event;
  Stream first, second;
  first.enqueue([] {});
  first.record(event);
  event.synchronize();
  EXPECT_TRUE(event.query()) << "synchronize() has waited for the captured work";
  second.enqueue([&] { gate.wait(); });
  second.record(event);
  EXPECT_FALSE(event.query()) << "recorded again, in another stream, after a task that still runs";
  gate.count_down();
  event.synchronize();
}

TEST(Stream, WaitsForWhatWasRecordedWhenItWasCalled) {
  std::latch recorded_again(1), ran(1);
  Event event;
  Stream first, second, third;
  first.record(event);
  second.enqueue([&] { recorded_again.wait(); });
  second.wait(event);
  second.enqueue([&] { ran.count_down(); });
  third.enqueue([&] { ran.wait(); });  // a deadlock here: the second stream waits for this task
  third.record(event);
  recorded_again.count_down();
  third.synchronize();
}

TEST(Stream, WaitsForNothingIfTheEventWasNeverRecorded) {
  Event event;
  EXPECT_TRUE(event.query()) << "an event that captures nothing counts as complete";
  event.synchronize();
  Stream first, second;
  std::latch ran(1);
  second.wait(event);
  second.enqueue([&] { ran.count_down(); });
  first.enqueue([&] { ran.wait(); });
  first.record(event);  // later than wait(): that changes nothing there
  first.synchronize();
}

TEST(Stream, OverlapsCopyAndComputeOnTwoBuffers) {
  Rendezvous overlap(2, "the second chunk is copied while the first is computed");
  std::latch enqueued(1), computed(1);
  int buffers[2] = {};
  std::vector<int> results;
  Event full[2], empty[2];
  Stream copy, compute;
  copy.enqueue([&] { enqueued.wait(); });
  for (int chunk = 0; chunk < 4; ++chunk) {
    int& buffer = buffers[chunk % 2];
    copy.wait(empty[chunk % 2]);  // never recorded for the first two
    copy.enqueue([&overlap, &buffer, chunk] {
      if (chunk == 1) overlap.arrive_and_wait();
      buffer = 10 * chunk;
    });
    copy.record(full[chunk % 2]);
    compute.wait(full[chunk % 2]);
    compute.enqueue([&overlap, &buffer, &results, chunk] {
      if (chunk == 0) overlap.arrive_and_wait();
      results.push_back(buffer);
    });
    compute.record(empty[chunk % 2]);
  }
  compute.enqueue([&] { computed.count_down(); });
  enqueued.count_down();
  computed.wait();
  EXPECT_EQ(results, (std::vector{0, 10, 20, 30})) << "what was in the buffers when they were computed";
}

TEST(Stream, KnowsWhetherItsWorkIsComplete) {
  std::latch gate(1), begun(1);
  Stream stream;
  EXPECT_TRUE(stream.query()) << "a stream without work";
  stream.enqueue([&] {
    begun.count_down();
    gate.wait();
  });
  begun.wait();
  EXPECT_FALSE(stream.query()) << "the last task still runs";
  gate.count_down();
}

TEST(Stream, SynchronizesWithTheTaskThatRuns) {
  std::latch of_stream(1), of_event(1), begun(2);
  Event event;
  Stream stream, other;
  stream.enqueue([&] {
    begun.count_down();
    of_stream.wait();
  });
  other.enqueue([&] {
    begun.count_down();
    of_event.wait();
  });
  other.record(event);
  Event of_held;
  Stream held, waiting;
  held.enqueue([&] { of_event.wait(); });
  held.record(of_held);
  waiting.wait(of_held);  // it has to sleep as well
  begun.wait();
  Opener opener("Stream::synchronize()", of_stream);
  stream.synchronize();
  opener.call_is_over();
  EXPECT_TRUE(stream.query()) << "synchronize() has waited for all work";
  Opener next("Event::synchronize()", of_event);
  event.synchronize();
  next.call_is_over();
}

TEST(Stream, SynchronizesWithWhatWasEnqueuedBefore) {
  std::latch gate(1), synchronized(1);
  Stream stream;
  stream.enqueue([&] { gate.wait(); });
  Onlooker onlooker([&](Onlooker& it) {
    it.wait_until_asleep();
    stream.enqueue([&] { synchronized.wait(); });  // a deadlock here: synchronize() waits for this task
    gate.count_down();
  });
  stream.synchronize();
  synchronized.count_down();
  onlooker.call_is_over();
}

TEST(Stream, CompletesItsWorkBeforeItIsGone) {
  std::latch gate(1);
  int ran = 0;
  auto stream = std::make_unique<Stream>();
  stream->enqueue([&] { gate.wait(); });
  for (int i = 0; i < 3; ++i) stream->enqueue([&] { ++ran; });
  Opener opener("the destructor", gate);
  stream.reset();
  opener.call_is_over();
  EXPECT_EQ(ran, 3) << "tasks that were in the queue when the stream was destroyed";
}

TEST(Stream, DropsWhatComesAfterAnError) {
  bool ran = false;
  Event before, after;
  Stream stream;
  stream.enqueue([] {});
  stream.record(before);
  stream.enqueue([] { throw Failed(); });
  stream.enqueue([&] { ran = true; });
  stream.record(after);
  EXPECT_THROW(stream.synchronize(), Failed) << "a task has thrown";
  EXPECT_THROW(stream.synchronize(), Failed) << "the error is sticky";
  EXPECT_FALSE(ran) << "a task ran after one that threw";
  EXPECT_TRUE(after.query()) << "a task that is dropped is complete";
  EXPECT_THROW(after.synchronize(), Failed) << "the captured work has failed";
  EXPECT_NO_THROW(before.synchronize()) << "the work that this event has captured came before the error";
}

TEST(Stream, FailsWithTheEventThatItWaitsFor) {
  bool ran = false;
  Event event;
  Stream first, second;
  first.enqueue([] { throw Failed(); });
  first.record(event);
  second.wait(event);
  second.enqueue([&] { ran = true; });
  EXPECT_THROW(second.synchronize(), Failed) << "the work that it waited for has failed";
  EXPECT_FALSE(ran) << "a task ran whose input had failed";
}

INTERLEAVING_TEST(Stream, ShowsWhatWasDoneBeforeTheEvent) {
  int value = 0;
  Event event;
  Stream first, second;
  first.enqueue([&] { value = 1; });
  first.record(event);
  second.wait(event);
  second.enqueue([&] { EXPECT_EQ(value, 1) << "written before the event was recorded"; });
  second.synchronize();
}

INTERLEAVING_TEST(Stream, WakesEverybodyWhoSynchronizes) {
  int value = 0;
  Event event;
  Stream stream;
  stream.enqueue([&] { value = 1; });
  stream.record(event);
  std::thread other([&] {
    event.synchronize();
    EXPECT_EQ(value, 1) << "written by a task that the event has captured";
  });
  stream.synchronize();
  EXPECT_EQ(value, 1) << "written by a task that was enqueued before";
  other.join();
}

INTERLEAVING_TEST(Stream, DestroysATaskBeforeItIsComplete) {
  struct Counter {
    int& destroyed;
    ~Counter() { ++destroyed; }
  };
  int destroyed = 0;
  Stream stream;
  stream.enqueue([held = std::make_shared<Counter>(destroyed)] {});
  stream.synchronize();
  EXPECT_EQ(destroyed, 1) << "what the task held, once synchronize() has returned";
}

TEST(Event, MayBeGoneBeforeAStreamWaitsForIt) {
  std::latch gone(1), ran(1);
  int value = 0;
  Stream first, second;
  auto event = std::make_unique<Event>();
  first.enqueue([&] {
    ran.wait();
    value = 1;
  });
  first.record(*event);
  second.enqueue([&] { gone.wait(); });
  second.wait(*event);
  second.enqueue([&] { EXPECT_EQ(value, 1) << "the work that the event had captured was not complete"; });
  event.reset();
  gone.count_down();
  ran.count_down();
  second.synchronize();
}

TEST(Event, MayOutliveTheStream) {
  Event event;
  Stream other;
  {
    auto stream = std::make_unique<Stream>();
    stream->enqueue([] {});
    stream->record(event);
    stream->synchronize();
  }
  EXPECT_TRUE(event.query()) << "the stream is gone, and all of its work was complete";
  event.synchronize();
  other.wait(event);
  other.synchronize();
}

INTERLEAVING_TEST(Event, MayBeRecordedWhileOthersLookAtIt) {
  Event event;
  Stream stream;
  std::thread other([&] { stream.record(event); });
  event.query();
  stream.wait(event);
  other.join();
}
