#pragma once

// HTTP for an event loop: Boost.Beast, behind an interface that does not bring its headers along. http.cpp is compiled
// once, and not each time that you save.

#include <utility>  // Asio 1.74 uses it in its coroutines and does not include it

// Asio 1.74 does not know of other compilers than GCC that they have coroutines.
#ifndef BOOST_ASIO_HAS_CO_AWAIT
#define BOOST_ASIO_HAS_CO_AWAIT 1
#endif
#ifndef BOOST_ASIO_HAS_STD_COROUTINE
#define BOOST_ASIO_HAS_STD_COROUTINE 1
#endif

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <given/fork_server.hpp>  // Descriptor
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // as it was sent, "/a/../b" too, but without what follows a '?'
  std::string body;    // whole, however it came
  bool keep_alive;     // the client may send another request on this connection
};

struct HttpResponse {
  int status = 200;
  std::string body = {};
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers = {};  // more of them, as {"Retry-After", "1"}
};

/// A response with the status and what it is called: 404 and "Not Found\n".
HttpResponse http_status(int status);

/// What a client may cost. Without limits, as a library is if nobody says more, it may cost everything.
struct HttpLimits {
  static constexpr auto forever = std::chrono::milliseconds::max();

  std::uint32_t header_bytes = std::numeric_limits<std::uint32_t>::max();
  std::uint64_t body_bytes = std::numeric_limits<std::uint64_t>::max();
  std::chrono::milliseconds idle = forever;      // until the first byte of a request comes
  std::chrono::milliseconds request = forever;   // from there to its last byte
  std::chrono::milliseconds response = forever;  // until the client has taken all of it
};

/// What came of waiting for a request.
struct HttpIncoming {
  enum Kind {
    request,  // there is one
    refused,  // one that is not to be had: answer with `status` and close, since nobody knows where the next begins
    end,      // the client has gone, or was idle for too long, or stop_when_idle() was called: close
  } kind;
  HttpRequest value = {};
  /// 400 it is no HTTP; 408 it did not come in time; 413 the body is too long; 431 the header is too long. A body that
  /// is announced and too long is refused before it comes.
  int status = 0;
};

/// A connection to a client. The destructor closes it. For the loop's thread alone.
class HttpConnection {
 public:
  struct State;
  explicit HttpConnection(std::shared_ptr<State> state) : state_(std::move(state)) {}
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection();

  /// Waits for the next request. What a client sends ahead stays where it is until it is asked for. Does not throw.
  asio::awaitable<HttpIncoming> read(HttpLimits limits = {});

  /// Sends a response, whole. With `keep_alive` false it tells the client that it is the last one. One at a time.
  /// Throws std::system_error if the client has gone, or does not take it in time (ETIMEDOUT).
  asio::awaitable<void> write(HttpResponse response, bool keep_alive, HttpLimits limits = {});

  /// No request is waited for any more: read() ends, now or when it is next called, if the client has not begun to send
  /// one. A request that has begun to come, and a response, are not touched.
  void stop_when_idle();

 private:
  std::shared_ptr<State> state_;
};

/// A socket that clients connect to.
class HttpListener {
 public:
  /// `listening` is a stream socket of any family on which listen(2) was called; see listen_on().
  HttpListener(asio::io_context& loop, Descriptor listening);
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;
  ~HttpListener();

  /// The next client; null once close() was called. A client that is gone already is passed over. If this process has
  /// no descriptor left, waits until it has. Does not throw.
  asio::awaitable<std::shared_ptr<HttpConnection>> accept();

  /// No client is accepted any more.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// A socket that listens on a port of this machine, for this machine alone unless told "0.0.0.0". Port 0: one that is
/// free. Throws std::system_error.
Descriptor listen_on(std::uint16_t port, const char* address = "127.0.0.1");
std::uint16_t port_of(const Descriptor& listening);

/// The page of the server, where one draws a digit and sees the answer: HTML, with all that it needs.
std::string_view index_page();
