// What Store::diagnose tells, for every engine: a list of findings in the order they are made, and how numbers are
// written in them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tuskv/options.h"
#include "tuskv/store.h"

namespace tuskv {

/// From so many on, expired entries that are still stored are a warning: nobody removes them, or not fast enough.
inline constexpr std::uint64_t kExpiredEntriesMany = 10'000;

class Findings final {
 public:
  void ok(std::string topic, std::string value) { add(Finding::Severity::ok, std::move(topic), std::move(value), {}); }
  void note(std::string topic, std::string value, std::string advice) {
    add(Finding::Severity::note, std::move(topic), std::move(value), std::move(advice));
  }
  void warn(std::string topic, std::string value, std::string advice) {
    add(Finding::Severity::warning, std::move(topic), std::move(value), std::move(advice));
  }
  /// `expired` entries are still stored; with `or_more`, at least so many.
  void expired(std::uint64_t expired, bool or_more, TtlMode mode);

  std::vector<Finding> take() { return std::move(list_); }

 private:
  void add(Finding::Severity severity, std::string topic, std::string value, std::string advice);

  std::vector<Finding> list_;
};

/// `3.4 MiB`.
std::string size_text(std::uint64_t bytes);
/// `5 min`.
std::string span_text(std::int64_t span_us);
/// `5 min ago`.
std::string age_text(std::int64_t age_us);
const char* durability_text(Durability durability);

}  // namespace tuskv
