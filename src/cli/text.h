// Text forms of bytes: UTF-8, terminal escapes, base64.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tuskv::cli {

bool is_utf8(std::string_view bytes) noexcept;

enum class Newlines { keep, escape };
/// The bytes with everything a terminal would obey (control characters) or could not show (bytes that are not UTF-8)
/// written as \n, \t, \xHH. For reading, not for parsing: a backslash stays as it is.
std::string escaped(std::string_view bytes, Newlines newlines);

std::string base64(std::string_view bytes);
/// Nothing when the text is not base64 (with padding, without line breaks).
std::optional<std::string> from_base64(std::string_view text);

}  // namespace tuskv::cli
