#pragma once

// 6.6 inference-server: serve a model over HTTP: an event loop for the clients, worker processes for the model.
//
// Python's FastAPI with `await loop.run_in_executor(ProcessPoolExecutor(), predict, body)`, and what uvicorn does.

#include <06-inference-server/http.hpp>     // HttpListener, HttpConnection, HttpLimits, http_status(), index_page()
#include <06-inference-server/metrics.hpp>  // ServerMetrics
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <given/executor.hpp>  // ProcessExecutor, Outcome, TaskError, BrokenWorker
#include <string>
#include <utility>

#include "exercise/not_done.hpp"

struct ServerOptions {
  std::string function = "predict";   // what the workers are asked for
  std::size_t most_predictions = 64;  // in progress at a time
  HttpLimits limits = {};             // of every connection
};

/// Serves a model to clients over HTTP. One thread runs an event loop for all clients and never waits for one of them,
/// nor for a worker; the function that predicts runs in the executor's worker processes, and nowhere else.
///
///   POST /predict   200 and what a worker answers to the body, as application/json
///   GET /healthz    200 and "ok\n"
///   GET /metrics    200 and ServerMetrics::text()
///   GET /           200 and index_page(), as "text/html; charset=utf-8"
///
/// Every other path is answered 404. Another method than the one above is answered 405, with the one above as `Allow`.
/// Bodies that are not said to be something else are http_status(), and no refusal in this paragraph or the next ends a
/// connection.
///
/// Predictions. Each goes to the executor as soon as it comes, so as many run at the same time as there are workers. At
/// most `most_predictions` are in progress, running or waiting for a worker; one more is answered 503 at once, with
/// `Retry-After: 1`. If the function throws, the answer is 400 and the message of the exception with a "\n". If the
/// worker ends, the answer is 500, and nobody else notices. A prediction whose client has gone is in progress until the
/// worker is through with it.
///
/// Clients. There may be thousands, most of which say nothing. On a connection requests are answered one after the
/// other, in the order in which they came, however many a client sends ahead. It stays open for as long as the client
/// keeps it alive. Nothing piles up for a client that does not take its answers: it is asked for nothing more. What
/// HttpConnection::read() refuses is answered with the status that it gives, and then the connection is closed. All
/// reading and writing is under `limits`. A client that vanishes costs nobody else anything.
///
/// Metrics: every response is counted, and every prediction that is answered 200 is observed.
///
/// SIGTERM, from the constructor on, has the server end and lose nothing: it accepts no more clients, closes
/// connections on which no request has begun to come, answers all requests that have begun, with `keep_alive` false,
/// and closes those connections too. Until something happens the server sleeps; it does not look again from time to
/// time.
class InferenceServer {
 public:
  /// The executor outlives the server, and its fork server has the function. `listening` is what listen_on() gives, or
  /// any other stream socket that listens.
  InferenceServer(ProcessExecutor& workers, Descriptor listening, ServerOptions options) {
    (void)workers, (void)listening, (void)options;  // take this line out once you use them
    interleave::not_done();
  }
  InferenceServer(const InferenceServer&) = delete;
  InferenceServer& operator=(const InferenceServer&) = delete;

  /// Serves until SIGTERM has come, and returns when the last connection is closed and the last prediction is over.
  /// Called once.
  void run() { interleave::not_done(); }
};
