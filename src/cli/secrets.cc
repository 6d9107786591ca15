#include "cli/secrets.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace tuskv::cli {

namespace {

struct Part {
  std::size_t begin = 0;
  std::size_t size = 0;
};

constexpr std::string_view kWordEnds = " \t\r\n\"'";

/// From the first colon behind `://` to the last @ of the word.
Part password_of_url(std::string_view text, std::size_t from) {
  const std::string_view word = text.substr(0, std::min(text.find_first_of(kWordEnds, from), text.size()));
  const std::size_t end = word.rfind('@');
  const std::size_t colon = word.find(':', from);
  if (end == std::string_view::npos || end < from || colon == std::string_view::npos || colon > end) return {};
  return {.begin = colon + 1, .size = end - colon - 1};
}

std::vector<Part> passwords_in(std::string_view text) {
  constexpr std::string_view kScheme = "://";
  constexpr std::string_view kKeyword = "password=";  // sslpassword= ends like it
  std::vector<Part> parts;
  for (std::size_t at = 0; at < text.size();) {
    Part part;
    if (text.substr(at).starts_with(kScheme)) {
      part = password_of_url(text, at + kScheme.size());
    } else if (text.substr(at).starts_with(kKeyword)) {
      part.begin = at + kKeyword.size();
      // In quotes it may hold blanks.
      const bool quoted = text.substr(part.begin).starts_with('\'');
      if (quoted) ++part.begin;
      part.size = std::min(text.find_first_of(quoted ? "'" : "& \t\r\n\"'", part.begin), text.size()) - part.begin;
    }
    // The library's advice on how to write a URL says so itself.
    const bool is_advice = text.substr(part.begin, part.size) == "PASSWORD";
    if (part.size > 0 && !is_advice) parts.push_back(part);
    at = std::max(at + 1, part.begin + part.size);
  }
  return parts;
}

}  // namespace

std::string without_passwords(std::string_view text) {
  std::string hidden;
  std::size_t kept = 0;
  for (const Part& part : passwords_in(text)) {
    hidden += text.substr(kept, part.begin - kept);
    hidden += "***";
    kept = part.begin + part.size;
  }
  hidden += text.substr(kept);
  return hidden;
}

void hide_passwords(char* text) {
  for (const Part& part : passwords_in(text)) std::memset(text + part.begin, 'x', part.size);
}

}  // namespace tuskv::cli
