// Reads with the limits that the library has, which are none: ten gigabytes that somebody announces are waited for,
// and kept in memory.
// caught: plain, InferenceServer.RefusesWhatIsTooLongOrNoHttp, wrong answer

#pragma once

#include <06-inference-server/http.hpp>
#include <06-inference-server/metrics.hpp>
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
#include <given/executor.hpp>
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

class InferenceServer {
 public:
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

  void run() { loop_.run(); }

 private:
  asio::awaitable<void> accept_clients() {
    while (std::shared_ptr<HttpConnection> client = co_await listener_.accept()) {
      asio::co_spawn(loop_, serve(std::move(client)), asio::detached);
    }
  }

  asio::awaitable<void> serve(std::shared_ptr<HttpConnection> client) {
    clients_.insert(client.get());
    if (draining_) client->stop_when_idle();
    bool keep_alive = true;
    while (keep_alive) {
      HttpIncoming incoming = co_await client->read();
      if (incoming.kind == HttpIncoming::end) break;
      HttpResponse response;
      if (incoming.kind == HttpIncoming::request) {
        response = co_await answer(incoming.value);
      } else {
        response = http_status(incoming.status);
      }
      keep_alive = incoming.kind == HttpIncoming::request && incoming.value.keep_alive && !draining_;
      metrics_.count_response(response.status);
      try {
        co_await client->write(std::move(response), keep_alive, options_.limits);
      } catch (const std::system_error&) {
        break;
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

  asio::awaitable<Outcome> in_a_worker(std::string body) {
    return asio::async_initiate<decltype(asio::use_awaitable), void(Outcome)>(
        [this](auto handler, std::string argument) {
          auto coroutine = std::make_shared<decltype(handler)>(std::move(handler));
          workers_.submit(options_.function, std::move(argument), [this, coroutine](Outcome outcome) {
            asio::post(loop_,
                       [coroutine, outcome = std::move(outcome)]() mutable { (*coroutine)(std::move(outcome)); });
          });
        },
        asio::use_awaitable, std::move(body));
  }

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
