#include "tool/replay_page.hpp"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

namespace interleave {

namespace {

// replay_page.html
constexpr const char* page_template =
#include "replay_page_template.inc"
    ;

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

std::string replay_page(const Failure& failure, const std::filesystem::path& root) {
  std::string page = page_template;
  constexpr std::string_view hole = "SCHEDULE_AS_JSON";

  nlohmann::json schedule = failure.timeline;
  // Whoever is sent the page need not learn where the workbook stood.
  for (nlohmann::json& row : schedule["rows"]) {
    auto& path = row["place"]["file"].get_ref<std::string&>();
    if (path.starts_with(root.string() + "/")) path.erase(0, root.string().size() + 1);
  }
  schedule["test"] = failure.test;
  schedule["kind"] = name_of(failure.kind);
  schedule["message"] = failure.message;
  schedule["files"] = nlohmann::json::object();
  for (const nlohmann::json& row : schedule["rows"]) {
    auto path = row["place"]["file"].get<std::string>();
    if (!path.empty() && !schedule["files"].contains(path)) schedule["files"][path] = text_of(root / path);
  }
  std::string json = schedule.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // "</script>" in a line of the source would end the element that holds the data (HTML, 4.12.1.3).
  for (auto less = json.find('<'); less != std::string::npos; less = json.find('<', less + 1))
    json.replace(less, 1, "\\u003c");
  return page.replace(page.find(hole), hole.size(), json);
}

}  // namespace interleave
