#include <06-inference-server/http.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <system_error>

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = asio::generic::stream_protocol::socket;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;
using ErrorCode = boost::system::error_code;

namespace {

[[noreturn]] void fail(int error, const char* what) { throw std::system_error(error, std::generic_category(), what); }

int family_of(int socket) {
  int family = 0;
  socklen_t size = sizeof(family);
  if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) fail(errno, "getsockopt");
  return family;
}

}  // namespace

struct HttpConnection::State : std::enable_shared_from_this<State> {
  explicit State(Socket connected) : socket(std::move(connected)), timer(socket.get_executor()) {}

  // When the time is up the socket is shut down. Merely to cancel what is under way would not do: an operation of
  // several steps may be between two of them, and would go on with the next.
  void set_deadline(std::chrono::milliseconds after, int how) {
    end_deadline();
    if (after == HttpLimits::forever) return;
    timer.expires_after(after);
    timer.async_wait([weak = weak_from_this(), now = generation, how](ErrorCode error) {
      auto state = weak.lock();
      if (error || !state || state->generation != now) return;
      state->expired = true;
      ::shutdown(state->socket.native_handle(), how);
      if (how != SHUT_RD) state->socket.cancel(error);
    });
  }
  void end_deadline() {
    ++generation;
    expired = false;
    timer.cancel();
  }

  Socket socket;
  asio::steady_timer timer;
  beast::flat_buffer buffer;
  int generation = 0;
  bool expired = false;
  bool idle = false, stopped = false;
  unsigned version = 11;  // of the client's HTTP
};

// What is still unread would make the kernel reset the connection, and the client might lose the response with it.
HttpConnection::~HttpConnection() {
  const int socket = state_->socket.native_handle();
  ::shutdown(socket, SHUT_WR);
  std::array<char, 4096> rest;
  for (int i = 0; i < 64 && ::recv(socket, rest.data(), rest.size(), MSG_DONTWAIT) > 0; ++i) {
  }
  state_->end_deadline();
}

asio::awaitable<HttpIncoming> HttpConnection::read(HttpLimits limits) {
  auto state = state_;
  ErrorCode error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  if (state->buffer.size() == 0) {
    state->idle = true;
    if (state->stopped) ::shutdown(state->socket.native_handle(), SHUT_RD);
    state->set_deadline(limits.idle, SHUT_RD);
    std::size_t size = co_await state->socket.async_read_some(state->buffer.prepare(4096), token);
    state->buffer.commit(size);
    state->idle = false;
    if (error) co_return HttpIncoming{HttpIncoming::end};
  }

  http::request_parser<http::string_body> parser;
  parser.header_limit(limits.header_bytes);
  parser.body_limit(limits.body_bytes);
  state->set_deadline(limits.request, SHUT_RD);
  co_await http::async_read_header(state->socket, state->buffer, parser, token);
  if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(state->socket, asio::buffer(go_on), token);
  }
  if (!error && !parser.is_done()) co_await http::async_read(state->socket, state->buffer, parser, token);
  const bool late = state->expired;
  state->end_deadline();

  if (error) {
    HttpIncoming refused{HttpIncoming::refused};
    if (late) {
      refused.status = 408;
    } else if (error == http::error::header_limit) {
      refused.status = 431;
    } else if (error == http::error::body_limit || error == http::error::buffer_overflow) {
      refused.status = 413;
    } else if (error.category() == make_error_code(http::error::bad_method).category() &&
               error != http::error::partial_message && error != http::error::end_of_stream) {
      refused.status = 400;
    } else {
      co_return HttpIncoming{HttpIncoming::end};
    }
    co_return refused;
  }
  auto message = parser.release();
  state->version = message.version();
  HttpIncoming incoming{HttpIncoming::request};
  incoming.value.method = std::string(message.method_string());
  incoming.value.path = std::string(message.target().substr(0, message.target().find('?')));
  incoming.value.keep_alive = message.keep_alive();
  incoming.value.body = std::move(message.body());
  co_return incoming;
}

asio::awaitable<void> HttpConnection::write(HttpResponse response, bool keep_alive, HttpLimits limits) {
  auto state = state_;
  http::response<http::string_body> message(static_cast<http::status>(response.status), state->version);
  message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  message.keep_alive(keep_alive);
  message.body() = std::move(response.body);
  message.prepare_payload();

  ErrorCode error;
  state->set_deadline(limits.response, SHUT_RDWR);
  co_await http::async_write(state->socket, message, asio::redirect_error(asio::use_awaitable, error));
  const bool late = state->expired;
  state->end_deadline();
  if (late) fail(ETIMEDOUT, "HttpConnection::write");
  if (error) fail(error.value(), "HttpConnection::write");
}

void HttpConnection::stop_when_idle() {
  state_->stopped = true;
  // What has arrived can still be read after that; then comes the end.
  if (state_->idle) ::shutdown(state_->socket.native_handle(), SHUT_RD);
}

struct HttpListener::State {
  State(asio::io_context& loop, Descriptor listening)
      : acceptor(loop), retry(loop), family(family_of(listening.get())) {
    const int copy = ::fcntl(listening.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) fail(errno, "HttpListener");
    acceptor.assign(asio::generic::stream_protocol(family, 0), copy);
  }

  Acceptor acceptor;
  asio::steady_timer retry;
  int family;
};

HttpListener::HttpListener(asio::io_context& loop, Descriptor listening)
    : state_(std::make_shared<State>(loop, std::move(listening))) {}
HttpListener::~HttpListener() = default;

asio::awaitable<std::shared_ptr<HttpConnection>> HttpListener::accept() {
  auto state = state_;
  while (state->acceptor.is_open()) {
    ErrorCode error;
    Socket socket = co_await state->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      co_return std::make_shared<HttpConnection>(std::make_shared<HttpConnection::State>(std::move(socket)));
    }
    if (error == asio::error::no_descriptors || error == asio::error::no_memory) {
      // The client stays in the queue, and so would the event: to ask again at once would be a loop that spins.
      state->retry.expires_after(std::chrono::milliseconds(50));
      co_await state->retry.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }
  co_return nullptr;
}

void HttpListener::close() {
  ErrorCode ignored;
  state_->acceptor.close(ignored);
  state_->retry.cancel();
}

HttpResponse http_status(int status) {
  HttpResponse response{status};
  response.body = std::string(http::obsolete_reason(static_cast<http::status>(status))) + "\n";
  return response;
}

Descriptor listen_on(std::uint16_t port, const char* address) {
  Descriptor listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (listening.get() < 0) fail(errno, "socket");
  const int yes = 1;
  ::setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  if (::inet_pton(AF_INET, address, &name.sin_addr) != 1) fail(EINVAL, address);
  if (::bind(listening.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0) fail(errno, "bind");
  if (::listen(listening.get(), SOMAXCONN) != 0) fail(errno, "listen");
  return listening;
}

std::uint16_t port_of(const Descriptor& listening) {
  sockaddr_in name{};
  socklen_t size = sizeof(name);
  if (::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) fail(errno, "getsockname");
  return ntohs(name.sin_port);
}
