#include "cli/time_text.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>

namespace tuskv::cli {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};
constexpr std::array<Unit, 7> kUnits = {
    {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000}}};

/// Takes exactly `digits` digits off the front.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view characters) {
  if (text.empty() || characters.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

/// A fraction of a second behind its point; digits beyond microseconds are dropped.
std::optional<microseconds> take_fraction(std::string_view& text) {
  std::int64_t value = 0;
  std::int64_t unit = 1'000'000;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    unit /= 10;
    value += unit * (text[digits] - '0');
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return microseconds(value);
}

std::optional<microseconds> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return microseconds(0);
  const bool west = text.starts_with('-');
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_digits(text, 2);
  take(text, ":");
  const auto minutes = take_digits(text, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const microseconds offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  return west ? -offset : offset;
}

std::optional<TimePoint> parse_calendar(std::string_view text) {
  const auto year = take_digits(text, 4);
  const bool first_dash = take(text, "-");
  const auto month = take_digits(text, 2);
  const bool second_dash = take(text, "-");
  const auto day = take_digits(text, 2);
  if (!year || !month || !day || !first_dash || !second_dash || !take(text, "Tt ")) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  const auto hour = take_digits(text, 2);
  const bool first_colon = take(text, ":");
  const auto minute = take_digits(text, 2);
  const bool second_colon = take(text, ":");
  const auto second = take_digits(text, 2);
  if (!date.ok() || !hour || !minute || !second || !first_colon || !second_colon) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  microseconds fraction(0);
  if (take(text, ".")) {
    const auto taken = take_fraction(text);
    if (!taken) return std::nullopt;
    fraction = *taken;
  }
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  return TimePoint(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) + fraction - *offset;
}

/// What a number stands for that no integer holds.
std::int64_t farthest(std::string_view text) { return text.starts_with('-') ? INT64_MIN : INT64_MAX; }

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, count);
  if (error == std::errc::result_out_of_range) count = farthest(text);
  if (error == std::errc::invalid_argument) return std::nullopt;
  const std::string_view name(end, static_cast<std::size_t>(last - end));
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    std::int64_t total = 0;
    if (__builtin_mul_overflow(count, unit.milliseconds, &total)) total = farthest(text);
    return milliseconds(total);
  }
  return std::nullopt;
}

std::optional<TimePoint> parse_instant(std::string_view text) {
  std::int64_t seconds = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, seconds);
  if (error == std::errc::result_out_of_range) seconds = farthest(text);
  if (error != std::errc::invalid_argument && end == last) {
    std::int64_t total = 0;
    if (__builtin_mul_overflow(seconds, std::int64_t{1'000'000}, &total)) total = farthest(text);
    return TimePoint(microseconds(total));
  }
  return parse_calendar(text);
}

std::string to_text(TimePoint instant) {
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<milliseconds>(instant - day));
  std::array<char, 64> text = {};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return text.data();
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  std::size_t name = 0;
  std::uint64_t tenths = bytes * 10;
  while (tenths >= 10240 && name + 1 < kNames.size()) {
    tenths /= 1024;
    ++name;
  }
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " " + std::string(kNames[name]);
}

}  // namespace tuskv::cli
