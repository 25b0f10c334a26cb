#include "grader/screening.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

namespace interleave {

namespace {

struct Rule {
  std::regex pattern;
  const char* sentence;
};

// What is looked for in the code, without its comments and without what is between quotation marks.
const std::vector<Rule>& rules_for_code() {
  static const std::vector<Rule> rules = [] {
    std::vector<Rule> made;
    auto add = [&](const char* pattern, const char* sentence) {
      made.push_back({std::regex(pattern, std::regex::optimize), sentence});
    };
    add(R"(\b(int|auto|void)\s+main\s*\()", "defines main(), which is the test program's");
    add(R"(\b(testing::|GTEST_\w+|(EXPECT|ASSERT)_\w+|ADD_FAILURE\w*|(INTERLEAVING_)?TEST(_F|_P)?\s*\())",
        "speaks to the test framework, which judges it");
    add(R"(\binterleave\s*::\s*(?!not_done\b|AsanStack\b)|\bnamespace\s+interleave\b)",
        "speaks to the test support, which judges it");
    add(R"(\b__has_(feature|extension)\b|\b__SANITIZE_\w+|\bunder_sanitizer\b|\btime_is_virtual\b)",
        "asks how it is compiled: an answer is the same under each lens");
    add(R"(\bno_sanitize\w*|\bdisable_sanitizer_instrumentation\b|\b__(tsan|asan|ubsan|lsan|sanitizer)_\w+|\bAnnotate\w+\()",
        "speaks to the sanitizer, which judges it");
    add(R"(\bexplorer_\w+|\bexplorer\s*::)", "speaks to the schedule explorer, which judges it");
    add(R"(\bdlsym\b|\bRTLD_NEXT\b|\b__(wrap|real)_\w+|\basm\s*\(\s*"\s*"\s*\)\s*;)",
        "gives functions the names that the linker knows, which may stand in for those of the system");
    add(R"(\b(gnu\s*::\s*|__attribute__\s*\(\(\s*)(constructor|init_priority|section)\b)",
        "runs before everything else");
    add(R"(\b(SYS_|__NR_)?(ptrace|process_vm_(readv|writev))\b)", "reaches into another process");
    add(R"(^\s*#\s*(embed|line)\b|^\s*#\s*pragma\s+(clang\s+attribute|redefine_extname|weak)\b)",
        "has a directive that no answer needs");
    return made;
  }();
  return rules;
}

// What is looked for between quotation marks and in the paths of includes.
const std::vector<Rule>& rules_for_text() {
  static const std::vector<Rule> rules = [] {
    std::vector<Rule> made;
    auto add = [&](const char* pattern, const char* sentence) {
      made.push_back({std::regex(pattern, std::regex::optimize), sentence});
    };
    add(R"(^\s*#\s*include\s*["<][^">]*(solutions/|/wrong/|/right/))", "includes another solution");
    add(R"(^\s*#\s*include\s*["<](/|[^">]*\.\./))", "includes a file by a path that leads out of the exercise");
    add(R"(^\s*#\s*include\s*["<](exercise/(?!not_done\.hpp)|explorer/|grader/|gtest/|gmock/|sanitizer/))",
        "includes a part of the grader");
    add(R"(\b_ZNK?10interleave)", "calls the test support by the names that the linker knows");
    add(R"(\.incbin\b)", "copies a file into the program");
    add(R"(INTERLEAVE_[A-Z]+|memfd:interleave)", "names what the grader keeps to itself");
    return made;
  }();
  return rules;
}

// The same text, line for line, with blanks for comments and, unless `with_text`, for what is between quotation marks.
std::string stripped(const std::string& text, bool with_text) {
  std::string result = text;
  auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to && i < result.size(); ++i) {
      if (result[i] != '\n') result[i] = ' ';
    }
  };
  for (std::size_t i = 0; i < text.size();) {
    if (text.compare(i, 2, "//") == 0) {
      std::size_t end = std::min(text.find('\n', i), text.size());
      blank(i, end);
      i = end;
    } else if (text.compare(i, 2, "/*") == 0) {
      std::size_t end = text.find("*/", i + 2);
      end = end == std::string::npos ? text.size() : end + 2;
      blank(i, end);
      i = end;
    } else if (text.compare(i, 2, "R\"") == 0 && text.find('(', i) != std::string::npos) {
      std::size_t open = text.find('(', i);
      std::string close = ")" + text.substr(i + 2, open - i - 2) + "\"";
      std::size_t end = text.find(close, open);
      end = end == std::string::npos ? text.size() : end + close.size();
      if (!with_text) blank(i + 2, end - 1);
      i = end;
    } else if (text[i] == '"' ||
               (text[i] == '\'' && (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1]))))) {
      std::size_t end = i + 1;
      while (end < text.size() && text[end] != text[i] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
      if (!with_text) blank(i + 1, end);
      i = end + 1;
    } else {
      ++i;
    }
  }
  return result;
}

void look(const std::string& text, const std::vector<Rule>& rules, const std::filesystem::path& file,
          std::vector<Failure>& found) {
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    for (const Rule& rule : rules) {
      if (!std::regex_search(line, rule.pattern)) continue;
      Place place{file.string(), number};
      found.push_back(
          {FailureKind::forbidden_shortcut, "", std::string("the graded file ") + rule.sentence, place, {}, {}, ""});
    }
  }
}

// Functions that are defined for C by the name of one that this system has. A function for C with a name of its own, as
// a context switch needs one, is nobody's but the learner's.
void look_for_stand_ins(const std::string& code, const std::filesystem::path& file, std::vector<Failure>& found) {
  static const std::regex definition(R"rule(\bextern\s*"\s*"[^;{}]*?\b(\w+)\s*\([^;{}]*\{|\bextern\s*"\s*"\s*\{)rule");
  static const std::regex in_a_block(R"((\w+)\s*\([^;{}()]*\)[^;{}()]*\{)");
  auto look_at = [&](const std::string& name, std::ptrdiff_t at) {
    if (name.empty() || ::dlsym(RTLD_DEFAULT, name.c_str()) == nullptr) return;
    Place place{file.string(), static_cast<int>(1 + std::count(code.begin(), code.begin() + at, '\n'))};
    std::string message = "the graded file defines " + name + "() for C, which would stand in for the system's";
    found.push_back({FailureKind::forbidden_shortcut, "", std::move(message), place, {}, {}, ""});
  };
  for (std::sregex_iterator it(code.begin(), code.end(), definition), end; it != end; ++it) {
    look_at((*it)[1], it->position());
    if ((*it)[1].matched) continue;
    auto begin = code.begin() + it->position() + it->length(), close = begin;
    for (int depth = 1; close != code.end() && depth > 0; ++close) depth += (*close == '{') - (*close == '}');
    for (std::sregex_iterator each(begin, close, in_a_block); each != end; ++each)
      look_at((*each)[1], begin - code.begin() + each->position());
  }
}

}  // namespace

std::vector<Failure> screen(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  std::vector<Failure> found;
  std::string code = stripped(text, false);
  look(code, rules_for_code(), file, found);
  look_for_stand_ins(code, file, found);
  look(stripped(text, true), rules_for_text(), file, found);
  return found;
}

}  // namespace interleave
