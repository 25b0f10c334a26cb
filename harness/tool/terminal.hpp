#pragma once

#include <termios.h>

#include <string>

namespace interleave {

/// How text may look on an output: colours unless NO_COLOR (no-color.org) or it is no terminal; signs beyond ASCII if
/// the locale has them.
struct Style {
  bool colour = false;
  bool unicode = false;
  int width = 80;  // columns

  static Style of(int descriptor);

  std::string bold(const std::string& text) const { return wrap("1", text); }
  std::string dim(const std::string& text) const { return wrap("2", text); }
  std::string red(const std::string& text) const { return wrap("31", text); }
  std::string green(const std::string& text) const { return wrap("32", text); }
  std::string yellow(const std::string& text) const { return wrap("33", text); }
  std::string pass() const { return green(unicode ? "✓" : "ok"); }
  std::string fail() const { return red(unicode ? "✗" : "X"); }

 private:
  std::string wrap(const char* code, const std::string& text) const {
    return colour ? "\x1b[" + std::string(code) + "m" + text + "\x1b[0m" : text;
  }
};

/// Folds text at spaces into lines of at most `width` columns, each behind `indent`. Keeps the line breaks that are
/// there.
std::string fold(const std::string& text, int width, const std::string& indent);

/// Keys one at a time and without echo, for as long as it lives; Ctrl-C still is a signal. The destructor puts the
/// terminal back.
class KeyMode {
 public:
  KeyMode();
  KeyMode(const KeyMode&) = delete;
  KeyMode& operator=(const KeyMode&) = delete;
  ~KeyMode();

 private:
  termios before_;
};

/// Runs `session` in a child process and returns its exit status. This process only waits, and puts the terminal back
/// as it was when the child is gone, whatever ended it; it passes on the signals that ask it to stop.
int run_guarded(int (*session)(void*), void* argument);

/// Asks a question that is answered by y or n; `otherwise` for any other answer or no terminal.
bool ask(const std::string& question, bool otherwise);

}  // namespace interleave
