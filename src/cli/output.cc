#include "cli/output.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/text.h"

namespace tuskv::cli {

Output::Output(int descriptor, std::string name)
    : descriptor_(descriptor), name_(std::move(name)), terminal_(::isatty(descriptor) == 1) {
  buffer_.reserve(kOutputBufferBytes);
}

void Output::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0) {
      const int error = errno;
      if (error == EINTR) {
        stop_when_interrupted();
        continue;
      }
      throw OutputError(error, "cannot write to " + name_ + ": " + std::generic_category().message(error));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void Output::text(std::string_view text) {
  if (buffer_.size() + text.size() > kOutputBufferBytes) flush();
  if (text.size() >= kOutputBufferBytes) {
    write_all(text);
  } else {
    buffer_ += text;
  }
}

void Output::line(std::string_view line) {
  text(line);
  text("\n");
}

void Output::value(std::string_view bytes, bool keep_newlines) {
  if (terminal_ && escape_) {
    text(escaped(bytes, keep_newlines ? Newlines::keep : Newlines::escape));
  } else {
    text(bytes);
  }
}

void Output::json(const Json& document) {
  std::string text = document.dump();
  // JSON lets C1 control characters stand as they are; a terminal may obey them.
  if (terminal_ && escape_ && escaped_line(text) != text) text = document.dump(-1, ' ', true);
  line(text);
}

void Output::flush() {
  const std::string bytes = std::exchange(buffer_, {});
  buffer_.reserve(kOutputBufferBytes);
  write_all(bytes);
}

std::string escaped_line(std::string_view text) { return escaped(text, Newlines::escape); }

Json json_of_bytes(std::string_view bytes) {
  if (is_utf8(bytes)) return Json(bytes);
  return Json{{"base64", base64(bytes)}};
}

std::optional<std::string> bytes_of_json(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object() || value.size() != 1) return std::nullopt;
  const auto text = value.find("base64");
  if (text == value.end() || !text->is_string()) return std::nullopt;
  return from_base64(text->get_ref<const std::string&>());
}

Json json_of_entry(const Entry& entry, std::string_view name_space, bool with_value) {
  Json document = Json::object();
  if (!name_space.empty()) document["namespace"] = json_of_bytes(name_space);
  document["key"] = json_of_bytes(entry.key);
  if (with_value) document["value"] = json_of_bytes(entry.value);
  if (entry.expires_at) document["expires_at_ms"] = unix_ms(*entry.expires_at);
  return document;
}

std::int64_t unix_ms(TimePoint instant) noexcept {
  return std::chrono::floor<std::chrono::milliseconds>(instant).time_since_epoch().count();
}

}  // namespace tuskv::cli
