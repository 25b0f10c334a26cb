#pragma once

// JPEG files: drawn, written, and read again as training does, with a random crop, a resize and a flip.

#include <given/random.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs it
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <jpeglib.h>

/// Rows of pixels, four bytes each: red, green, blue, and one that means nothing.
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> bytes;

  Image() = default;
  Image(int columns, int rows)
      : width(columns), height(rows), bytes(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows) * 4) {}
  std::uint8_t* row(int y) { return bytes.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 4; }
  const std::uint8_t* row(int y) const { return const_cast<Image*>(this)->row(y); }
};

/// A part of an image, in pixels.
struct Box {
  int x, y, width, height;
};

namespace photographs {

// libjpeg reports an error by a call that must not return. It is C, so we leave it by longjmp and throw outside.
struct JpegErrors : jpeg_error_mgr {
  std::jmp_buf out{};
  char text[JMSG_LENGTH_MAX] = "";

  JpegErrors() {
    jpeg_std_error(this);
    error_exit = [](j_common_ptr codec) { leave(codec); };
    // A warning is told for data that is damaged. It would go on with grey.
    emit_message = [](j_common_ptr codec, int level) {
      if (level < 0) leave(codec);
    };
  }
  [[noreturn]] static void leave(j_common_ptr codec) {
    auto* errors = static_cast<JpegErrors*>(codec->err);
    errors->format_message(codec, errors->text);
    std::longjmp(errors->out, 1);
  }
};

// What lives while libjpeg runs, so that a longjmp passes by no destructor.
struct Decoder {
  jpeg_decompress_struct codec{};
  JpegErrors errors;
  Decoder() { codec.err = &errors; }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&codec); }

  [[noreturn]] void fail() const { throw std::runtime_error(std::string("no JPEG that can be read: ") + errors.text); }

  void read_header(std::span<const std::uint8_t> file) {
    if (setjmp(errors.out) != 0) fail();
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, file.data(), file.size());
    jpeg_read_header(&codec, TRUE);
  }

  // Begins to read rows, from the first row of the box. Returns what must be read of each: the box and some pixels
  // around it, because libjpeg computes the colour of a pixel from its neighbours, too.
  Box start(const Box& box) {
    if (setjmp(errors.out) != 0) fail();
    codec.out_color_space = JCS_EXT_RGBX;
    jpeg_start_decompress(&codec);
    constexpr int around = 16;
    JDIMENSION x = static_cast<JDIMENSION>(std::max(box.x - around, 0));
    JDIMENSION end = std::min(static_cast<JDIMENSION>(box.x + box.width + around), codec.output_width);
    JDIMENSION width = end - x;
    if (width < codec.output_width) jpeg_crop_scanline(&codec, &x, &width);
    if (box.y > 0) jpeg_skip_scanlines(&codec, static_cast<JDIMENSION>(box.y));
    return {static_cast<int>(x), box.y, static_cast<int>(codec.output_width), box.height};
  }

  void read_row(std::uint8_t* row) {
    if (setjmp(errors.out) != 0) fail();
    jpeg_read_scanlines(&codec, &row, 1);
  }
};

inline std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  std::error_code error;
  auto size = std::filesystem::file_size(path, error);
  if (!file || error) throw std::runtime_error("cannot be opened");
  std::vector<std::uint8_t> bytes(size);
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) throw std::runtime_error("cannot be read");
  return bytes;
}

}  // namespace photographs

/// A JPEG file, open. The errors of all functions are std::runtime_error and do not name the file.
class JpegFile {
 public:
  explicit JpegFile(const std::filesystem::path& path) : file_(photographs::read_file(path)) {
    decoder_.read_header(file_);
    // Not every part of it is looked at, so that it is cut off would not always be noticed.
    const std::uint8_t end[] = {0xff, 0xd9};
    if (std::search(file_.rbegin(), file_.rend(), std::rbegin(end), std::rend(end)) == file_.rend()) {
      throw std::runtime_error("no JPEG that can be read: it has no end");
    }
  }

  int width() const { return static_cast<int>(decoder_.codec.image_width); }
  int height() const { return static_cast<int>(decoder_.codec.image_height); }

  /// The pixels in the box, which lies within the image. They are those of the whole image, but what lies below the box
  /// is not decoded, and of the rest only as much as is needed. To be called once.
  Image decode(const Box& box) {
    const Box read = decoder_.start(box);
    Image image(box.width, box.height);
    std::vector<std::uint8_t> row(static_cast<std::size_t>(read.width) * 4);
    for (int y = 0; y < box.height; ++y) {
      decoder_.read_row(row.data());
      std::copy_n(row.data() + static_cast<std::ptrdiff_t>(box.x - read.x) * 4, box.width * 4, image.row(y));
    }
    return image;
  }

 private:
  std::vector<std::uint8_t> file_;
  photographs::Decoder decoder_;
};

/// Resizes with antialiasing: each new pixel is a mean of all the old ones under it, weighted by a triangle that is as
/// wide as two new pixels (or two old ones, if these are wider). First along the rows and then along the columns, in
/// integers, rounded in between: bit for bit what Pillow's `Image.resize(..., Image.BILINEAR)` does.
inline Image resize(const Image& image, int width, int height) {
  constexpr int fraction_bits = 22;
  // For each new pixel along one side: where the old ones begin, how many there are, and the weight of each.
  struct Weights {
    int taps;
    std::vector<int> first, count, weight;

    Weights(int from, int to) : first(static_cast<std::size_t>(to)), count(first) {
      const double scale = static_cast<double>(from) / to, support = std::max(scale, 1.0);
      taps = static_cast<int>(std::ceil(support)) * 2 + 1;
      weight.resize(static_cast<std::size_t>(taps * to));
      std::vector<double> exact(static_cast<std::size_t>(taps));
      for (int i = 0; i < to; ++i) {
        const double center = (i + 0.5) * scale;
        const int begin = std::max(static_cast<int>(center - support + 0.5), 0);
        const int end = std::min(static_cast<int>(center + support + 0.5), from);
        double sum = 0;
        for (int j = begin; j < end; ++j) {
          double& each = exact[static_cast<std::size_t>(j - begin)];
          each = std::max(1 - std::abs((j - center + 0.5) * (1 / support)), 0.0);
          sum += each;
        }
        first[static_cast<std::size_t>(i)] = begin;
        count[static_cast<std::size_t>(i)] = end - begin;
        for (int j = begin; j < end; ++j) {
          weight[static_cast<std::size_t>(i * taps + j - begin)] =
              static_cast<int>(0.5 + exact[static_cast<std::size_t>(j - begin)] / sum * (1 << fraction_bits));
        }
      }
    }
  };
  constexpr int half = 1 << (fraction_bits - 1);
  auto rounded = [](int sum) { return static_cast<std::uint8_t>(std::min(sum >> fraction_bits, 255)); };

  const Weights across(image.width, width), down(image.height, height);
  Image narrow(width, image.height);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* in = image.row(y);
    std::uint8_t* out = narrow.row(y);
    for (int x = 0; x < width; ++x, out += 4) {
      const auto i = static_cast<std::size_t>(x);
      const int* weight = &across.weight[i * static_cast<std::size_t>(across.taps)];
      const std::uint8_t* pixel = in + static_cast<std::ptrdiff_t>(across.first[i]) * 4;
      int red = half, green = half, blue = half;
      for (int tap = 0; tap < across.count[i]; ++tap, pixel += 4) {
        red += pixel[0] * weight[tap], green += pixel[1] * weight[tap], blue += pixel[2] * weight[tap];
      }
      out[0] = rounded(red), out[1] = rounded(green), out[2] = rounded(blue);
    }
  }
  Image result(width, height);
  const int row_bytes = width * 4;
  std::vector<int> sums(static_cast<std::size_t>(row_bytes));
  for (int y = 0; y < height; ++y) {
    const auto i = static_cast<std::size_t>(y);
    std::fill(sums.begin(), sums.end(), half);
    for (int tap = 0; tap < down.count[i]; ++tap) {
      const int weight = down.weight[i * static_cast<std::size_t>(down.taps) + static_cast<std::size_t>(tap)];
      const std::uint8_t* in = narrow.row(down.first[i] + tap);
      int* sum = sums.data();
      for (int byte = 0; byte < row_bytes; ++byte) sum[byte] += in[byte] * weight;
    }
    std::transform(sums.begin(), sums.end(), result.row(y), rounded);
  }
  return result;
}

/// Reads a photograph for training: a random part of it, at least half as wide and half as high, resized to a square,
/// and in one of two cases flipped left to right. `pixels` takes the square: rows of pixels of three bytes, red, green
/// and blue, side * side * 3 bytes in all. Throws std::runtime_error if the file cannot be read; its text does not name
/// the file.
inline void load_photograph(const std::filesystem::path& path, Random& random, std::span<std::uint8_t> pixels) {
  const int side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(pixels.size() / 3))));
  if (static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3 != pixels.size()) {
    throw std::invalid_argument("load_photograph: the room is not that of a square");
  }
  JpegFile file(path);
  auto draw = [&](int count) { return static_cast<int>(random.below(static_cast<std::uint64_t>(count))); };
  Box box{};
  box.width = std::max(file.width() * (50 + draw(51)) / 100, 1);
  box.height = std::max(file.height() * (50 + draw(51)) / 100, 1);
  box.x = draw(file.width() - box.width + 1);
  box.y = draw(file.height() - box.height + 1);
  const bool flip = draw(2) == 1;

  const Image image = resize(file.decode(box), side, side);
  std::uint8_t* out = pixels.data();
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x, out += 3) std::copy_n(image.row(y) + (flip ? side - 1 - x : x) * 4, 3, out);
  }
}

/// A picture that looks like none, but is as hard to code as a photograph: a sky, hills with grain, and some balls.
inline Image draw_photograph(std::uint64_t seed, int width = 500, int height = 375) {
  Random random(seed, 0, 0);
  auto number = [&](double from, double to) {
    return from + (to - from) * static_cast<double>(random.below(std::uint64_t{1} << 32)) / 4294967296.0;
  };
  struct Ball {
    double x, y, radius;
    std::array<double, 3> colour;
  };
  std::vector<Ball> balls(6);
  for (Ball& ball : balls) {
    ball = {number(0, width), number(0.3, 1) * height, number(0.03, 0.15) * height, {}};
    for (double& part : ball.colour) part = number(20, 235);
  }
  std::array<std::array<double, 3>, 4> waves{};
  for (auto& wave : waves) wave = {number(0.005, 0.06), number(0, 6), number(0.01, 0.06) * height};
  const std::array<double, 3> sky = {number(80, 160), number(120, 190), number(180, 250)};
  const std::array<double, 3> ground = {number(50, 130), number(70, 150), number(20, 90)};

  Image image(width, height);
  std::vector<double> horizon(static_cast<std::size_t>(width));
  for (int x = 0; x < width; ++x) {
    double& here = horizon[static_cast<std::size_t>(x)] = 0.45 * height;
    for (auto& [frequency, phase, size] : waves) here += size * std::sin(frequency * x + phase);
  }
  for (int y = 0; y < height; ++y) {
    std::uint8_t* pixel = image.row(y);
    for (int x = 0; x < width; ++x, pixel += 4) {
      const bool above = y < horizon[static_cast<std::size_t>(x)];
      const double grain = above ? number(-3, 3) : number(-28, 28);
      std::array<double, 3> colour = above ? sky : ground;
      double light = above ? 1.0 - 0.4 * y / height : 0.7 + 0.5 * y / height;
      for (const Ball& ball : balls) {
        const double dx = (x - ball.x) / ball.radius, dy = (y - ball.y) / ball.radius, away = dx * dx + dy * dy;
        if (away < 1) colour = ball.colour, light = 0.4 + 0.8 * std::sqrt(1 - away);
      }
      for (std::size_t i = 0; i < 3; ++i) {
        pixel[i] = static_cast<std::uint8_t>(std::clamp(colour[i] * light + grain, 0.0, 255.0));
      }
    }
  }
  return image;
}

/// Writes an image as a JPEG file, with the usual subsampling of colours. Throws std::runtime_error.
inline void write_jpeg(const std::filesystem::path& path, const Image& image, int quality = 88) {
  struct Encoder {
    jpeg_compress_struct codec{};
    photographs::JpegErrors errors;
    unsigned char* bytes = nullptr;
    unsigned long size = 0;
    ~Encoder() {
      jpeg_destroy_compress(&codec);
      std::free(bytes);
    }
  };
  Encoder encoder;
  encoder.codec.err = &encoder.errors;
  if (setjmp(encoder.errors.out) != 0) throw std::runtime_error(encoder.errors.text);
  jpeg_create_compress(&encoder.codec);
  jpeg_mem_dest(&encoder.codec, &encoder.bytes, &encoder.size);
  encoder.codec.image_width = static_cast<JDIMENSION>(image.width);
  encoder.codec.image_height = static_cast<JDIMENSION>(image.height);
  encoder.codec.input_components = 4;
  encoder.codec.in_color_space = JCS_EXT_RGBX;
  jpeg_set_defaults(&encoder.codec);
  jpeg_set_quality(&encoder.codec, quality, TRUE);
  jpeg_start_compress(&encoder.codec, TRUE);
  for (int y = 0; y < image.height; ++y) {
    JSAMPROW row = const_cast<JSAMPROW>(image.row(y));
    jpeg_write_scanlines(&encoder.codec, &row, 1);
  }
  jpeg_finish_compress(&encoder.codec);
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(encoder.bytes), static_cast<std::streamsize>(encoder.size));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}
