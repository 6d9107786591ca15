// What a row is given: the settings of the run, a place for files, and where results go. And how rounds interleave.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report.h"
#include "bench/subject.h"

namespace tuskv::bench {

class PostgresServer;

struct Settings {
  /// 0: each row's own number.
  std::size_t rounds = 0;
  bool quick = false;
  /// Rows whose name starts with one of these; empty: all.
  std::vector<std::string> only = {};
  /// results.json goes here, and the data into a directory of its own.
  std::string output = "build/bench";
};

/// Sizes, which --quick makes small.
struct Scale {
  std::uint64_t entries_small = 10'000;
  std::uint64_t entries = 1'000'000;
  std::uint64_t entries_large = 10'000'000;
  std::uint64_t entries_long_keys = 100'000;
  std::uint64_t entries_server = 100'000;
  std::uint64_t entries_grown = 300'000;
  std::uint64_t entries_expired = 1'000'000;
  std::chrono::milliseconds round{250};
  std::chrono::milliseconds round_durable{500};
  std::chrono::milliseconds stall_run{3000};
  std::chrono::milliseconds sweep_slice{1000};
  std::chrono::milliseconds settle{20'000};
  std::size_t rounds = 9;
  std::size_t rounds_long = 5;
  /// For few callers of a server: a round depends on which processors the system happens to put the two sides on.
  std::size_t rounds_few = 25;
};

/// One of those that take turns. A round returns the measured value.
struct Contestant {
  std::string name = {};
  std::function<double(std::uint64_t seed)> round = {};
};

class Bench final {
 public:
  explicit Bench(const Settings& settings);
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  const Settings& settings() const { return settings_; }
  const Scale& scale() const { return scale_; }
  std::size_t rounds(std::size_t otherwise) const { return settings_.rounds != 0 ? settings_.rounds : otherwise; }

  /// An empty directory, removed when the bench ends or drop_directory is called.
  std::string fresh_directory(std::string_view name);
  void drop_directory(const std::string& directory);

  /// Prints, once for each name, that a peer is not there.
  void say_left_out(const std::string& name, const std::string& reason);
  /// Opens a subject, or prints why it is left out and returns null.
  std::unique_ptr<Subject> open(SubjectKind kind, const SubjectOptions& options = {});

  /// A server with an empty database, started when it is first asked for; null when this machine or build has none,
  /// which is said.
  PostgresServer* postgres();

  /// Every contestant once to warm up, then `rounds` times all of them, each time starting with another one. Between
  /// two turns the machine comes to rest: what a turn left behind (compaction, dirty pages) is not paid by the next.
  std::vector<Series> interleave(std::span<const Contestant> contestants, std::size_t rounds);

  /// Waits until this process uses no processor time and the files are written out, at most Scale::settle.
  void settle() const;

  void note_version(const std::string& subject, const std::string& version);
  void add(Measurement result);
  void write_results() const;
  std::span<const Measurement> results() const { return results_; }

 private:
  Settings settings_;
  Scale scale_;
  std::string data_;
  Machine machine_;
  std::vector<Measurement> results_;
  std::vector<std::string> left_out_;
  std::shared_ptr<PostgresServer> postgres_;
};

}  // namespace tuskv::bench
