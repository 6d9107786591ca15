#include "model/draw.h"

#include <array>
#include <cstdio>
#include <limits>

namespace tuskv::test {
namespace {

constexpr std::string_view kLetters("ab\0\xff*/\x01:", 8);
constexpr std::int64_t kTtlMsMax = 31'556'952'000'000;  // 1000 years

}  // namespace

std::string shown(std::string_view bytes) {
  constexpr std::size_t kShownBytesMax = 24;
  std::string text = "\"";
  for (const char byte : bytes.substr(0, kShownBytesMax)) {
    if (byte >= ' ' && byte < '\x7f') {
      text += byte;
    } else {
      std::array<char, 5> escaped;
      std::snprintf(escaped.data(), escaped.size(), "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
      text += escaped.data();
    }
  }
  text += '"';
  if (bytes.size() > kShownBytesMax) {
    text += "(" + std::to_string(bytes.size()) + " bytes, hash " +
            std::to_string(std::hash<std::string_view>()(bytes)) + ")";
  }
  return text;
}

Draw::Draw(std::uint64_t seed, const DrawRules& rules, std::string* notes)
    : random_(seed), rules_(rules), notes_(notes) {
  constexpr std::uint64_t kMistakePercent = 4;
  if (!random_.chance(kMistakePercent)) return;
  constexpr Mistake kMistakes[] = {Mistake::key, Mistake::value, Mistake::expiry, Mistake::range};
  mistake_ = kMistakes[random_.below(std::size(kMistakes))];
}

void Draw::note(std::string_view text) {
  if (notes_ != nullptr) (*notes_ += ' ') += text;
}

std::string Draw::key() {
  std::string key;
  if (makes(Mistake::key, 60)) {
    if (chance(50)) key.assign(rules_.key_bytes_max + 1, 'k');
  } else if (chance(2)) {
    key.assign(rules_.key_bytes_max - below(3), 'l');
  } else {
    std::size_t size = 1 + (chance(80) ? 1 : 0) + (chance(30) ? 1 : 0);
    while (size-- > 0) key += kLetters[below(kLetters.size())];
  }
  if (notes_ != nullptr) note("key=" + shown(key));
  return key;
}

std::vector<std::string> Draw::keys() {
  std::vector<std::string> keys;
  for (std::size_t count = below(7); count > 0; --count) {
    keys.push_back(!keys.empty() && chance(15) ? keys[below(keys.size())] : key());
  }
  return keys;
}

std::string Draw::prefix() {
  std::string prefix;
  for (std::size_t size = below(3); size > 0; --size) prefix += kLetters[below(kLetters.size())];
  if (notes_ != nullptr) note("prefix=" + shown(prefix));
  return prefix;
}

std::string Draw::bound() {
  std::string bound;
  for (std::size_t size = below(4); size > 0; --size) bound += kLetters[below(kLetters.size())];
  if (notes_ != nullptr) note("bound=" + shown(bound));
  return bound;
}

std::optional<std::string> Draw::end() { return chance(60) ? std::optional(bound()) : std::nullopt; }

std::string Draw::glob() {
  std::string glob;
  if (makes(Mistake::range, 50)) {
    glob.assign(1025, '*');
  } else {
    for (std::size_t size = 1 + below(4); size > 0; --size) {
      const std::uint64_t kind = below(10);
      if (kind < 3) {
        glob += '*';
      } else if (kind < 5) {
        glob += '?';
      } else {
        const char letter = kLetters[below(kLetters.size())];
        if (letter == '*' || chance(10)) glob += '\\';
        glob += letter;
      }
    }
  }
  if (notes_ != nullptr) note("glob=" + shown(glob));
  return glob;
}

std::string Draw::needle() {
  constexpr std::string_view kPieces[] = {"a", "B", "m", "Z", "1", "5", "\"", "{\"A\": ", "", "\xff"};
  std::string needle(kPieces[below(std::size(kPieces))]);
  if (!needle.empty() && chance(30)) needle += needle;
  if (notes_ != nullptr) note("needle=" + shown(needle));
  return needle;
}

std::string Draw::number_text() {
  constexpr std::string_view kEdges[] = {
      "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-0", "007", " 1", "+1", "1.0", "-"};
  if (chance(10)) return std::string(kEdges[below(std::size(kEdges))]);
  return std::to_string(static_cast<std::int64_t>(below(20)) - 5);
}

std::string Draw::json() {
  constexpr std::string_view kEdges[] = {
      "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1.0", "null", "true", "{}", "\"\""};
  const std::uint64_t kind = below(1000);
  if (kind < 100) return std::string(kEdges[below(std::size(kEdges))]);
  if (kind < 550) return std::to_string(static_cast<std::int64_t>(below(20)) - 5);
  if (kind < 700) return "{\"a\": " + std::to_string(below(3)) + ", \"b\": []}";
  const std::size_t size = kind < 985 ? below(40) : kind < 995 ? below(2'000) : rules_.value_bytes_max - 2 - below(3);
  return '"' + std::string(size, static_cast<char>('A' + below(26))) + '"';
}

std::string Draw::joined(std::optional<std::string_view> present, const std::string& added) const {
  constexpr std::size_t kKeptBytesMax = 10;
  if (!rules_.is_json) return std::string(present.value_or("").substr(0, kKeptBytesMax)) + added;
  return present && present->size() <= kKeptBytesMax ? "[" + std::string(*present) + ", " + added + "]" : added;
}

std::string Draw::value() {
  std::string value;
  const std::uint64_t kind = below(1000);
  if (makes(Mistake::value, 100)) {
    value.assign(rules_.value_bytes_max + 1, 'v');
  } else if (rules_.is_json) {
    value = json();
  } else if (kind < 500) {
    value = number_text();
  } else if (kind < 550) {
    value = "";
  } else if (kind < 985) {
    value = random_.bytes(below(40));
  } else {
    const std::size_t size = kind < 995 ? below(2'000) : rules_.value_bytes_max - below(3);
    value.assign(size, static_cast<char>('A' + below(26)));
  }
  if (notes_ != nullptr) note("value=" + shown(value));
  return value;
}

std::int64_t Draw::number() {
  constexpr std::int64_t kEdges[] = {0, std::numeric_limits<std::int64_t>::max(),
                                     std::numeric_limits<std::int64_t>::min()};
  const std::int64_t number = chance(10) ? kEdges[below(std::size(kEdges))] : static_cast<std::int64_t>(below(11)) - 5;
  if (notes_ != nullptr) note("number=" + std::to_string(number));
  return number;
}

Duration Draw::wrong_ttl() {
  constexpr std::int64_t kWrong[] = {0, -1, kTtlMsMax + 1, std::numeric_limits<std::int64_t>::max(),
                                     std::numeric_limits<std::int64_t>::min()};
  return std::chrono::milliseconds(kWrong[below(std::size(kWrong))]);
}

Duration Draw::ttl() {
  const std::int64_t units = chance(3) ? kTtlMsMax / rules_.unit_ms : 1 + static_cast<std::int64_t>(below(20));
  const Duration ttl =
      makes(Mistake::expiry, 100) ? wrong_ttl() : Duration(std::chrono::milliseconds(units * rules_.unit_ms));
  if (notes_ != nullptr) note("ttl_ms=" + std::to_string(ttl.milliseconds()));
  return ttl;
}

/// With TtlMode::disabled the contract does not say what a write with an instant that has passed is.
Instant Draw::instant(std::int64_t now_us) {
  const std::int64_t earliest = rules_.expiry_disabled ? 1 : -2;
  const std::int64_t units = earliest + static_cast<std::int64_t>(below(20));
  if (notes_ != nullptr) note("in units=" + std::to_string(units));
  const std::int64_t far_us = 253'402'300'800'000'000;  // the year 10000
  const std::int64_t us = makes(Mistake::expiry, 100) ? far_us : now_us + units * rules_.unit_ms * 1000;
  return TimePoint(std::chrono::microseconds(us));
}

SetOptions Draw::write_options(std::int64_t now_us) {
  if (makes(Mistake::expiry, 50)) {
    note("contradicting options");
    return {.ttl = std::chrono::hours(1), .keep_ttl = true};
  }
  const std::uint64_t kind = below(100);
  if (kind < 25) return {.ttl = ttl()};
  if (kind < 35) return {.expires_at = instant(now_us)};
  if (kind >= 60) return {};
  note(kind < 50 ? "keep_ttl" : "persistent");
  if (kind < 50) return {.keep_ttl = true};
  return {.persistent = true};
}

std::optional<Duration> Draw::item_ttl() {
  if (!chance(20)) return std::nullopt;
  return ttl();
}

CounterOptions Draw::counter_options() {
  CounterOptions options;
  if (chance(20)) options.ttl_if_created = ttl();
  if (chance(20)) {
    options.min = -3;
    options.max = makes(Mistake::range, 100) ? -4 : 12;
    note("bounded");
  }
  return options;
}

std::size_t Draw::limit() {
  const std::size_t limit = makes(Mistake::range, 100) ? (chance(50) ? 0 : 10'001) : 1 + below(20);
  if (notes_ != nullptr) note("limit=" + std::to_string(limit));
  return limit;
}

}  // namespace tuskv::test
