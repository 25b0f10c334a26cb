#pragma once

#include <string>
#include <vector>

#include "tool/session.hpp"

namespace interleave {

/// A page beside an exercise in the session's language: "lesson" or "hints". English where there is no translation.
std::string page(const Session& session, const Exercise& exercise, const std::string& name);

/// The opening page of the chapter that an exercise is in.
std::string chapter_page(const Session& session, const Exercise& exercise);

/// The sections of a page under its `## ` headings, without the headings.
std::vector<std::string> sections_of(const std::string& page);

/// Markdown made readable in a terminal: headings bold, code dim, the rest as it is written.
std::string rendered(const std::string& markdown, const Style& style);

/// Shows a long text in $PAGER, or less, when there is a terminal and the text is longer than it; else prints it.
void show_page(const std::string& text);

}  // namespace interleave
