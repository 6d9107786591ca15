// bench: how fast this store is on this machine, under a simple load. It works in a namespace of its own, which must be
// empty, and empties it at the end. For comparisons with other systems see the project's benchmarks.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

using Clock = std::chrono::steady_clock;

struct Load {
  std::uint64_t threads = 4;
  std::uint64_t seconds = 2;
  std::uint64_t keys = 100'000;
  std::uint64_t value_bytes = 100;
};

/// Times in buckets whose width is at most a sixteenth of their value.
class Histogram final {
 public:
  void add(std::uint64_t nanoseconds) {
    ++counts_[bucket(nanoseconds)];
    ++total_;
    max_ = std::max(max_, nanoseconds);
  }
  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
    max_ = std::max(max_, other.max_);
  }
  std::uint64_t total() const noexcept { return total_; }
  double max_us() const noexcept { return static_cast<double>(max_) / 1000; }
  /// Upper end of the bucket in which the part `quantile` of all times is reached.
  double quantile_us(double quantile) const {
    const auto wanted = static_cast<std::uint64_t>(quantile * static_cast<double>(total_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return std::min(upper_end(i), static_cast<double>(max_)) / 1000;
    }
    return max_us();
  }

 private:
  static constexpr std::size_t kParts = 16;

  static std::size_t bucket(std::uint64_t value) {
    if (value < kParts) return value;
    const auto shift = static_cast<std::size_t>(59 - __builtin_clzll(value));
    return (shift + 1) * kParts + ((value >> shift) - kParts);
  }
  static double upper_end(std::size_t bucket) {
    if (bucket < kParts) return static_cast<double>(bucket);
    const std::size_t shift = bucket / kParts - 1;
    return static_cast<double>(bucket % kParts + kParts + 1) * static_cast<double>(std::uint64_t{1} << shift);
  }

  std::array<std::uint64_t, 61 * kParts> counts_ = {};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

/// splitmix64
class Random final {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

/// The namespace that it works in.
class Ground final {
 public:
  explicit Ground(const Call& call)
      : store_(call.store(Access::write).with_namespace(kName)),
        removal_("tuskv del --all --yes --namespace " +
                 (call.settings.name_space ? *call.settings.name_space + '/' : std::string()) + kName) {}

  const Store& store() const noexcept { return store_; }

  void require_empty() const {
    const KeyPage found = store_.keys({.limit = 1});
    if (found.keys.empty() && found.next.empty()) return;
    throw UsageError("the namespace of the bench holds entries, of a bench that was killed or of yours: " + removal_ +
                     " removes them");
  }

  /// Page by page: one call for all of them may be more than its deadline allows, and on a server it keeps other
  /// writers of the table waiting.
  void clear() const {
    try {
      std::string after;
      do {
        KeyPage found = store_.keys({.after = after, .limit = kPageKeys});
        if (!found.keys.empty()) store_.erase_many(found.keys);
        after = std::move(found.next);
      } while (!after.empty());
    } catch (const Error& error) {
      throw Error(error.code(), error.outcome(),
                  std::string(error.what()) + " (entries of the bench are left: " + removal_ + " removes them)",
                  error.sqlstate());
    }
  }

 private:
  static constexpr const char* kName = "tuskv-bench";
  static constexpr std::size_t kPageKeys = 2000;

  Store store_;
  std::string removal_;
};

std::string key_of(std::uint64_t number) { return "key:" + std::to_string(number); }

struct Workload {
  const char* name;
  std::uint64_t sets_percent;
};
constexpr std::array kWorkloads = {Workload{"set", 100}, Workload{"get", 0}, Workload{"mixed", 10}};

class Bench final {
 public:
  Bench(Store store, const Load& load) : store_(std::move(store)), load_(load), value_(load.value_bytes, 'v') {}

  /// Every key is there, so that a get finds one.
  void fill() const {
    std::vector<std::pair<std::string, std::string>> batch;
    for (std::uint64_t i = 0; i < load_.keys; ++i) {
      batch.emplace_back(key_of(i), value_);
      if (batch.size() * (value_.size() + 16) < kBatchBytes && batch.size() < kBatchEntries && i + 1 < load_.keys) {
        continue;
      }
      store_.set_many(batch);
      batch.clear();
      stop_when_interrupted();
    }
  }

  Json run(const Workload& workload) {
    std::vector<Histogram> times(load_.threads);
    std::vector<std::exception_ptr> failures(load_.threads);
    std::vector<std::thread> threads;
    const auto start = Clock::now();
    const auto end = start + std::chrono::seconds(load_.seconds);
    for (std::uint64_t i = 0; i < load_.threads; ++i) {
      threads.emplace_back([&, i] {
        try {
          run_thread(workload, i, end, times[i]);
        } catch (...) {
          failures[i] = std::current_exception();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    for (const std::exception_ptr& failure : failures) {
      if (failure) std::rethrow_exception(failure);
    }
    stop_when_interrupted();
    for (std::size_t i = 1; i < times.size(); ++i) times.front().merge(times[i]);
    return row(workload, times.front(), elapsed.count());
  }

 private:
  void run_thread(const Workload& workload, std::uint64_t thread, Clock::time_point end, Histogram& times) const {
    Random random(thread + 1);
    std::string found;
    for (auto now = Clock::now(); now < end && !interrupted();) {
      const std::uint64_t draw = random.next();
      const std::string key = key_of(draw % load_.keys);
      if ((draw >> 40) % 100 < workload.sets_percent) {
        store_.set(key, value_);
      } else {
        store_.get_into(key, found);
      }
      const auto done = Clock::now();
      times.add(static_cast<std::uint64_t>((done - now).count()));
      now = done;
    }
  }

  Json row(const Workload& workload, const Histogram& times, double seconds) const {
    return {{"workload", workload.name},
            {"threads", load_.threads},
            {"keys", load_.keys},
            {"value_bytes", load_.value_bytes},
            {"operations", times.total()},
            {"operations_per_second", static_cast<std::uint64_t>(static_cast<double>(times.total()) / seconds)},
            {"p50_us", times.quantile_us(0.5)},
            {"p99_us", times.quantile_us(0.99)},
            {"max_us", times.max_us()}};
  }

  Store store_;
  Load load_;
  std::string value_;
};

void print_row(Output& output, const Json& row) {
  std::array<char, 160> line = {};
  std::snprintf(line.data(), line.size(), "%-8s %12llu %12llu/s %10.1f %10.1f %12.1f",
                row["workload"].get<std::string>().c_str(), row["operations"].get<unsigned long long>(),
                row["operations_per_second"].get<unsigned long long>(), row["p50_us"].get<double>(),
                row["p99_us"].get<double>(), row["max_us"].get<double>());
  output.line(line.data());
  output.flush();
}

std::vector<Workload> chosen(const std::vector<std::string>& names) {
  if (names.empty()) return {kWorkloads.begin(), kWorkloads.end()};
  std::vector<Workload> workloads;
  for (const std::string& name : names) {
    const auto found =
        std::find_if(kWorkloads.begin(), kWorkloads.end(), [&](const Workload& each) { return name == each.name; });
    if (found == kWorkloads.end()) throw UsageError("bench knows set, get and mixed, not \"" + name + "\"");
    workloads.push_back(*found);
  }
  return workloads;
}

void measure(Call& call, Bench bench, const std::vector<Workload>& workloads) {
  bench.fill();
  if (!call.settings.json) {
    call.output.line("workload   operations         rate     p50 us     p99 us       max us");
    call.output.flush();  // the first row takes its time
  }
  for (const Workload& workload : workloads) {
    const Json row = bench.run(workload);
    if (call.settings.json) {
      call.output.json(row);
    } else {
      print_row(call.output, row);
    }
  }
}

/// What went wrong first is the news.
void clear_after_failure(const Ground& ground) {
  try {
    ground.clear();
  } catch (const std::exception& error) {
    complain("warning: " + std::string(error.what()));
  }
}

}  // namespace

Action add_bench(Arguments& arguments) {
  struct Options {
    std::vector<std::string> names;
    Load load;
  };
  const auto options = std::make_shared<Options>();
  arguments.words(
      "WORKLOAD", options->names,
      "set, get, mixed (1 set in 10); default: each in turn. In the namespace tuskv-bench, which must be empty");
  arguments.number("--threads", options->load.threads, 1, kBenchThreadsMax, "Callers at the same time (default 4)");
  arguments.number("--seconds", options->load.seconds, 1, kBenchSecondsMax, "Length of each workload (default 2)");
  arguments.number("--keys", options->load.keys, 1, kBenchKeysMax, "Different keys (default 100000)");
  arguments.number("--value-size", options->load.value_bytes, 0, kBenchValueBytesMax, "Bytes of a value (default 100)");
  return [options](Call& call) {
    const auto workloads = chosen(options->names);
    const Ground ground(call);
    ground.require_empty();
    try {
      measure(call, Bench(ground.store(), options->load), workloads);
    } catch (...) {
      clear_after_failure(ground);
      throw;
    }
    ground.clear();
    return ExitCode::done;
  };
}

}  // namespace tuskv::cli
