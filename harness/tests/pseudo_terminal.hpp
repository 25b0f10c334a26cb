#pragma once

#include <sys/types.h>
#include <termios.h>

#include <map>
#include <string>
#include <vector>

namespace interleave {

/// A program in a pseudo-terminal, driven as a person would: type, look, wait for a text. The destructor ends it.
class PseudoTerminal {
 public:
  PseudoTerminal(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment);
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;
  ~PseudoTerminal();

  void type(const std::string& keys);
  void resize(unsigned short columns, unsigned short rows);

  /// Reads until `text` is on the screen, that is, behind the last clearing of it; false if the watchdog (60 s) comes
  /// first or the program ends.
  bool shows(const std::string& text);
  /// What is on the screen, without colours.
  std::string screen() const;

  /// Waits for the program's end; its exit status, or 128 and the signal. -1 if the watchdog comes first.
  int wait_for_end();

  /// All that was written so far, colours included.
  const std::string& raw() const { return output_; }

  pid_t pid() const { return pid_; }
  /// The terminal's settings as the program has left them.
  termios settings() const;

 private:
  bool read_some(int milliseconds);

  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string output_;
};

}  // namespace interleave
