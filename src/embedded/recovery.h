// Opening a directory: manifest, snapshot parts, their delta, then the log, in order, into a keyspace. See recovery.cc
// for how a torn tail is told from damage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedded/keyspace.h"
#include "embedded/manifest.h"
#include "os/file_system.h"
#include "status.h"

namespace tuskv::embedded {

struct RecoveredSegment {
  std::uint64_t ordinal = 0;
  std::uint64_t bytes = 0;
};

struct Recovered {
  Manifest manifest = {};
  std::uint64_t last_sequence = 0;
  std::uint64_t next_log_ordinal = 1;
  std::int64_t clock_high_us = 0;  ///< latest stamp seen anywhere
  std::uint64_t records = 0;       ///< read from the log behind the snapshot
  std::uint64_t torn_bytes = 0;
  std::vector<RecoveredSegment> segments = {};  ///< of the log, not of the snapshot
};

struct RecoveryOptions {
  std::string directory = {};
  std::size_t threads = 2;
  /// False (reading, check, restore): nothing on disk is changed; a torn tail is only counted.
  bool may_write = true;
  /// False where nobody is told what was found (check, restore), or where nothing can be written.
  bool may_sync = true;
};

/// Fills `keyspace` with the state in the directory and, with `may_sync`, makes sure that all of it survives a power
/// loss before it returns. Cuts a torn tail and removes leftovers of what was never published. Corruption names file
/// and offset.
Result<Recovered> recover(os::FileSystem& file_system, const RecoveryOptions& options, Keyspace& keyspace);

}  // namespace tuskv::embedded
