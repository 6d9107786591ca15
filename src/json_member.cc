#include "json_member.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "ascii.h"

namespace tuskv {
namespace {

/// Bytes of the UTF-8 sequence that starts here, which is not ASCII; 0: there is none.
std::size_t utf8_sequence(const char* at, const char* end) {
  const auto byte = [at](std::size_t i) { return static_cast<unsigned char>(at[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (static_cast<std::size_t>(end - at) < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Too long a form, a surrogate, or beyond the last character.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF0 && byte(1) < 0x90) ||
      (lead == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return size;
}

/// Four hexadecimal digits; -1: something else.
int code_unit(const char* at, const char* end) {
  if (end - at < 4) return -1;
  int unit = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

bool is_high_surrogate(int unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low_surrogate(int unit) { return unit >= 0xDC00 && unit < 0xE000; }

/// Reads values and steps over them. Each function leaves `at` behind what it has read, or returns false.
class Scanner final {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  const char* at() const { return at_; }
  bool at_end() const { return at_ == end_; }

  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool string();
  bool value();
  /// A name, and the colon behind it.
  bool name(std::string_view& name);

 private:
  bool word(std::string_view word) {
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool digits() {
    const char* const first = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return at_ != first;
  }
  bool number();
  bool escape();
  bool scalar();
  bool open(bool object, bool& complete);
  bool close_or_go_on(bool& complete);

  const char* at_;
  const char* end_;
  std::vector<bool> open_;  ///< what is open around: true for an object
};

bool Scanner::number() {
  static_cast<void>(take('-'));
  if (!take('0') && !digits()) return false;
  if (take('.') && !digits()) return false;
  if (take('e') || take('E')) {
    if (!take('+')) static_cast<void>(take('-'));
    return digits();
  }
  return true;
}

/// Behind the backslash.
bool Scanner::escape() {
  if (at_ == end_) return false;
  const char c = *at_++;
  if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
  const int unit = code_unit(at_, end_);
  if (unit < 0 || is_low_surrogate(unit)) return false;
  at_ += 4;
  if (!is_high_surrogate(unit)) return true;
  if (!word("\\u") || !is_low_surrogate(code_unit(at_, end_))) return false;
  at_ += 4;
  return true;
}

bool Scanner::string() {
  if (!take('"')) return false;
  while (at_ != end_) {
    const auto byte = static_cast<unsigned char>(*at_);
    if (byte >= 0x80) {
      const std::size_t size = utf8_sequence(at_, end_);
      if (size == 0) return false;
      at_ += size;
      continue;
    }
    ++at_;
    if (byte == '"') return true;
    if (byte < 0x20 || (byte == '\\' && !escape())) return false;
  }
  return false;
}

bool Scanner::name(std::string_view& name) {
  const char* const first = at_;
  if (!string()) return false;
  name = {first, static_cast<std::size_t>(at_ - first)};
  skip_space();
  return take(':');
}

bool Scanner::scalar() {
  if (at_ == end_) return false;
  switch (*at_) {
    case '"': return string();
    case 't': return word("true");
    case 'f': return word("false");
    case 'n': return word("null");
    default: return number();
  }
}

/// Behind an opening bracket; `complete` when it is closed at once.
bool Scanner::open(bool object, bool& complete) {
  skip_space();
  complete = take(object ? '}' : ']');
  if (complete) return true;
  open_.push_back(object);
  std::string_view ignored;
  return !object || name(ignored);
}

/// Behind a value: closes what ends here; `complete` when that is everything, otherwise another value follows.
bool Scanner::close_or_go_on(bool& complete) {
  for (;;) {
    complete = open_.empty();
    if (complete) return true;
    skip_space();
    const bool object = open_.back();
    if (take(',')) {
      skip_space();
      std::string_view ignored;
      return !object || name(ignored);
    }
    if (!take(object ? '}' : ']')) return false;
    open_.pop_back();
  }
}

bool Scanner::value() {
  open_.clear();
  for (bool complete = false; !complete;) {
    skip_space();
    const bool object = take('{');
    bool ended = true;
    if (object || take('[')) {
      if (!open(object, ended)) return false;
    } else if (!scalar()) {
      return false;
    }
    if (ended && !close_or_go_on(complete)) return false;
  }
  return true;
}

JsonValue value_of(std::string_view text) {
  using Kind = JsonValue::Kind;
  switch (text.front()) {
    case '{':
    case '[': return {.kind = Kind::structured, .text = text};
    case '"': return {.kind = Kind::string, .text = text};
    case 't':
    case 'f': return {.kind = Kind::boolean, .text = text};
    case 'n': return {.kind = Kind::null, .text = text};
    default: return {.kind = Kind::number, .text = text};
  }
}

/// Writes the character as UTF-8; returns how many bytes.
std::size_t encode_utf8(int code, char* out) {
  const auto put = [out](std::size_t i, int byte) { out[i] = static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    put(0, code);
    return 1;
  }
  if (code < 0x800) {
    put(0, 0xC0 | code >> 6);
    put(1, 0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    put(0, 0xE0 | code >> 12);
    put(1, 0x80 | (code >> 6 & 0x3F));
    put(2, 0x80 | (code & 0x3F));
    return 3;
  }
  put(0, 0xF0 | code >> 18);
  put(1, 0x80 | (code >> 12 & 0x3F));
  put(2, 0x80 | (code >> 6 & 0x3F));
  put(3, 0x80 | (code & 0x3F));
  return 4;
}

/// The bytes that the escape behind a backslash stands for; moves `at` behind it.
std::size_t decode_escape(const char*& at, const char* end, char* out) {
  static constexpr std::string_view kLetters = "bfnrt";
  static constexpr std::string_view kMeanings = "\b\f\n\r\t";
  const char c = *at++;
  if (c != 'u') {
    const std::size_t letter = kLetters.find(c);
    *out = letter == std::string_view::npos ? c : kMeanings[letter];
    return 1;
  }
  int code = code_unit(at, end);
  at += 4;
  if (is_high_surrogate(code)) {
    code = 0x10000 + ((code - 0xD800) << 10) + (code_unit(at + 2, end) - 0xDC00);
    at += 6;
  }
  return encode_utf8(code, out);
}

/// Calls `take` with the string's bytes, run by run; stops when it returns false.
template <class Take>
bool decode(std::string_view quoted, Take take) {
  const char* at = quoted.data() + 1;
  const char* const end = quoted.data() + quoted.size() - 1;
  while (at != end) {
    const char* const escape = std::find(at, end, '\\');
    if (escape != at && !take(std::string_view(at, static_cast<std::size_t>(escape - at)))) return false;
    at = escape;
    if (at == end) break;
    std::array<char, 4> bytes;
    ++at;
    const std::size_t size = decode_escape(at, end, bytes.data());
    if (!take(std::string_view(bytes.data(), size))) return false;
  }
  return true;
}

/// A number's parts: ±WHOLE.FRACTION × 10^exponent.
struct Decimal {
  bool negative = false;
  std::string_view whole = {};
  std::string_view fraction = {};
  std::int64_t exponent = 0;
  bool exponent_too_large = false;
  bool is_zero = false;

  char digit(std::size_t i) const { return i < whole.size() ? whole[i] : fraction[i - whole.size()]; }
  std::size_t digits() const { return whole.size() + fraction.size(); }
};

Decimal decimal_of(std::string_view number) {
  Decimal decimal;
  decimal.negative = number.front() == '-';
  if (decimal.negative) number.remove_prefix(1);
  const std::size_t e = std::min(number.find_first_of("eE"), number.size());
  const std::string_view digits = number.substr(0, e);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  decimal.whole = digits.substr(0, point);
  if (point < digits.size()) decimal.fraction = digits.substr(point + 1);
  decimal.is_zero = digits.find_first_not_of("0.") == std::string_view::npos;
  std::string_view exponent = number.substr(std::min(e + 1, number.size()));
  const bool negative = exponent.starts_with('-');
  if (negative || exponent.starts_with('+')) exponent.remove_prefix(1);
  for (const char c : exponent) {
    decimal.exponent = decimal.exponent * 10 + (c - '0');
    decimal.exponent_too_large = decimal.exponent > kJsonExponentMax;
    if (decimal.exponent_too_large) break;
  }
  if (negative) decimal.exponent = -decimal.exponent;
  return decimal;
}

/// Where the digits of a number other than zero begin and end, without zeros at either end.
std::pair<std::size_t, std::size_t> significant_digits(const Decimal& decimal) {
  std::size_t first = 0;
  while (decimal.digit(first) == '0') ++first;
  std::size_t last = decimal.digits();
  while (decimal.digit(last - 1) == '0') --last;
  return {first, last};
}

}  // namespace

std::optional<JsonValue> find_member(std::string_view document, std::string_view name) {
  Scanner scanner(document);
  scanner.skip_space();
  if (!scanner.take('{')) return std::nullopt;
  scanner.skip_space();
  std::string_view found;
  bool more = !scanner.take('}');
  while (more) {
    std::string_view given;
    if (!scanner.name(given)) return std::nullopt;
    scanner.skip_space();
    const char* const first = scanner.at();
    if (!scanner.value()) return std::nullopt;
    if (string_equals(given, name)) found = {first, static_cast<std::size_t>(scanner.at() - first)};
    scanner.skip_space();
    more = scanner.take(',');
    if (!more && !scanner.take('}')) return std::nullopt;
    if (more) scanner.skip_space();
  }
  scanner.skip_space();
  if (!scanner.at_end() || found.empty()) return std::nullopt;
  return value_of(found);
}

std::optional<JsonValue> parse_value(std::string_view text) {
  Scanner scanner(text);
  scanner.skip_space();
  const char* const first = scanner.at();
  if (!scanner.value()) return std::nullopt;
  const std::string_view value(first, static_cast<std::size_t>(scanner.at() - first));
  scanner.skip_space();
  if (!scanner.at_end()) return std::nullopt;
  return value_of(value);
}

bool is_utf8(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    const std::size_t size = static_cast<unsigned char>(*at) < 0x80 ? 1 : utf8_sequence(at, end);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

bool string_equals(std::string_view quoted, std::string_view bytes) {
  const bool equal = decode(quoted, [&bytes](std::string_view run) {
    if (!bytes.starts_with(run)) return false;
    bytes.remove_prefix(run.size());
    return true;
  });
  return equal && bytes.empty();
}

std::string unescaped(std::string_view quoted) {
  std::string bytes;
  decode(quoted, [&bytes](std::string_view run) {
    bytes += run;
    return true;
  });
  return bytes;
}

std::string quoted_string(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      quoted += "\\u00";
      quoted += kDigits[byte >> 4];
      quoted += kDigits[byte & 15];
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

bool number_equals(std::string_view number, std::string_view canonical) {
  const Decimal decimal = decimal_of(number);
  if (decimal.is_zero || decimal.exponent_too_large) return decimal.is_zero && canonical == "0";
  const auto [first, last] = significant_digits(decimal);
  return last - first < canonical.size() && canonical_number(number) == canonical;
}

std::optional<std::string> canonical_number(std::string_view number) {
  const Decimal decimal = decimal_of(number);
  if (decimal.is_zero) return "0";
  if (decimal.exponent_too_large) return std::nullopt;
  const auto [first, last] = significant_digits(decimal);
  std::string canonical;
  canonical.reserve(last - first + 16);
  if (decimal.negative) canonical += '-';
  for (std::size_t i = first; i < last; ++i) canonical += decimal.digit(i);
  const std::int64_t exponent = decimal.exponent - static_cast<std::int64_t>(decimal.fraction.size()) +
                                static_cast<std::int64_t>(decimal.digits() - last);
  return canonical + 'e' + std::to_string(exponent);
}

bool is_number_written_as(std::string_view number, std::string_view text) {
  const Decimal decimal = decimal_of(number);
  if (decimal.exponent_too_large && !decimal.is_zero) return false;
  const auto digits = static_cast<std::int64_t>(decimal.digits());
  // Where the point is among the digits, and how many come behind it.
  const std::int64_t point = static_cast<std::int64_t>(decimal.whole.size()) + decimal.exponent;
  const std::int64_t behind =
      std::max<std::int64_t>(static_cast<std::int64_t>(decimal.fraction.size()) - decimal.exponent, 0);
  std::int64_t first = 0;
  while (first < digits && decimal.digit(static_cast<std::size_t>(first)) == '0') ++first;
  const bool signed_text = decimal.negative && !decimal.is_zero;
  const std::int64_t before = decimal.is_zero ? 1 : std::max<std::int64_t>(point - first, 1);
  if (static_cast<std::int64_t>(text.size()) != int{signed_text} + before + (behind > 0 ? behind + 1 : 0)) return false;
  std::size_t at = 0;
  if (signed_text && text[at++] != '-') return false;
  const auto expect = [&](std::int64_t position) {
    const bool given = position >= first && position < digits;
    return text[at++] == (given ? decimal.digit(static_cast<std::size_t>(position)) : '0');
  };
  const std::int64_t start = decimal.is_zero ? digits : point - before;
  for (std::int64_t i = 0; i < before; ++i) {
    if (!expect(start + i)) return false;
  }
  if (behind == 0) return true;
  if (text[at++] != '.') return false;
  for (std::int64_t i = 0; i < behind; ++i) {
    if (!expect(decimal.is_zero ? digits : point + i)) return false;
  }
  return true;
}

}  // namespace tuskv
