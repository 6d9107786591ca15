#include "cli/text.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace tuskv::cli {

namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t size = 0;  ///< 0: not UTF-8
};

/// The first code point; overlong forms, surrogates and values over 10FFFF are not UTF-8.
CodePoint decode(std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {.value = first, .size = 1};
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || bytes.size() < size) return {};
  std::uint32_t value = first & (0x7FU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3FU);
  }
  const bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
  if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {.value = value, .size = size};
}

void append_hex(std::string& text, char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto value = static_cast<std::uint8_t>(byte);
  text += "\\x";
  text += kDigits[value >> 4];
  text += kDigits[value & 0xF];
}

bool is_control(std::uint32_t value) noexcept {
  // C0, DEL, C1, and the marks that turn the direction of what follows.
  return value < 0x20 || (value >= 0x7F && value < 0xA0) || (value >= 0x202A && value <= 0x202E) ||
         (value >= 0x2066 && value <= 0x2069);
}

}  // namespace

bool is_utf8(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const CodePoint point = decode(bytes);
    if (point.size == 0) return false;
    bytes.remove_prefix(point.size);
  }
  return true;
}

std::string escaped(std::string_view bytes, Newlines newlines) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const CodePoint point = decode(bytes);
    const std::size_t size = point.size == 0 ? 1 : point.size;
    const std::string_view part = bytes.substr(0, size);
    bytes.remove_prefix(size);
    const bool kept = newlines == Newlines::keep && (point.value == '\n' || point.value == '\t');
    if (point.size != 0 && (kept || !is_control(point.value))) {
      text += part;
    } else if (part == "\n") {
      text += "\\n";
    } else if (part == "\t") {
      text += "\\t";
    } else {
      for (const char byte : part) append_hex(text, byte);
    }
  }
  return text;
}

std::string base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t size = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = (group << 8) | (j < size ? static_cast<std::uint8_t>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j) text += j <= size ? kBase64[(group >> (18 - 6 * j)) & 63U] : '=';
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::array<std::int8_t, 256> digits;
  digits.fill(-1);
  for (std::size_t i = 0; i < kBase64.size(); ++i) {
    digits[static_cast<std::uint8_t>(kBase64[i])] = static_cast<std::int8_t>(i);
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t pad = i + 4 == text.size() ? padding : 0;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const int digit = j < 4 - pad ? digits[static_cast<std::uint8_t>(text[i + j])] : 0;
      if (digit < 0) return std::nullopt;
      group = (group << 6) | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t j = 0; j < 3 - pad; ++j) bytes += static_cast<char>((group >> (16 - 8 * j)) & 0xFFU);
  }
  return bytes;
}

}  // namespace tuskv::cli
