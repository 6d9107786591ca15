// Readers while the disk stalls. One thread writes durably to keys that nobody reads, another reads the other keys and
// notes how long each read takes: with the disk as it is, and with a file system whose every write and sync takes a
// fifth of a second longer. A reader that waited for a writer's disk would show in the 99th percentile, since a stalled
// writer would keep at least one shard in sixteen, and in the longest read.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "bench/rows/engine_calls.h"
#include "bench/rows/rows.h"
#include "bench/stalling_file_system.h"

namespace tuskv::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kStall{200};

struct Latencies {
  double p50 = 0;
  double p99 = 0;
  double max = 0;
};

Latencies summarize(std::vector<float>& microseconds) {
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double part) {
    return double{microseconds[static_cast<std::size_t>(part * static_cast<double>(microseconds.size() - 1))]};
  };
  return {.p50 = at(0.5), .p99 = at(0.99), .max = at(1)};
}

/// Keys with even numbers are read, odd ones written.
class Readers final {
 public:
  Readers(Bench& bench, const Dataset& data)
      : data_(data),
        values_(data.value_bytes, 1),
        engine_(open_engine({.directory = bench.fresh_directory("stall")}, files_, clock_)) {
    KeyWriter keys(data_.key_bytes);
    const ValueSource values(data_.value_bytes, 1);
    constexpr std::uint64_t kBatch = 1000;
    for (std::uint64_t start = 0; start < data_.entries; start += kBatch)
      load(start, std::min(data_.entries, start + kBatch));
  }
  ~Readers() { engine_->close().ok(); }

  Latencies measure(std::chrono::milliseconds stall, std::chrono::milliseconds duration, std::uint64_t seed) {
    files_.stall(stall);
    std::atomic<bool> done = false;
    std::jthread writer([&] { write_until(done, seed); });
    std::vector<float> microseconds = read_for(duration, seed);
    done = true;
    writer.join();
    files_.stall(std::chrono::milliseconds(0));
    return summarize(microseconds);
  }

 private:
  void load(std::uint64_t start, std::uint64_t end) {
    KeyWriter keys(data_.key_bytes);
    std::vector<std::string> names;
    for (std::uint64_t n = start; n < end; ++n) names.push_back(stored_key(keys.key(n)));
    std::vector<Command> commands;
    for (std::uint64_t n = start; n < end; ++n) {
      commands.emplace_back(Put{.key = names[n - start], .value = values_.value(n)});
    }
    Unit unit = {.commands = commands};
    engine_->execute({&unit, 1});
    check(unit);
  }

  void write_until(const std::atomic<bool>& done, std::uint64_t seed) {
    Random random(seed);
    KeyWriter keys(data_.key_bytes);
    while (!done) {
      const std::uint64_t picked = random.below(data_.entries / 2) * 2 + 1;
      put(*engine_, stored_key(keys.key(picked)), values_.value(random.next()));
    }
  }

  std::vector<float> read_for(std::chrono::milliseconds duration, std::uint64_t seed) {
    Random random(seed + 1);
    KeyWriter keys(data_.key_bytes);
    std::string value;
    std::vector<float> microseconds;
    microseconds.reserve(8'000'000);
    const auto deadline = Clock::now() + duration;
    for (auto start = Clock::now(); start < deadline;) {
      const std::string key = stored_key(keys.key(random.below(data_.entries / 2) * 2));
      start = Clock::now();
      if (!read_into(*engine_, key, value)) throw std::runtime_error("a loaded key is missing");
      microseconds.push_back(std::chrono::duration<float, std::micro>(Clock::now() - start).count());
    }
    return microseconds;
  }

  Dataset data_;
  ValueSource values_;
  os::SystemClock clock_;
  StallingFileSystem files_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

void run_stall(Bench& bench) {
  const Dataset data = {.entries = bench.scale().entries_long_keys};
  Readers readers(bench, data);
  Measurement result = {.row = "stall", .title = "get by one thread while another writes durably", .unit = "us"};
  std::vector<Contestant> contestants;
  const auto add = [&](const std::string& name, std::chrono::milliseconds stall) {
    for (const char* what : {"p50, ", "p99, ", "longest, "}) result.series.push_back({.name = what + name});
    contestants.push_back({.name = name, .round = [&, stall, last = result.series.size()](std::uint64_t seed) {
                             const Latencies found = readers.measure(stall, bench.scale().stall_run, seed);
                             result.series[last - 3].values.push_back(found.p50);
                             result.series[last - 2].values.push_back(found.p99);
                             result.series[last - 1].values.push_back(found.max);
                             return found.max;
                           }});
  };
  add("disk as it is", std::chrono::milliseconds(0));
  add("disk stalling", kStall);
  const std::size_t rounds =
      bench.interleave(contestants, bench.rounds(bench.scale().rounds_long)).front().values.size();
  for (Series& series : result.series) series.values.erase(series.values.begin());  // the warm-up
  result.series.push_back(
      {.name = "a stall",
       .values = std::vector<double>(rounds, std::chrono::duration<double, std::micro>(kStall).count())});
  result.compare("p99, disk stalling", "p99, disk as it is", Goal{.factor = 1.5, .better = Better::less});
  result.compare("longest, disk stalling", "a stall", Goal{.factor = 0.5, .better = Better::less});
  bench.add(std::move(result));
}

}  // namespace tuskv::bench
