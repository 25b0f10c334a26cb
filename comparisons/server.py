"""FastAPI with a ProcessPoolExecutor on the work of server.cpp: takes what that takes, and answers in the same way."""
import asyncio
import multiprocessing
import socket
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()
pool = None
nanoseconds = 0


def compute(body, duration):
    end = time.thread_time_ns() + duration
    while time.thread_time_ns() < end:
        pass
    return b'{"digit":7}\n'


@app.post("/predict")
async def predict(request: Request):
    body = await request.body()
    answer = await asyncio.get_running_loop().run_in_executor(pool, compute, body, nanoseconds)
    return Response(answer, media_type="application/json")


@app.get("/healthz")
async def healthz():
    return Response("ok\n", media_type="text/plain")


def main():
    global pool, nanoseconds
    workers, nanoseconds = int(sys.argv[1]), int(sys.argv[2]) * 1000
    with ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver")) as pool:
        list(pool.map(time.sleep, [0.1] * 2 * workers))  # until all of them are there
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listening])


if __name__ == "__main__":
    main()
