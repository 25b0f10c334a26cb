#include "tool/texts.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include "grader/process.hpp"

namespace interleave {

namespace {

std::string page_in(const std::filesystem::path& folder, const Session& session, const std::string& name) {
  for (const std::string& ending : {session.language == "ko" ? ".ko.md" : ".md", ".md"}) {
    std::ifstream file(folder / (name + ending));
    if (file) return {std::istreambuf_iterator<char>(file), {}};
  }
  throw UsageError("There is no " + name + " page here: " + (folder / (name + ".md")).string() +
                   " is missing. Bring it back with git checkout, or read it in the repository.");
}

}  // namespace

std::string page(const Session& session, const Exercise& exercise, const std::string& name) {
  return page_in(exercise.folder, session, name);
}

std::string chapter_page(const Session& session, const Exercise& exercise) {
  return page_in(exercise.folder.parent_path(), session, "lesson");
}

std::vector<std::string> sections_of(const std::string& page) {
  std::vector<std::string> sections;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) {
      sections.emplace_back();
    } else if (!sections.empty() && (!sections.back().empty() || !line.empty())) {
      sections.back() += line + "\n";
    }
  }
  return sections;
}

std::string rendered(const std::string& markdown, const Style& style) {
  std::string text;
  std::istringstream lines(markdown);
  bool code = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      code = !code;
      continue;
    }
    if (code) {
      text += "    " + style.dim(line) + "\n";
    } else if (line.starts_with("#")) {
      text += style.bold(line.substr(line.find_first_not_of("# "))) + "\n";
    } else {
      text += line + "\n";
    }
  }
  return text;
}

void show_page(const std::string& text) {
  winsize size{};
  bool fits =
      ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || std::count(text.begin(), text.end(), '\n') < size.ws_row;
  if (::isatty(STDOUT_FILENO) == 1 && ::isatty(STDIN_FILENO) == 1 && !fits) {
    const char* wanted = std::getenv("PAGER");
    std::FILE* file = std::tmpfile();
    if (file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0) {
      try {
        // The pager reads the keys from the terminal and the text from its input.
        std::rewind(file);
        Command command;
        command.arguments = {"/bin/sh", "-c", wanted != nullptr && *wanted != '\0' ? wanted : "less -R || more"};
        command.input = ::fileno(file);
        command.own_group = false;
        Ending ending = Process(command).wait();
        std::fclose(file);
        if (ending.succeeded()) return;
        file = nullptr;
      } catch (const std::system_error&) {
        // No shell to start a pager with: print it.
      }
    }
    if (file != nullptr) std::fclose(file);
  }
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace interleave
