// Waits for a worker with a timer that never expires and is cancelled when the outcome is there, which needs nothing of
// Asio's machinery for completion handlers. Paths are looked up in a table, and a counter instead of a set knows when
// the last client has gone.

#pragma once

#include <06-inference-server/http.hpp>
#include <06-inference-server/metrics.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <exception>
#include <given/executor.hpp>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

struct ServerOptions {
  std::string function = "predict";
  std::size_t most_predictions = 64;
  HttpLimits limits = {};
};

class InferenceServer {
 public:
  InferenceServer(ProcessExecutor& workers, Descriptor listening, ServerOptions options)
      : workers_(workers), options_(std::move(options)), listener_(loop_, std::move(listening)), signals_(loop_) {
    signals_.add(SIGTERM);
    asio::co_spawn(loop_, wait_for_the_end(), asio::detached);
  }
  InferenceServer(const InferenceServer&) = delete;
  InferenceServer& operator=(const InferenceServer&) = delete;

  void run() {
    asio::co_spawn(loop_, accept_clients(), asio::detached);
    while (!ending_ || !clients_.empty() || places_taken_ > 0 || accepting_) loop_.run_one();
  }

 private:
  using Clients = std::list<std::weak_ptr<HttpConnection>>;
  using Handler = asio::awaitable<HttpResponse> (InferenceServer::*)(std::string body);
  struct Route {
    std::string method;
    Handler handler;
  };

  asio::awaitable<void> wait_for_the_end() {
    boost::system::error_code error;
    co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    ending_ = true;
    listener_.close();
    for (auto& weak : clients_) {
      if (auto client = weak.lock()) client->stop_when_idle();
    }
  }

  asio::awaitable<void> accept_clients() {
    accepting_ = true;
    for (auto client = co_await listener_.accept(); client; client = co_await listener_.accept()) {
      auto place = clients_.insert(clients_.end(), client);
      if (ending_) client->stop_when_idle();
      asio::co_spawn(loop_, serve(std::move(client)), [this, place](std::exception_ptr) { clients_.erase(place); });
    }
    accepting_ = false;
  }

  asio::awaitable<void> serve(std::shared_ptr<HttpConnection> client) {
    for (bool more = true; more;) {
      HttpIncoming incoming = co_await client->read(options_.limits);
      HttpResponse response;
      switch (incoming.kind) {
        case HttpIncoming::end:
          co_return;
        case HttpIncoming::refused:
          response = http_status(incoming.status), more = false;
          break;
        case HttpIncoming::request:
          response = co_await route(incoming.value), more = incoming.value.keep_alive;
      }
      more = more && !ending_;
      metrics_.count_response(response.status);
      co_await client->write(std::move(response), more, options_.limits);  // if it throws, that ends this client
    }
  }

  asio::awaitable<HttpResponse> route(HttpRequest& request) {
    static const std::map<std::string, Route> routes = {
        {"/", {"GET", &InferenceServer::page}},
        {"/healthz", {"GET", &InferenceServer::healthz}},
        {"/metrics", {"GET", &InferenceServer::metrics}},
        {"/predict", {"POST", &InferenceServer::predict}},
    };
    auto found = routes.find(request.path);
    if (found == routes.end()) co_return http_status(404);
    if (found->second.method != request.method) {
      HttpResponse response = http_status(405);
      response.headers.emplace_back("Allow", found->second.method);
      co_return response;
    }
    co_return co_await (this->*found->second.handler)(std::move(request.body));
  }

  asio::awaitable<HttpResponse> page(std::string) {
    HttpResponse response;
    response.body = index_page();
    response.content_type = "text/html; charset=utf-8";
    co_return response;
  }
  asio::awaitable<HttpResponse> healthz(std::string) {
    HttpResponse response;
    response.body = "ok\n";
    co_return response;
  }
  asio::awaitable<HttpResponse> metrics(std::string) {
    HttpResponse response;
    response.body = metrics_.text(places_taken_, workers_.waiting());
    co_return response;
  }

  struct Pending {
    explicit Pending(asio::io_context& loop) : done(loop, asio::steady_timer::time_point::max()) {}
    asio::steady_timer done;
    std::optional<Outcome> outcome;
  };

  asio::awaitable<HttpResponse> predict(std::string body) {
    if (places_taken_ == options_.most_predictions) {
      HttpResponse response = http_status(503);
      response.headers.emplace_back("Retry-After", "1");
      co_return response;
    }
    struct Place {
      explicit Place(std::size_t& count) : taken(++count) {}
      ~Place() { --taken; }
      std::size_t& taken;
    } place(places_taken_);
    auto begin = std::chrono::steady_clock::now();
    auto pending = std::make_shared<Pending>(loop_);
    workers_.submit(options_.function, std::move(body), [this, pending](Outcome outcome) {
      asio::post(loop_, [pending, outcome = std::move(outcome)]() mutable {
        pending->outcome = std::move(outcome);
        pending->done.cancel();
      });
    });
    boost::system::error_code cancelled;
    // Both are the loop's: the outcome cannot come between the look and the wait.
    if (!pending->outcome) co_await pending->done.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    co_return answer_to(std::move(*pending->outcome), begin);
  }

  HttpResponse answer_to(Outcome outcome, std::chrono::steady_clock::time_point begin) {
    HttpResponse response;
    try {
      response.body = std::move(outcome).get();
      response.content_type = "application/json";
      metrics_.observe_prediction(std::chrono::steady_clock::now() - begin);
    } catch (const TaskError& error) {
      response = http_status(400);
      response.body = error.what() + std::string("\n");
    } catch (const std::exception&) {
      response = http_status(500);
    }
    return response;
  }

  ProcessExecutor& workers_;
  ServerOptions options_;
  asio::io_context loop_;
  HttpListener listener_;
  asio::signal_set signals_;
  ServerMetrics metrics_;
  Clients clients_;
  std::size_t places_taken_ = 0;
  bool accepting_ = false, ending_ = false;
};
