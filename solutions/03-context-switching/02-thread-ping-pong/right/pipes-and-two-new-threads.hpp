// Starts both threads and goes to no CPU itself, so there is nothing to give back; the token is a byte in a pipe, and
// the end of the game is the end of the file.

#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <given/switch_cost.hpp>
#include <stdexcept>
#include <system_error>
#include <thread>

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_write_end();
    ::close(ends_[0]);
  }

  void put() const {
    char token = 0;
    while (::write(ends_[1], &token, 1) < 0 && errno == EINTR) {
    }
  }
  bool take() const {
    char token;
    ssize_t count;
    do count = ::read(ends_[0], &token, 1);
    while (count < 0 && errno == EINTR);
    return count == 1;
  }
  void close_write_end() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  int ends_[2];
};

// A thread that was born on one CPU: its attributes say so, and it never runs anywhere else.
class ThreadOn {
 public:
  ThreadOn(int cpu, std::function<void()> run) : run_(std::move(run)) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setaffinity_np(&attributes, sizeof(set), &set);
    int error = ::pthread_create(&thread_, &attributes, start, &run_);
    ::pthread_attr_destroy(&attributes);
    if (error != 0) throw std::system_error(error, std::generic_category(), "pthread_create");
  }
  ThreadOn(const ThreadOn&) = delete;
  ThreadOn& operator=(const ThreadOn&) = delete;
  ~ThreadOn() { ::pthread_join(thread_, nullptr); }

 private:
  static void* start(void* run) {
    (*static_cast<std::function<void()>*>(run))();
    return nullptr;
  }

  std::function<void()> run_;
  pthread_t thread_;
};

inline long switches_of_this_thread() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

inline SwitchCost thread_ping_pong(long round_trips, long warm_up, const Clock& now = steady_clock_now) {
  if (round_trips < 1 || warm_up < 0) throw std::invalid_argument("thread_ping_pong: too few round trips");
  const int cpu = ::sched_getcpu();
  Pipe ping, pong;
  SwitchCost cost{2 * round_trips, 0, {}, 0};
  long of_the_second = 0;
  std::exception_ptr error;
  {
    ThreadOn second(cpu, [&] {
      long at_start = 0;
      for (long i = 0; ping.take(); ++i) {
        if (i == warm_up) at_start = switches_of_this_thread();
        pong.put();
      }
      of_the_second = switches_of_this_thread() - at_start;
    });
    struct EndOfTheGame {
      Pipe& ping;
      ~EndOfTheGame() { ping.close_write_end(); }
    } end{ping};  // before the second thread is joined
    ThreadOn first(cpu, [&] {
      auto play = [&](long trips) {
        for (long i = 0; i < trips; ++i) {
          ping.put();
          pong.take();
        }
      };
      try {
        play(warm_up);
        const auto start = now();
        const long at_start = switches_of_this_thread();
        play(round_trips);
        cost.elapsed = now() - start;
        cost.kernel_switches = switches_of_this_thread() - at_start;
      } catch (...) {
        error = std::current_exception();
      }
    });
  }
  if (error) std::rethrow_exception(std::exchange(error, nullptr));
  cost.kernel_switches += of_the_second;
  cost.nanoseconds_per_switch = std::chrono::duration<double, std::nano>(cost.elapsed).count() / (2.0 * round_trips);
  return cost;
}
