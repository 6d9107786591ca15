// A log on a simulated disk, and what can be read back from it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedded/append_record.h"
#include "embedded/log.h"
#include "embedded/log_reader.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {

inline constexpr const char* kLogDirectory = "d";
inline constexpr StoreId kLogStoreId = {1, 2, 3};
inline constexpr std::int64_t kLongMs = 60'000;

inline LogOptions log_options(Durability durability = Durability::durable) {
  return {.directory = kLogDirectory,
          .store_id = kLogStoreId,
          .durability = durability,
          .segment_bytes_min = 4096,
          .segment_bytes_max = 16384};
}

inline std::unique_ptr<test::SimulatedFileSystem> log_disk(test::SimulatedFileSystemOptions options = {}) {
  auto disk = std::make_unique<test::SimulatedFileSystem>(options);
  [[maybe_unused]] const Status made = disk->make_directory(kLogDirectory);
  disk->make_all_durable();
  return disk;
}

inline std::string segment_path(std::uint64_t ordinal) {
  return std::string(kLogDirectory) + "/" + segment_name(ordinal);
}

/// Appends one put of `key`, with a value of `value_size` bytes.
inline Result<std::uint64_t> append_put(Log& log, const std::string& key, std::size_t value_size = 8) {
  RecordBuffer record;
  record.start(RecordKind::changes);
  const std::string value(value_size, 'v');
  record.add({.op = ChangeOp::put, .key = key, .value = value, .created_us = 1, .updated_us = 1});
  return append_record(log, record);
}

inline Result<std::uint64_t> append_erase(Log& log, const std::string& key) {
  RecordBuffer record;
  record.start(RecordKind::changes);
  record.add({.op = ChangeOp::erase, .key = key});
  return append_record(log, record);
}

class KeyCollector final : public ChangeSink {
 public:
  void change(const Change& change, std::uint64_t sequence) override {
    sequences.push_back(sequence);
    keys.emplace_back(change.key);
  }

  std::vector<std::uint64_t> sequences = {};
  std::vector<std::string> keys = {};
};

inline LogRange log_range() { return {.directory = kLogDirectory, .store_id = kLogStoreId}; }

inline Result<LogSurvey> survey(os::FileSystem& disk) { return survey_log(disk, log_range()); }

/// The keys in the log in order; a single one that starts with "failure: " when it cannot be read.
inline std::vector<std::string> keys_in_log(os::FileSystem& disk) {
  Result<LogSurvey> found = survey(disk);
  if (!found.ok()) return {"failure: " + found.failure().message};
  KeyCollector collector;
  const Status read = replay_segments(disk, kLogDirectory, kLogStoreId, found.value().segments, collector);
  if (!read.ok()) return {"failure: " + read.failure().message};
  return std::move(collector.keys);
}

}  // namespace tuskv::embedded
