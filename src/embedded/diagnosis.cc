// What is to be said of a store in a directory or in memory.
#include <utility>

#include "embedded/embedded_engine.h"
#include "findings.h"

namespace tuskv::embedded {
namespace {

/// What has to be free beside a snapshot, for the log to go on.
constexpr std::uint64_t kDiskFreeMin = std::uint64_t{64} << 20;
/// Below that the clock was corrected, not wrong.
constexpr std::int64_t kClockBehindUsMin = 1'000'000;

void diagnose_durability(Findings& findings, const Stats& stats, const Options& options, const Status& health) {
  const std::string level = durability_text(options.durability);
  if (!health.ok()) {
    return findings.warn("durability", level + ", but a sync has failed: " + health.failure().message,
                         "writes are refused until the store is closed and opened again; look at the disk first");
  }
  switch (options.durability) {
    case Durability::durable:
      return findings.ok("durability", level + ": every write is on the disk when it is answered");
    case Durability::relaxed:
      return findings.ok("durability", level + ": a crash of the machine loses at most the last " +
                                           std::to_string(options.sync_interval.milliseconds()) + " ms; " +
                                           std::to_string(stats.sequence - stats.synced_sequence) +
                                           " writes are not synced yet");
    case Durability::unlogged:
      return findings.ok("durability", level + ": a crash loses everything since the last snapshot");
  }
}

void diagnose_snapshots(Findings& findings, const Stats& stats, std::int64_t now_us) {
  std::string value = "none";
  if (stats.newest_snapshot) {
    value = std::to_string(stats.snapshots) + ", the newest with " + std::to_string(stats.newest_snapshot->entries) +
            " entries, " + age_text(now_us - stats.newest_snapshot->taken_at.time_since_epoch().count());
  }
  if (stats.snapshot_failures > 0) {
    return findings.warn("snapshots", value + "; " + std::to_string(stats.snapshot_failures) + " failed",
                         "the event hook has told why; the log grows until one succeeds");
  }
  findings.ok("snapshots", value);
}

/// A clock that was ahead once, when the machine started for one, is in the stamps of what was written then.
void diagnose_clock(Findings& findings, std::int64_t behind_us) {
  if (behind_us < kClockBehindUsMin) return;
  findings.warn(
      "clock", "this machine's clock is " + span_text(behind_us) + " behind what the store has seen",
      "until it has caught up the store's time stands still: nothing expires, no lock and no rate limit ends. "
      "Set the clock if it is wrong; otherwise copy the entries into another directory (tuskv copy)");
}

void diagnose_disk(Findings& findings, const Stats& stats, const Result<std::uint64_t>& free) {
  if (!free.ok()) {
    return findings.warn("disk", "unknown: " + free.failure().message, "look at the disk of the store's directory");
  }
  const std::string value = size_text(free.value()) + " are free";
  const std::uint64_t needed = stats.key_bytes + stats.value_bytes + kDiskFreeMin;
  if (free.value() < needed) {
    return findings.warn("disk", value,
                         "the next snapshot and the log beside it need about " + size_text(needed) + ": make room");
  }
  findings.ok("disk", value);
}

}  // namespace

Result<std::vector<Finding>> EmbeddedEngine::diagnose(std::int64_t timeout_ms) {
  Result<Stats> result = stats(timeout_ms);
  if (!result.ok()) return std::move(result).status();
  const Stats& stats = result.value();
  Findings findings;
  if (in_memory()) {
    findings.ok("durability", "in memory: nothing survives the process");
  } else {
    if (is_read_only()) {
      findings.ok("durability", read_only_text());
    } else {
      diagnose_durability(findings, stats, options_, log_->health());
    }
    findings.ok("log", size_text(stats.log_bytes) + " in " + std::to_string(stats.log_segments) + " segments");
    diagnose_snapshots(findings, stats, clock_.now_us());
    if (!is_read_only()) diagnose_disk(findings, stats, file_system_.free_bytes(directory_));
    if (stats.recovered_torn_bytes > 0) {
      findings.note("recovery",
                    std::to_string(stats.recovered_torn_bytes) + " bytes of an unfinished write were " +
                        (is_read_only() ? "passed over" : "cut off"),
                    "the last run did not close the store: it crashed or was killed");
    }
  }
  diagnose_clock(findings, clock_.behind_us());
  findings.ok("entries", std::to_string(stats.entries) + " in " + size_text(stats.memory_bytes) + " of memory");
  findings.expired(stats.expired, false, options_.ttl_mode);
  return findings.take();
}

}  // namespace tuskv::embedded
