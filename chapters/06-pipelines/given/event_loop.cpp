#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <given/event_loop.hpp>

class EventLoop::AsioEngine final : public Engine {
 public:
  void post(std::function<void()> callback) override { boost::asio::post(context_, std::move(callback)); }
  void run() override {
    context_.restart();  // it stops when it has run out of work
    context_.run();
  }
  std::shared_ptr<void> work() override {
    using Guard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
    return std::make_shared<Guard>(context_.get_executor());
  }

 private:
  boost::asio::io_context context_;
};

EventLoop::EventLoop() : engine_(std::make_unique<AsioEngine>()) {}
