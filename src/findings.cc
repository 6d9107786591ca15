#include "findings.h"

#include <array>
#include <cstdio>

namespace tuskv {

void Findings::add(Finding::Severity severity, std::string topic, std::string value, std::string advice) {
  list_.push_back(
      {.severity = severity, .topic = std::move(topic), .value = std::move(value), .advice = std::move(advice)});
}

void Findings::expired(std::uint64_t expired, bool or_more, TtlMode mode) {
  const std::string text =
      (or_more ? "more than " : "") + std::to_string(expired) + " expired entries are still stored";
  if (mode == TtlMode::disabled) return ok("expired", "expiry is disabled: every entry is live (ttl_mode)");
  if (expired == 0) return ok("expired", "no expired entry is stored");
  if (expired < kExpiredEntriesMany) return ok("expired", text);
  warn("expired", text,
       "no open store removes them (ttl_mode=background), or it cannot keep up (sweep_batch, sweep_interval): "
       "cleanup_expired, or tuskv sweep, removes them now");
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  std::array<char, 32> text = {};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string span_text(std::int64_t span_us) {
  struct Span {
    std::int64_t seconds;
    const char* name;
  };
  constexpr std::array kSpans = {Span{86'400, "d"}, Span{3'600, "h"}, Span{60, "min"}};
  const std::int64_t seconds = span_us / 1'000'000;
  for (const Span& span : kSpans) {
    if (seconds >= 2 * span.seconds) return std::to_string(seconds / span.seconds) + " " + span.name;
  }
  return std::to_string(seconds < 0 ? 0 : seconds) + " s";
}

std::string age_text(std::int64_t age_us) { return span_text(age_us) + " ago"; }

const char* durability_text(Durability durability) {
  switch (durability) {
    case Durability::durable: return "durable";
    case Durability::relaxed: return "relaxed";
    case Durability::unlogged: return "unlogged";
  }
  return "durable";
}

}  // namespace tuskv
