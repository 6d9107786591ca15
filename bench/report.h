// What came out: series of measured values, what they are compared with, and whether a goal is met. Written as JSON;
// table.py makes the Markdown table of it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/machine.h"

namespace tuskv::bench {

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
Spread spread(std::span<const double> values);

struct Series {
  std::string name = {};
  std::vector<double> values = {};  ///< one a round
};

enum class Better { more, less };

struct Goal {
  double factor = 0;
  /// more: the ratio is to be at least the factor; less: at most.
  Better better = Better::more;
};

/// Two series round by round. A ratio pairs what was measured in the same round, so that what disturbs both cancels
/// out.
struct Comparison {
  std::string subject = {};
  std::string against = {};
  Spread ratio = {};
  std::optional<Goal> goal = {};  ///< none: reported only
  bool met() const;
};

struct Measurement {
  std::string row = {};    ///< the name --only takes
  std::string title = {};  ///< what the table says
  std::string unit = {};
  std::vector<Series> series = {};
  std::vector<Comparison> comparisons = {};
  std::vector<std::string> notes = {};

  /// Null when there is none of that name.
  const Series* find(std::string_view name) const;
  /// Adds subject / against. Nothing when the peer was left out.
  void compare(std::string_view subject, std::string_view against, std::optional<Goal> goal);
  /// Adds against / subject: for values of which less is better (seconds), so that every ratio above one is good.
  void compare_inverse(std::string_view subject, std::string_view against, std::optional<Goal> goal);
};

void print(const Measurement& result);
void write_json(const std::string& path, const Machine& machine, std::span<const Measurement> results, bool quick);

}  // namespace tuskv::bench
