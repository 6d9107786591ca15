#include "bench/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace tuskv::bench {
namespace {

/// Three significant digits, with k and M.
std::string readable(double value) {
  const double size = std::abs(value);
  const char* suffix = size >= 1e6 ? " M" : size >= 1e3 ? " k" : "";
  const double shown = size >= 1e6 ? value / 1e6 : size >= 1e3 ? value / 1e3 : value;
  const int digits = std::abs(shown) >= 100 ? 0 : std::abs(shown) >= 10 ? 1 : std::abs(shown) >= 1 ? 2 : 3;
  std::array<char, 64> text = {};
  std::snprintf(text.data(), text.size(), "%.*f%s", digits, shown, suffix);
  return text.data();
}

Spread ratio_spread(const Series& top, const Series& bottom) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(top.values.size(), bottom.values.size()); ++i) {
    ratios.push_back(top.values[i] / bottom.values[i]);
  }
  return spread(ratios);
}

nlohmann::ordered_json to_json(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

nlohmann::ordered_json to_json(const Measurement& result) {
  nlohmann::ordered_json json = {{"row", result.row}, {"title", result.title}, {"unit", result.unit}};
  for (const Series& series : result.series) {
    nlohmann::ordered_json entry = {{"name", series.name}};
    entry.update(to_json(spread(series.values)));
    entry["rounds"] = series.values;
    json["series"].push_back(std::move(entry));
  }
  json["comparisons"] = nlohmann::ordered_json::array();
  for (const Comparison& comparison : result.comparisons) {
    nlohmann::ordered_json entry = {
        {"subject", comparison.subject}, {"against", comparison.against}, {"ratio", to_json(comparison.ratio)}};
    if (comparison.goal) {
      entry["goal"] = {{"factor", comparison.goal->factor},
                       {"at", comparison.goal->better == Better::more ? "least" : "most"}};
      entry["met"] = comparison.met();
    }
    json["comparisons"].push_back(std::move(entry));
  }
  json["notes"] = result.notes;
  return json;
}

}  // namespace

Spread spread(std::span<const double> values) {
  if (values.empty()) return {};
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  const double median = sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return {.median = median, .min = sorted.front(), .max = sorted.back()};
}

bool Comparison::met() const {
  if (!goal) return true;
  return goal->better == Better::more ? ratio.median >= goal->factor : ratio.median <= goal->factor;
}

const Series* Measurement::find(std::string_view name) const {
  const auto found = std::find_if(series.begin(), series.end(), [&](const Series& s) { return s.name == name; });
  return found == series.end() ? nullptr : &*found;
}

void Measurement::compare(std::string_view subject, std::string_view against, std::optional<Goal> goal) {
  const Series* ours = find(subject);
  const Series* theirs = find(against);
  if (ours == nullptr || theirs == nullptr) return;
  comparisons.push_back(
      {.subject = ours->name, .against = theirs->name, .ratio = ratio_spread(*ours, *theirs), .goal = goal});
}

void Measurement::compare_inverse(std::string_view subject, std::string_view against, std::optional<Goal> goal) {
  const Series* ours = find(subject);
  const Series* theirs = find(against);
  if (ours == nullptr || theirs == nullptr) return;
  comparisons.push_back(
      {.subject = ours->name, .against = theirs->name, .ratio = ratio_spread(*theirs, *ours), .goal = goal});
}

void print(const Measurement& result) {
  std::printf("\n%s (%s)\n", result.title.c_str(), result.unit.c_str());
  for (const Series& series : result.series) {
    const Spread values = spread(series.values);
    std::printf("  %-44s %9s   (%s to %s)\n", series.name.c_str(), readable(values.median).c_str(),
                readable(values.min).c_str(), readable(values.max).c_str());
  }
  for (const Comparison& comparison : result.comparisons) {
    std::printf("  %-44s %8.2fx   (%.2f to %.2f)", (comparison.subject + " / " + comparison.against).c_str(),
                comparison.ratio.median, comparison.ratio.min, comparison.ratio.max);
    if (comparison.goal) {
      std::printf("   goal %s %.4g: %s", comparison.goal->better == Better::more ? "at least" : "at most",
                  comparison.goal->factor, comparison.met() ? "met" : "MISSED");
    }
    std::printf("\n");
  }
  for (const std::string& note : result.notes) std::printf("  %s\n", note.c_str());
  std::fflush(stdout);
}

void write_json(const std::string& path, const Machine& machine, std::span<const Measurement> results, bool quick) {
  nlohmann::ordered_json json = {{"machine",
                                  {{"cpu", machine.cpu},
                                   {"cores", machine.cores},
                                   {"memory", machine.memory},
                                   {"kernel", machine.kernel},
                                   {"file_system", machine.file_system},
                                   {"compiler", machine.compiler},
                                   {"date", machine.date}}},
                                 {"versions", machine.versions},
                                 {"quick", quick}};
  json["results"] = nlohmann::ordered_json::array();
  for (const Measurement& result : results) json["results"].push_back(to_json(result));
  std::ofstream file(path);
  file << json.dump(1) << '\n';
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace tuskv::bench
