"""What the machine has: prints how many times a second WORKERS processes that do nothing else compute for MICROSECONDS.
Measured as long as SECONDS."""
import multiprocessing
import sys
import time


def count(microseconds, seconds, start):
    start.wait()
    over, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < over:
        end = time.thread_time_ns() + microseconds * 1000
        while time.thread_time_ns() < end:
            pass
        done += 1
    return done


def work(results, *arguments):
    results.put(count(*arguments))


if __name__ == "__main__":
    workers, microseconds, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    results, start = multiprocessing.Queue(), multiprocessing.Barrier(workers)
    arguments = (results, microseconds, seconds, start)
    processes = [multiprocessing.Process(target=work, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    print(sum(results.get() for _ in processes) / seconds)
    for process in processes:
        process.join()
