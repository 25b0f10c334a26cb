#pragma once

// 6.6 inference-server: serve a model over HTTP: an event loop for the clients, worker processes for the model.
//
// Python's FastAPI with `await loop.run_in_executor(ProcessPoolExecutor(), predict, body)`, and what uvicorn does.

#include <06-inference-server/http.hpp>     // HttpListener, HttpConnection, HttpLimits, http_status(), index_page()
#include <06-inference-server/metrics.hpp>  // ServerMetrics
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <given/executor.hpp>  // ProcessExecutor, Outcome, TaskError, BrokenWorker
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

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
  InferenceServer(ProcessExecutor& workers, Descriptor listening, ServerOptions options)
      : workers_(workers),
        options_(std::move(options)),
        listener_(loop_, std::move(listening)),
        sigterm_(loop_, SIGTERM) {
    sigterm_.async_wait([this](const auto& error, int) {
      if (!error) drain();
    });
    asio::co_spawn(loop_, accept_clients(), asio::detached);
  }
  InferenceServer(const InferenceServer&) = delete;
  InferenceServer& operator=(const InferenceServer&) = delete;

  /// Serves until SIGTERM has come, and returns when the last connection is closed and the last prediction is over.
  /// Called once.
  void run() { loop_.run(); }

 private:
  asio::awaitable<void> accept_clients() {
    while (std::shared_ptr<HttpConnection> client = co_await listener_.accept()) {
      asio::co_spawn(loop_, serve(std::move(client)), asio::detached);
    }
  }

  // One client: a request is read when the one before it has been answered. So the answers are in order, and who does
  // not take them is not asked for more.
  asio::awaitable<void> serve(std::shared_ptr<HttpConnection> client) {
    clients_.insert(client.get());
    if (draining_) client->stop_when_idle();
    bool keep_alive = true;
    while (keep_alive) {
      HttpIncoming incoming = co_await client->read(options_.limits);
      if (incoming.kind == HttpIncoming::end) break;
      HttpResponse response;
      if (incoming.kind == HttpIncoming::request) {
        response = co_await answer(incoming.value);
      } else {
        response = http_status(incoming.status);
      }
      // Asked only now: the signal may have come while a worker was at it.
      keep_alive = incoming.kind == HttpIncoming::request && incoming.value.keep_alive && !draining_;
      metrics_.count_response(response.status);
      try {
        co_await client->write(std::move(response), keep_alive, options_.limits);
      } catch (const std::system_error&) {
        break;  // it has gone, or does not read
      }
    }
    clients_.erase(client.get());
  }

  asio::awaitable<HttpResponse> answer(HttpRequest& request) {
    const bool is_prediction = request.path == "/predict";
    if (!is_prediction && request.path != "/healthz" && request.path != "/metrics" && request.path != "/") {
      co_return http_status(404);
    }
    const char* method = is_prediction ? "POST" : "GET";
    if (request.method != method) {
      HttpResponse refusal = http_status(405);
      refusal.headers = {{"Allow", method}};
      co_return refusal;
    }
    if (is_prediction) co_return co_await predict(std::move(request.body));
    if (request.path == "/metrics") co_return HttpResponse{200, metrics_.text(in_progress_, workers_.waiting())};
    if (request.path == "/") co_return HttpResponse{200, std::string(index_page()), "text/html; charset=utf-8"};
    co_return HttpResponse{200, "ok\n"};
  }

  asio::awaitable<HttpResponse> predict(std::string body) {
    if (in_progress_ >= options_.most_predictions) {
      HttpResponse refusal = http_status(503);
      refusal.headers = {{"Retry-After", "1"}};
      co_return refusal;
    }
    ++in_progress_;
    const auto begin = std::chrono::steady_clock::now();
    Outcome outcome = co_await in_a_worker(std::move(body));
    --in_progress_;
    try {
      HttpResponse response{200, std::move(outcome).get(), "application/json"};
      metrics_.observe_prediction(std::chrono::steady_clock::now() - begin);
      co_return response;
    } catch (const TaskError& error) {
      co_return HttpResponse{400, std::string(error.what()) + "\n"};
    } catch (const std::exception&) {
      co_return http_status(500);
    }
  }

  // The way there and back: the executor tells the outcome in its own thread, and post() carries it to the loop's,
  // which goes on with this coroutine. In between the loop is free.
  asio::awaitable<Outcome> in_a_worker(std::string body) {
    return asio::async_initiate<decltype(asio::use_awaitable), void(Outcome)>(
        [this](auto handler, std::string argument) {
          // std::function wants to be copied, and a coroutine cannot be.
          auto coroutine = std::make_shared<decltype(handler)>(std::move(handler));
          workers_.submit(options_.function, std::move(argument), [this, coroutine](Outcome outcome) {
            asio::post(loop_,
                       [coroutine, outcome = std::move(outcome)]() mutable { (*coroutine)(std::move(outcome)); });
          });
        },
        asio::use_awaitable, std::move(body));
  }

  // Nothing is torn down: what could still bring a request is ended, and run() returns when no work is left.
  void drain() {
    draining_ = true;
    listener_.close();
    for (HttpConnection* client : clients_) client->stop_when_idle();
  }

  ProcessExecutor& workers_;
  const ServerOptions options_;
  asio::io_context loop_;
  HttpListener listener_;
  asio::signal_set sigterm_;
  ServerMetrics metrics_;
  std::set<HttpConnection*> clients_;
  std::size_t in_progress_ = 0;
  bool draining_ = false;
};
