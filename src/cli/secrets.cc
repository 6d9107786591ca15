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

/// Where that ends which holds the text's byte at `at`. In quotes it may hold the same ones, so the last of them
/// counts.
std::size_t end_of(std::string_view text, std::size_t at) {
  const std::size_t before = text.find_last_of(" \t\r\n\"'", at);
  if (before == std::string_view::npos || (text[before] != '"' && text[before] != '\'')) return text.size();
  const std::size_t end = text.rfind(text[before]);
  return end == before ? text.size() : end;
}

/// From the first colon behind `://` to the last @.
Part password_of_url(std::string_view text, std::size_t from) {
  // The library's advice on how to write a URL.
  constexpr std::string_view kAdvice = "USER:PASSWORD@HOST:PORT/";
  if (text.substr(from).starts_with(kAdvice)) return {};
  const std::string_view url = text.substr(0, end_of(text, from - 1));
  const std::size_t end = url.rfind('@');
  const std::size_t colon = url.find(':', from);
  if (end == std::string_view::npos || colon == std::string_view::npos || colon > end) return {};
  return {.begin = colon + 1, .size = end - colon - 1};
}

/// In the order of their beginnings; they may lie in one another.
std::vector<Part> passwords_in(std::string_view text) {
  constexpr std::string_view kScheme = "://";
  constexpr std::string_view kKeyword = "password=";  // sslpassword= ends like it
  std::vector<Part> parts;
  for (std::size_t at = 0; at < text.size(); ++at) {
    Part part;
    if (text.substr(at).starts_with(kScheme)) {
      part = password_of_url(text, at + kScheme.size());
    } else if (text.substr(at).starts_with(kKeyword)) {
      part.begin = at + kKeyword.size();
      if (text.substr(part.begin).starts_with('\'')) ++part.begin;
      part.size = end_of(text, part.begin - 1) - part.begin;
    }
    if (part.size > 0) parts.push_back(part);
  }
  return parts;
}

}  // namespace

std::string without_passwords(std::string_view text) {
  std::string hidden;
  std::size_t kept = 0;
  for (const Part& part : passwords_in(text)) {
    if (part.begin > kept) hidden.append(text.substr(kept, part.begin - kept)).append("***");
    kept = std::max(kept, part.begin + part.size);
  }
  hidden += text.substr(kept);
  return hidden;
}

void hide_passwords(char* text) {
  for (const Part& part : passwords_in(text)) std::memset(text + part.begin, 'x', part.size);
}

}  // namespace tuskv::cli
