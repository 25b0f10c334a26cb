// Whatever a peer writes into the pipe and then closes it, FrameReader gives the messages that are there, byte by byte,
// and then says rightly how the stream ended; and FrameWriter writes those messages as they were.
//
// The first byte of an input is the largest length that the reader accepts, a power of two; the rest is the stream. The
// files in corpus/ were written by hand: whole messages, empty ones, and each of the ways in which a stream can be cut
// or a length be a lie.

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <framed_pipe.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace {

struct Pipe {
  int reading, writing;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    reading = ends[0], writing = ends[1];
  }
  ~Pipe() { ::close(reading), close_writing(); }
  void close_writing() {
    if (writing >= 0) ::close(writing);
    writing = -1;
  }
};

enum class End { whole, truncated, oversized };

struct Next {
  End end;                                  // how the stream ends, where there is no message any more
  std::optional<std::string_view> message;  // of the stream
};

// The first message of what is left of the stream, as the specification has it.
Next next_message(std::string_view stream, std::uint64_t largest) {
  if (stream.empty()) return {End::whole, {}};
  if (stream.size() < 8) return {End::truncated, {}};
  std::uint64_t length;
  std::memcpy(&length, stream.data(), 8);  // little-endian, as the machines are that have libFuzzer
  if (length > largest) return {End::oversized, {}};
  if (length > stream.size() - 8) return {End::truncated, {}};
  return {End::whole, stream.substr(8, static_cast<std::size_t>(length))};
}

void must(bool holds) {
  if (!holds) std::abort();
}

void write_and_compare(std::string_view message, std::string_view written) {
  Pipe pipe;
  FrameWriter(pipe.writing).write_message(message);
  pipe.close_writing();
  std::string stream(written.size() + 1, '\0');
  must(::read(pipe.reading, stream.data(), stream.size()) == static_cast<ssize_t>(written.size()));
  must(stream.substr(0, written.size()) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 65536) return 0;  // what a pipe holds
  std::uint64_t largest = std::uint64_t{1} << (data[0] % 64);
  std::string_view stream(reinterpret_cast<const char*>(data + 1), size - 1);

  Pipe pipe;
  must(::write(pipe.writing, stream.data(), stream.size()) == static_cast<ssize_t>(stream.size()));
  pipe.close_writing();
  FrameReader reader(pipe.reading, static_cast<std::size_t>(largest));
  while (true) {
    auto [expected_end, message] = next_message(stream, largest);
    // Once more than needed: what ended a stream stays so.
    for (int calls = message ? 1 : 2; calls > 0; --calls) {
      End end = End::whole;
      std::optional<std::string> read;
      try {
        read = reader.read_message();
      } catch (const TruncatedMessage&) {
        end = End::truncated;
      } catch (const OversizedMessage&) {
        end = End::oversized;
      }
      must(read == message && end == expected_end);
    }
    if (!message) return 0;
    write_and_compare(*message, stream.substr(0, 8 + message->size()));
    stream.remove_prefix(8 + message->size());
  }
}
