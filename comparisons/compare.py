#!/usr/bin/python3
"""Runs chapter 6's references beside what a Python project would use, on the same work. See docs/comparison.md.

    comparisons/compare.py [--install] [--rounds 5] [--workers 2] loader|server ...
"""
import argparse
import http.client
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = Path(os.environ.get("INTERLEAVE_BUILD", ROOT / "build"))
PROGRAMS = BUILD / "programs" / "comparisons"
DRAWING = ROOT / "chapters" / "06-pipelines" / "06-inference-server" / "predict.lua"
PHOTOGRAPHS = BUILD / "photographs"
VENV = BUILD / "comparison-python"

MODULES = {"torch": "python3-torch", "PIL": "python3-pil", "numpy": "python3-numpy", "fastapi": "python3-fastapi",
           "uvicorn": "python3-uvicorn", "uvloop": "python3-uvloop", "httptools": "python3-httptools"}
WHEELS = ["torch", "pillow", "numpy", "fastapi", "uvicorn[standard]"]

SIDE, BATCH, TIMES = 224, 32, 2
MICROSECONDS, CLIENTS, SECONDS = 2000, 32, 4


# --- Peers ---------------------------------------------------------------------------------------------------------


def has_modules(python):
    return subprocess.run([python, "-c", f"import {', '.join(MODULES)}"], stderr=subprocess.DEVNULL).returncode == 0


def find_python(install):
    """A Python that has the peers: the system's, or one of our own below the build directory."""
    pythons = ["/usr/bin/python3", str(VENV / "bin" / "python3")]
    for python in pythons:
        if Path(python).exists() and has_modules(python) and shutil.which("wrk"):
            return python
    packages = [*MODULES.values(), "wrk"]
    if not install:
        sys.exit(f"Missing: {' '.join(packages)}\nRun this again with --install: it takes them from apt-get, or from "
                 "pip if apt-get does not have them.")
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    install_packages = [*as_root, "apt-get", "install", "-y", "--no-install-recommends"]
    subprocess.run([*as_root, "apt-get", "update"], check=True)
    if subprocess.run([*install_packages, *packages]).returncode != 0:
        subprocess.run([*install_packages, "wrk", "python3-venv"], check=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", VENV], check=True)
        subprocess.run([pythons[1], "-m", "pip", "install", *WHEELS], check=True)
    return find_python(False)


def build(*targets):
    subprocess.run(["cmake", "--build", BUILD, "--target", *targets], check=True, stdout=subprocess.DEVNULL)


# --- Figures -------------------------------------------------------------------------------------------------------


def middle(values):
    return f"{statistics.median(values):9.4g}   ({min(values):.4g} to {max(values):.4g})"


def table(title, rows):
    print(f"\n{title}")
    for name, values in rows:
        print(f"  {name:<46} {middle(values)}")


def ratios(these, those):
    return [a / b for a, b in zip(these, those)]


# --- 6.2 -----------------------------------------------------------------------------------------------------------


class Loader:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def same_pixels(ours, theirs):
    ours, theirs = ours.read_bytes(), theirs.read_bytes()
    if len(ours) != len(theirs) or not ours:
        sys.exit(f"the epochs have {len(ours)} and {len(theirs)} bytes")
    if ours == theirs:
        return "all bytes are the same"
    different = [abs(a - b) for a, b in zip(ours, theirs) if a != b]
    if max(different) > 1:
        sys.exit(f"{len(different)} of {len(ours)} bytes differ, by up to {max(different)}")
    return f"{len(different)} of {len(ours)} bytes differ, by 1"


def compare_loaders(python, rounds, workers):
    build("compare_data_loader", "photographs")
    arguments = [str(word) for word in (PHOTOGRAPHS, TIMES, workers, BATCH, SIDE)]
    ours = Loader(PROGRAMS / "compare_data_loader", *arguments)
    theirs = Loader(python, HERE / "data_loader.py", *arguments)
    dumps = [BUILD / "comparison-ours.bin", BUILD / "comparison-theirs.bin"]
    ours(0, dumps[0])
    theirs(0, dumps[1])
    images = dumps[0].stat().st_size // (SIDE * SIDE * 3)
    print(f"epoch of {images} images: {same_pixels(*dumps)}")
    for dump in dumps:
        dump.unlink()
    our_rates, their_rates = [], []
    for epoch in range(1, rounds + 1):
        our_rates.append(images / ours(epoch))
        their_rates.append(images / theirs(epoch))
    ours.close()
    theirs.close()
    table(f"6.2, {workers} workers, images of 500x375 to {SIDE}x{SIDE}",
          [("images/s, data-loader", our_rates), ("images/s, DataLoader", their_rates),
           ("data-loader / DataLoader", ratios(our_rates, their_rates))])


# --- 6.6 -----------------------------------------------------------------------------------------------------------


def watch_health(port, over, times):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while not over.wait(0.005):
        start = time.perf_counter()
        connection.request("GET", "/healthz")
        if connection.getresponse().read() != b"ok\n":
            sys.exit("/healthz did not say ok")
        times.append(time.perf_counter() - start)
    connection.close()


def cpu_seconds(session):
    """What the processes of a session have used."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000}


def load(*command):
    """Requests per second, the 99th percentiles in ms of /predict and, meanwhile, of /healthz, and the milliseconds of
    CPU that the server and its workers use for a request."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        port = int(server.stdout.readline())
        wrk = ["wrk", "-t1", f"-c{CLIENTS}", "--latency", "--timeout", "30s", "-s", DRAWING,
               f"http://127.0.0.1:{port}/predict"]
        subprocess.run([*wrk, "-d1"], check=True, stdout=subprocess.DEVNULL)
        over, times = threading.Event(), []
        watcher = threading.Thread(target=watch_health, args=(port, over, times))
        watcher.start()
        used = cpu_seconds(server.pid)
        text = subprocess.run([*wrk, f"-d{SECONDS}"], check=True, stdout=subprocess.PIPE, text=True).stdout
        used = cpu_seconds(server.pid) - used
        over.set()
        watcher.join()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"not every request to {Path(command[-3]).name} was answered 200:\n{text}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\s", text).groups()
    requests = int(re.search(r"(\d+) requests in", text)[1])
    return rate, float(p99) * MILLISECONDS[unit], sorted(times)[len(times) * 99 // 100] * 1000, used / requests * 1000


def ceiling(python, workers):
    command = [python, HERE / "ceiling.py", str(workers), str(MICROSECONDS), str(SECONDS)]
    # In a session of its own, as the servers are: to the kernel's scheduler a session may be a group that has one share.
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, start_new_session=True).stdout)


def compare_servers(python, rounds, workers):
    build("compare_server")
    ours, theirs, ceilings = [], [], []
    arguments = [str(workers), str(MICROSECONDS)]
    for _ in range(rounds):
        ceilings.append(ceiling(python, workers))
        ours.append(load(PROGRAMS / "compare_server", *arguments))
        theirs.append(load(python, HERE / "server.py", *arguments))
    our_rates, our_p99, our_health, our_cpu = zip(*ours)
    their_rates, their_p99, their_health, their_cpu = zip(*theirs)
    table(f"6.6, {workers} workers, {MICROSECONDS / 1000:g} ms of CPU for each request, {CLIENTS} clients",
          [("requests/s, the machine's ceiling", ceilings), ("requests/s, inference-server", our_rates),
           ("requests/s, FastAPI", their_rates), ("inference-server / FastAPI", ratios(our_rates, their_rates)),
           ("inference-server / ceiling", ratios(our_rates, ceilings)),
           ("FastAPI / ceiling", ratios(their_rates, ceilings)),
           ("p99 in ms, inference-server", our_p99), ("p99 in ms, FastAPI", their_p99),
           ("p99, inference-server / FastAPI", ratios(our_p99, their_p99)),
           ("p99 of /healthz in ms, inference-server", our_health), ("p99 of /healthz in ms, FastAPI", their_health),
           ("CPU in ms for a request, inference-server", our_cpu), ("CPU in ms for a request, FastAPI", their_cpu)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="install the peers first, where they are missing")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("what", nargs="*", metavar="loader|server", default=["loader", "server"])
    options = parser.parse_args()
    comparisons = {"loader": compare_loaders, "server": compare_servers}
    for what in options.what:
        if what not in comparisons:
            parser.error(f"{what} is neither loader nor server")
    if not (BUILD / "build.ninja").exists():
        sys.exit("Run ./learn once before, so that there is a build directory.")
    python = find_python(options.install)
    versions = ("import sys, torch, PIL, fastapi; print('Python', sys.version.split()[0], 'PyTorch', "
                "torch.__version__, 'Pillow', PIL.__version__, 'FastAPI', fastapi.__version__)")
    print(subprocess.run([python, "-c", versions], stdout=subprocess.PIPE, text=True).stdout.strip())
    for what in options.what:
        comparisons[what](python, options.rounds, options.workers)


if __name__ == "__main__":
    main()
