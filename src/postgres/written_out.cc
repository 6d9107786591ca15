#include "postgres/written_out.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "key_text.h"
#include "named_limits.h"
#include "postgres/limits.h"

namespace tuskv::postgres {
namespace {

/// More digits than any numeric has.
constexpr std::size_t kExponentMax = 1'000'000;

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

/// The first byte behind the string that begins before `at`.
std::size_t behind_string(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
  return at + 1;
}

/// By how much the number that ends before the exponent at `at` is longer without it; `at` is left behind it.
std::size_t growth_of_exponent(std::string_view text, std::size_t& at) {
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  std::size_t exponent = 0;
  for (; at < text.size() && is_digit(text[at]); ++at) {
    exponent = std::min(exponent * 10 + static_cast<std::size_t>(text[at] - '0'), kExponentMax);
  }
  return exponent;
}

/// How long a JSON document is as jsonb writes it out, at most. Of text that is no JSON, some number: that text the
/// server refuses.
std::size_t bytes_written_out(std::string_view document) {
  std::size_t bytes = document.size();
  for (std::size_t at = 0; at < document.size();) {
    const char byte = document[at++];
    if (byte == '"') {
      at = behind_string(document, at);
    } else if (byte == ',' || byte == ':') {
      ++bytes;  // jsonb puts a space behind each
    } else if ((byte == 'e' || byte == 'E') && at >= 2 && is_digit(document[at - 2])) {
      bytes += growth_of_exponent(document, at);
    }
  }
  return bytes;
}

}  // namespace

Status check_written_out(const GivenValue& given) {
  // What is longer than any value can be, the server cannot send at all.
  const std::size_t grown = std::max(kJsonGrowthBytes, kJsonGrowthFactor * given.value.size());
  const std::size_t bytes_max = std::min(grown, kValueBytesCeiling);
  const std::size_t bytes = bytes_written_out(given.value);
  if (bytes <= bytes_max) return {};
  return Status(Code::TooLarge, "the value of key " + quoted_key(given.key) + " has " +
                                    std::to_string(given.value.size()) + " bytes, and " + std::to_string(bytes) +
                                    " as jsonb writes it out, numbers without exponents: over the limit of " +
                                    std::to_string(bytes_max));
}

}  // namespace tuskv::postgres
