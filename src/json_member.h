// Looking one member up in a JSON object, for searching: reads the text once, keeps nothing of it, never recurses. What
// it needs beside the text is two bits at most for each level of nesting.
//
// Not with a library's parser: those turn numbers into doubles, so that 12345678901234567890123 and …124 are equal and
// 1e400 is an error; here numbers stay text. The grammar is that of RFC 8259, and what PostgreSQL's jsonb refuses is
// refused too (text that is not UTF-8, lone surrogates), but for the escape \u0000 and for sizes beyond what it keeps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tuskv {

struct JsonValue {
  enum class Kind : std::uint8_t { null, boolean, number, string, structured };
  Kind kind = Kind::null;
  std::string_view text = {};  ///< as it stands in the document; a string with its quotes and escapes
};

/// The top-level member `name` (unescaped) of an object; of several with this name the last. Nothing when there is
/// none, or when `document` is anything but one well-formed object.
std::optional<JsonValue> find_member(std::string_view document, std::string_view name);

/// The one value that `text` is; nothing when it is malformed.
std::optional<JsonValue> parse_value(std::string_view text);

bool is_utf8(std::string_view text);

// ---- strings; `quoted` is the text of a well-formed one

bool string_equals(std::string_view quoted, std::string_view bytes);
std::string unescaped(std::string_view quoted);
/// Makes a JSON string of UTF-8.
std::string quoted_string(std::string_view text);

// ---- numbers; `number` is the text of a well-formed one

/// An exponent that says more is that of no number: it equals nothing.
inline constexpr std::int64_t kJsonExponentMax = 999'999'999;

/// The same text for equal numbers and for no others: "0", or sign, digits without zeros at either end, "e", exponent.
std::optional<std::string> canonical_number(std::string_view number);

/// canonical_number(number) == canonical, without writing out a number that is longer.
bool number_equals(std::string_view number, std::string_view canonical);

/// Whether `text` is the number written out, without an exponent and with all digits behind the point that were given:
/// 1.50 for 1.50, 100 for 1e2, 0.001 for 1E-3, 0.0 for -0.0. It is what PostgreSQL makes of a number.
bool is_number_written_as(std::string_view number, std::string_view text);

}  // namespace tuskv
