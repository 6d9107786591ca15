// What typed views need of the library: a view below a prefix, and errors. The views themselves are templates
// (tuskv/typed.h).
#include "tuskv/typed.h"

#include <algorithm>

#include "checks.h"
#include "key_text.h"
#include "throw.h"
#include "view.h"

namespace tuskv {
inline namespace v0 {

/// A prefix is part of the stored key as a namespace is, so every operation works below it as it does below that.
KeyValue KeyValue::with_prefix(Bytes prefix, const TypedOptions& options) const {
  if (options.sliding && !options.ttl) {
    throw_refused(Code::InvalidArgument, "a typed view that is sliding needs a ttl");
  }
  const std::size_t longest = std::min(view()->limits.key_bytes_max, kStoredKeyBytesMax - view()->prefix.size());
  if (prefix.size() >= longest) {
    throw_refused(Code::InvalidKey, "a prefix of " + std::to_string(prefix.size()) +
                                        " bytes leaves no room for a key: the limit for both is " +
                                        std::to_string(longest) + " bytes (max_key_bytes)");
  }
  auto below = std::make_shared<View>(*view());
  below->prefix += prefix.view();
  below->limits.key_bytes_max = longest - prefix.size();
  if (options.ttl) below->default_ttl_ms = checked_ttl_ms(*options.ttl, "ttl");
  return KeyValue(std::move(below));
}

namespace detail {

void refuse(const char* why) { throw_refused(Code::Serialization, why); }

void throw_integer_key(std::size_t key_bytes, bool is_signed) {
  throw_refused(Code::InvalidKey, std::string("the integer is out of the range of the view's keys: ") +
                                      (is_signed ? "signed" : "unsigned") + ", " + std::to_string(key_bytes * 8) +
                                      " bits");
}

void throw_integer_value(std::size_t value_bytes, bool is_signed) {
  throw_refused(Code::InvalidArgument, std::string("the integer is out of the range of the view's values: ") +
                                           (is_signed ? "signed" : "unsigned") + ", " +
                                           std::to_string(value_bytes * 8) + " bits");
}

std::uint64_t parse_decimal(std::string_view text, bool& negative) {
  negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  const bool are_digits = std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool has_leading_zero = digits.starts_with('0') && text != "0";
  if (digits.empty() || !are_digits || has_leading_zero) refuse("it is not a decimal integer");
  std::uint64_t magnitude = 0;
  for (const char digit : digits) {
    if (__builtin_mul_overflow(magnitude, std::uint64_t{10}, &magnitude) ||
        __builtin_add_overflow(magnitude, static_cast<std::uint64_t>(digit - '0'), &magnitude)) {
      refuse("the number is out of range");
    }
  }
  return magnitude;
}

std::string not_codable(std::string_view verb, std::string_view prefix, std::string_view key, std::string_view why) {
  // quoted_key takes stored keys: what stands before the first NUL is the namespace.
  std::string text = "the value of key " + quoted_key(std::string(1, '\0') + std::string(prefix) + std::string(key));
  return text.append(" cannot be ").append(verb).append(": ").append(why);
}

std::string wrong_key(std::string_view prefix, std::string_view key, std::string_view why) {
  std::string text = "key " + quoted_key(std::string(1, '\0') + std::string(prefix) + std::string(key));
  return text.append(" is none of the view: ").append(why);
}

void throw_serialization(const std::string& message) { throw_refused(Code::Serialization, message); }
void throw_absent() { throw_refused(Code::NotFound, "there is no value"); }
void throw_absent(std::string_view prefix, std::string_view key) {
  throw_refused(Code::NotFound,
                "there is no key " + quoted_key(std::string(1, '\0') + std::string(prefix) + std::string(key)));
}

}  // namespace detail
}  // namespace v0
}  // namespace tuskv
