// What a verb prints on stdout: values as they are, escaped on a terminal, or JSON. Nothing is dropped silently: a
// stdout that is closed or full ends the program with exit code 9.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "tuskv/types.h"

namespace tuskv::cli {

using Json = nlohmann::ordered_json;

class OutputError : public std::runtime_error {
 public:
  OutputError(int error, const std::string& message) : std::runtime_error(message), error_(error) {}
  int error() const noexcept { return error_; }

 private:
  int error_;
};

/// A buffered descriptor. Thread-safety: one thread.
class Output final {
 public:
  /// `name` is what errors call it, for example "stdout". The descriptor is lent.
  Output(int descriptor, std::string name);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool terminal() const noexcept { return terminal_; }
  /// False: control characters reach a terminal too (--raw).
  void escape(bool on) noexcept { escape_ = on; }

  void text(std::string_view text);
  /// The text and a newline.
  void line(std::string_view text);
  /// Bytes out of the store. On a terminal control characters are escaped.
  void value(std::string_view bytes, bool keep_newlines = true);
  /// One JSON document on a line of its own.
  void json(const Json& document);
  void flush();

 private:
  void write_all(std::string_view bytes);

  int descriptor_;
  std::string name_;
  bool terminal_;
  bool escape_ = true;
  std::string buffer_;
};

/// Text for one line of a message: no control characters, no newline.
std::string escaped_line(std::string_view text);

/// A JSON string, or {"base64": "…"} for bytes that are not UTF-8.
Json json_of_bytes(std::string_view bytes);
/// The bytes of either form; nothing for anything else.
std::optional<std::string> bytes_of_json(const Json& value);

/// An entry as scan, export and import write it: namespace (when given), key, value, expires_at_ms (when it expires).
Json json_of_entry(const Entry& entry, std::string_view name_space, bool with_value);

/// Milliseconds since 1970.
std::int64_t unix_ms(TimePoint instant) noexcept;

}  // namespace tuskv::cli
