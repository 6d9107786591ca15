// Lists of steps, made from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "crash/step.h"
#include "tuskv/options.h"

namespace tuskv::test {

struct Weight {
  Step::Kind kind = Step::Kind::set;
  int weight = 0;
};

/// What a workload is made of, and of what size the engine's files are under it.
struct Mix {
  std::string name = {};
  std::vector<Weight> weights = {};
  std::size_t steps = 60;
  std::size_t value_bytes_max = 40;
  std::int64_t ttl_percent = 0;      ///< of sets that expire
  bool changes_level = false;        ///< reopens at another durability level
  bool writes_in_snapshots = false;  ///< goes on writing while a snapshot is dumped
  std::uint64_t segment_bytes_min = std::uint64_t{1} << 20;
  std::uint64_t segment_bytes_max = std::uint64_t{1} << 20;
  /// Log size at which the engine takes snapshots by itself.
  std::size_t snapshot_log_bytes_min = std::size_t{1} << 30;
};

/// For the names of tests.
std::string level_name(Durability durability);

/// Each stresses one thing; together they use everything that writes.
std::vector<Mix> all_mixes();
const Mix& mix_named(const std::vector<Mix>& mixes, const std::string& name);

std::vector<Step> make_workload(const Mix& mix, Durability durability, std::uint64_t seed);

}  // namespace tuskv::test
