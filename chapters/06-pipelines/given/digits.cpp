#include <given/digits.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>

// The weights are in the program, so no process needs to find a file. They are little-endian floats, as they are in
// memory on all machines that we run on.
static_assert(std::endian::native == std::endian::little);
asm(".pushsection .rodata\n"
    ".balign 16\n"
    "interleave_digit_weights:\n"
    ".incbin \"" INTERLEAVE_DIGIT_WEIGHTS
    "\"\n"
    "interleave_digit_weights_end:\n"
    ".popsection\n");
extern "C" const float interleave_digit_weights[];
extern "C" const float interleave_digit_weights_end[];

namespace {

// A row is a pixel and a column a channel, or a row is a copy and a column a number that describes it.
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Eigen::Index;

// As in model/train.py.
constexpr int side = static_cast<int>(drawing_side);
constexpr int view_side = 16;
constexpr int digit_side = 14;
constexpr int ink = 64;
constexpr std::array<Index, 4> outputs = {12, 24, 64, 10};

struct Layer {
  Eigen::Map<const Matrix> weights;
  Eigen::Map<const Eigen::RowVectorXf> biases;

  Matrix operator()(const Matrix& x) const { return (x * weights).rowwise() + biases; }
};

// Takes the next layer from the weights.
Layer take(const float*& next, Index inputs, Index count) {
  const float* weights = next;
  const float* biases = weights + inputs * count;
  next = biases + count;
  return {Eigen::Map<const Matrix>(weights, inputs, count), Eigen::Map<const Eigen::RowVectorXf>(biases, count)};
}

// What a convolution multiplies: for every second pixel of every second row, the pixels around it, and 0 beyond the
// border.
Matrix unfold(const Matrix& x, int width, int kernel) {
  const int padding = kernel / 2, half = width / 2;
  const Index channels = x.cols(), pictures = x.rows() / (width * width);
  Matrix result = Matrix::Zero(pictures * half * half, kernel * kernel * channels);
  float* to = result.data();
  for (Index picture = 0; picture < pictures; ++picture) {
    const float* from = x.data() + picture * width * width * channels;
    for (int top = -padding; top < width - padding; top += 2) {
      for (int left = -padding; left < width - padding; left += 2) {
        const int begin = std::max(left, 0), end = std::min(left + kernel, width);
        for (int row = top; row < top + kernel; ++row, to += kernel * channels) {
          if (row < 0 || row >= width) continue;
          std::copy_n(from + (row * width + begin) * channels, (end - begin) * channels,
                      to + (begin - left) * channels);
        }
      }
    }
  }
  return result;
}

// The scores of each copy. Each row of `views` is a pixel.
Matrix scores(const Matrix& views) {
  const float* next = interleave_digit_weights;
  const Layer first = take(next, 5 * 5, outputs[0]);
  const Layer second = take(next, 3 * 3 * outputs[0], outputs[1]);
  const Layer third = take(next, 4 * 4 * outputs[1], outputs[2]);
  const Layer last = take(next, outputs[2], outputs[3]);
  if (next != interleave_digit_weights_end) throw std::logic_error("the weights are not those of this network");

  const Index copies = views.rows() / (view_side * view_side);
  Matrix x = first(unfold(views, 16, 5)).cwiseMax(0);
  x = second(unfold(x, 8, 3)).cwiseMax(0);
  x.resize(copies, 4 * 4 * outputs[1]);
  x = third(x).cwiseMax(0);
  return last(x);
}

// A drawing with a border of paper, and where the digit is on it.
class Digit {
 public:
  explicit Digit(std::span<const std::uint8_t> pixels) {
    int left = side, right = 0, top = side, bottom = 0;
    std::uint8_t darkest = 0;
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const std::uint8_t pixel = pixels[static_cast<std::size_t>(y * side + x)];
        at(x, y) = pixel;
        darkest = std::max(darkest, pixel);
        if (pixel < ink) continue;
        left = std::min(left, x), right = std::max(right, x + 1);
        top = std::min(top, y), bottom = std::max(bottom, y + 1);
      }
    }
    if (darkest < ink) return;
    there_ = true;
    for (float& pixel : pixels_) pixel /= darkest;
    x_ = static_cast<float>(left + right) / 2;
    y_ = static_cast<float>(top + bottom) / 2;
    scale_ = static_cast<float>(std::max(right - left, bottom - top)) / digit_side;
  }

  bool is_there() const { return there_; }

  // Writes what the network sees of a copy. Each pixel is a mean of four points.
  void look(float angle, float shift_x, float shift_y, float* view) const {
    const float cosine = std::cos(angle) * scale_, sine = std::sin(angle) * scale_;
    for (int y = 0; y < 2 * view_side; ++y) {
      const float v = (static_cast<float>(y) + 0.5f) / 2 - view_side / 2.0f - shift_y;
      for (int x = 0; x < 2 * view_side; ++x) {
        const float u = (static_cast<float>(x) + 0.5f) / 2 - view_side / 2.0f - shift_x;
        view[y / 2 * view_side + x / 2] += point(u * cosine + v * sine + x_, v * cosine - u * sine + y_) / 4;
      }
    }
  }

 private:
  static constexpr int row = side + 2;

  float& at(int x, int y) { return pixels_[static_cast<std::size_t>((y + 1) * row + x + 1)]; }

  // Between the middles of four pixels.
  float point(float x, float y) const {
    x = std::clamp(x + 0.5f, 0.0f, row - 1.001f), y = std::clamp(y + 0.5f, 0.0f, row - 1.001f);
    const int column = static_cast<int>(x), line = static_cast<int>(y);
    const float u = x - static_cast<float>(column), v = y - static_cast<float>(line);
    const float* pixel = &pixels_[static_cast<std::size_t>(line * row + column)];
    return (pixel[0] * (1 - u) + pixel[1] * u) * (1 - v) + (pixel[row] * (1 - u) + pixel[row + 1] * u) * v;
  }

  std::array<float, row * row> pixels_{};
  float x_ = 0, y_ = 0, scale_ = 1;
  bool there_ = false;
};

// A number from -limit to limit for each copy, spread evenly, and 0 for the first.
float spread(int copy, double step, double limit) {
  const double position = 0.5 + copy * step;
  return static_cast<float>((2 * (position - std::floor(position)) - 1) * limit);
}

}  // namespace

std::array<float, 10> classify(std::span<const std::uint8_t> pixels, int copies) {
  if (pixels.size() != drawing_pixels) throw std::invalid_argument("classify: a drawing has 28 * 28 pixels");
  if (copies < 1) throw std::invalid_argument("classify: less than one copy");
  std::array<float, 10> mean;
  mean.fill(0.1f);
  const Digit digit(pixels);
  if (!digit.is_there()) return mean;

  std::array<double, 10> sum{};
  constexpr int at_once = 16;  // so that it stays in the cache
  for (int first = 0; first < copies; first += at_once) {
    const int some = std::min(at_once, copies - first);
    Matrix views = Matrix::Zero(Index{some} * view_side * view_side, 1);
    for (int i = 0; i < some; ++i) {
      const int copy = first + i;
      digit.look(spread(copy, 0.8191725, 0.15), spread(copy, 0.6710436, 1), spread(copy, 0.5497005, 1),
                 views.data() + Index{i} * view_side * view_side);
    }
    Matrix likely = scores(views);
    likely = (likely.colwise() - likely.rowwise().maxCoeff()).array().exp().matrix();
    for (Index i = 0; i < some; ++i) {
      const float total = likely.row(i).sum();
      for (Index j = 0; j < 10; ++j) sum[static_cast<std::size_t>(j)] += likely(i, j) / total;
    }
  }
  for (std::size_t i = 0; i < 10; ++i) mean[i] = static_cast<float>(sum[i] / copies);
  return mean;
}
