// tuskv_bench: what tuskv promises about speed, measured beside its peers in one run.
#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "bench/rows/postgres_rows.h"
#include "bench/rows/rows.h"
#include "bench/throughput.h"

namespace tuskv::bench {
namespace {

constexpr int kExitDone = 0;
constexpr int kExitGoalMissed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitFailed = 70;

std::vector<Row> all_rows() {
  std::vector<Row> rows(kRows.begin(), kRows.end());
  if constexpr (TUSKV_BENCH_HAS_POSTGRES) rows.insert(rows.end(), kPostgresRows.begin(), kPostgresRows.end());
  return rows;
}

void print_usage() {
  std::cout << "usage: tuskv_bench [--only ROW]… [--rounds N] [--quick] [--strict] [--output DIRECTORY]\n\n"
               "  --only ROW    rows whose name starts so; may be given several times\n"
               "  --rounds N    rounds of every measurement (default: 9; 5 where one takes seconds,\n"
               "                25 for few callers of a server)\n"
               "  --quick       tiny sizes: shows that every row works, measures nothing\n"
               "  --strict      ends with 1 when a goal is missed\n"
               "  --output DIR  where results.json and the data go (default: build/bench)\n\nrows:\n";
  for (const Row& row : all_rows())
    std::cout << "  " << row.name << std::string(17 - row.name.size(), ' ') << row.about << '\n';
}

struct Arguments {
  Settings settings = {};
  bool strict = false;
  bool help = false;
  bool wrong = false;
};

Arguments parse(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = values[i];
    const bool has_next = i + 1 < count;
    if (word == "--quick") {
      arguments.settings.quick = true;
    } else if (word == "--strict") {
      arguments.strict = true;
    } else if (word == "--help") {
      arguments.help = true;
    } else if (word == "--only" && has_next) {
      arguments.settings.only.emplace_back(values[++i]);
    } else if (word == "--rounds" && has_next) {
      arguments.settings.rounds = static_cast<std::size_t>(std::max(1, std::atoi(values[++i])));
    } else if (word == "--output" && has_next) {
      arguments.settings.output = values[++i];
    } else {
      std::cerr << "tuskv_bench: what is \"" << word << "\"?\n";
      arguments.wrong = true;
    }
  }
  return arguments;
}

bool wanted(const Settings& settings, std::string_view row) {
  return settings.only.empty() || std::any_of(settings.only.begin(), settings.only.end(),
                                              [&](const std::string& only) { return row.starts_with(only); });
}

int run(const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  Bench bench(arguments.settings);
  std::size_t rows = 0;
  if (!TUSKV_BENCH_HAS_POSTGRES) bench.say_left_out("PostgreSQL", "libpq-dev was not found");
  for (const Row& row : all_rows()) {
    if (!wanted(arguments.settings, row.name)) continue;
    row.run(bench);
    ++rows;
  }
  if (rows == 0) {
    std::cerr << "tuskv_bench: no such row\n";
    return kExitUsage;
  }
  bench.write_results();
  std::size_t goals = 0;
  std::size_t missed = 0;
  for (const Measurement& result : bench.results()) {
    for (const Comparison& comparison : result.comparisons) {
      goals += comparison.goal ? 1 : 0;
      missed += comparison.met() ? 0 : 1;
    }
  }
  std::cout << goals - missed << " of " << goals << " goals met, " << static_cast<int>(seconds_since(start)) << " s\n";
  return arguments.strict && missed > 0 ? kExitGoalMissed : kExitDone;
}

}  // namespace
}  // namespace tuskv::bench

int main(int count, char** values) {
  using namespace tuskv::bench;
  const Arguments arguments = parse(count, values);
  if (arguments.wrong || arguments.help) print_usage();
  if (arguments.wrong) return kExitUsage;
  if (arguments.help) return kExitDone;
  try {
    return run(arguments);
  } catch (const std::exception& failure) {
    std::cerr << "tuskv_bench: " << failure.what() << '\n';
    return kExitFailed;
  }
}
