#include "url.h"

#include <algorithm>

#include "ascii.h"
#include "option_table.h"

namespace tuskv {
namespace {

Status wrong(std::string message) { return Status(Code::Config, std::move(message)); }

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Result<std::string> decoded(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return wrong("a % in a URL must be followed by two hexadecimal digits (%25 for itself)");
    bytes += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (bytes.find('\0') != std::string::npos) return wrong("a URL must not hold a NUL byte");
  return bytes;
}

/// The scheme in lower case; empty when the text does not start with one.
std::string scheme_of(std::string_view url) {
  const std::size_t colon = url.find(':');
  if (colon == std::string_view::npos || colon == 0 || !is_alpha(url.front())) return {};
  std::string scheme;
  for (const char c : url.substr(0, colon)) {
    if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '-' && c != '.') return {};
    scheme += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return scheme;
}

/// What was given is no URL. It is shown only when it can be nothing but a path.
Status no_scheme(std::string_view url) {
  const auto plain = [](char c) { return is_alpha(c) || is_digit(c) || c == '.' || c == '/' || c == '_' || c == '-'; };
  constexpr std::size_t kShownBytesMax = 200;
  if (url.empty()) return wrong("the URL is empty: write memory: or, for a directory, file:./data");
  if (url == "memory") return wrong("the URL has no scheme: did you mean memory:?");
  const bool shown = url.size() <= kShownBytesMax && std::all_of(url.begin(), url.end(), plain);
  return wrong("the URL has no scheme: did you mean file:" + std::string(shown ? url : "./data") + "?");
}

Status parse_parameter(std::string_view text, StoreUrl& url) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return wrong("an option in a URL is written name=value");
  Result<std::string> name = decoded(text.substr(0, equals));
  if (!name.ok()) return std::move(name).status();
  Result<std::string> value = decoded(text.substr(equals + 1));
  if (!value.ok()) return std::move(value).status();
  for (const auto& [known, unused] : url.parameters) {
    if (known == name.value()) return wrong("option \"" + known + "\" is given twice");
  }
  url.parameters.emplace_back(std::move(name).value(), std::move(value).value());
  return {};
}

Status parse_parameters(std::string_view query, StoreUrl& url) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    if (end == 0) return wrong("an option is missing between ? or & and & in the URL");
    TUSKV_RETURN_IF_ERROR(parse_parameter(query.substr(0, end), url));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return {};
}

Result<std::string> directory_of(std::string_view path) {
  if (path.starts_with("//")) {
    path.remove_prefix(2);
    const std::string_view host = path.substr(0, path.find('/'));
    if (!host.empty() && host != "localhost") {
      return wrong("a file: URL names no host: write file:DIR or file:///DIR");
    }
    path.remove_prefix(host.size());
  }
  if (path.empty()) return wrong("file: needs a directory, for example file:./data");
  return decoded(path);
}

/// Where the query starts. libpq takes a raw ? in a password, so the user-info, which ends at the first @ in front of
/// any slash, is skipped.
std::size_t query_start(std::string_view url) {
  const std::size_t slashes = url.find("//");
  std::size_t from = slashes == std::string_view::npos ? 0 : slashes + 2;
  const std::size_t at = url.find('@', from);
  if (at < url.find('/', from)) from = at;
  return url.find('?', from);
}

/// Takes the options of ours out of the text; the rest is left byte for byte, for libpq to read or to refuse.
Status cut_out_options(std::string_view url, StoreUrl& parsed) {
  const std::size_t question = query_start(url);
  parsed.connection = url.substr(0, question);
  if (question == std::string_view::npos) return {};
  std::string_view query = url.substr(question + 1);
  char separator = '?';
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const Result<std::string> name = decoded(pair.substr(0, pair.find('=')));
    if (name.ok() && find_option(name.value()) != nullptr) {
      TUSKV_RETURN_IF_ERROR(parse_parameter(pair, parsed));
    } else {
      parsed.connection += separator;
      parsed.connection += pair;
      separator = '&';
    }
  }
  return {};
}

/// keyword=value pairs, as libpq takes them beside URLs.
bool is_keywords(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\n");
  if (start == std::string_view::npos || !is_alpha(text[start])) return false;
  const std::size_t equals = text.find('=', start);
  return equals != std::string_view::npos && std::all_of(text.begin() + static_cast<std::ptrdiff_t>(start),
                                                         text.begin() + static_cast<std::ptrdiff_t>(equals),
                                                         [](char c) { return is_alpha(c) || c == '_' || c == ' '; });
}

}  // namespace

Result<StoreUrl> parse_url(std::string_view url) {
  const std::string scheme = scheme_of(url);
  StoreUrl parsed;
  if (scheme.empty() && is_keywords(url)) {
    parsed.scheme = StoreUrl::Scheme::postgresql;
    parsed.connection = url;
    return parsed;
  }
  if (scheme.empty()) return no_scheme(url);
  if (scheme == "postgresql" || scheme == "postgres") {
    parsed.scheme = StoreUrl::Scheme::postgresql;
    TUSKV_RETURN_IF_ERROR(cut_out_options(scheme + std::string(url.substr(scheme.size())), parsed));
    return parsed;
  }
  if (scheme != "memory" && scheme != "file") {
    return wrong("there is no store of scheme \"" + scheme.substr(0, 32) +
                 "\": write memory:, file:DIR or postgresql://…");
  }
  const std::string_view rest = url.substr(scheme.size() + 1);
  const std::size_t question = std::min(rest.find('?'), rest.size());
  const std::string_view path = rest.substr(0, question);
  if (scheme == "file") {
    parsed.scheme = StoreUrl::Scheme::file;
    Result<std::string> directory = directory_of(path);
    if (!directory.ok()) return std::move(directory).status();
    parsed.directory = std::move(directory).value();
  } else if (!path.empty()) {
    return wrong("memory: takes no name: every memory: store is one of its own");
  }
  if (question < rest.size()) TUSKV_RETURN_IF_ERROR(parse_parameters(rest.substr(question + 1), parsed));
  return parsed;
}

}  // namespace tuskv
