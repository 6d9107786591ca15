// The files that make up one state of a store, as its manifest names them, looked at one by one around damage: what is
// wrong with each, and what can still be read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "embedded/manifest.h"
#include "embedded/part_file.h"
#include "embedded/segment_scan.h"
#include "os/file_system.h"
#include "status.h"
#include "tuskv/maintenance.h"

namespace tuskv::embedded {

/// What an examination finds. Entries come before records, records in the order of the log.
struct StoreFindings {
  std::vector<Damage> damage = {};
  /// Of what the manifest says the parts have, those that could not be read.
  std::uint64_t missing_entries = 0;
  std::uint64_t missing_records = 0;
  /// No sequence in any file is higher, those of damaged records included (estimated from their size).
  std::uint64_t sequence_ceiling = 0;
};

/// Reads parts and delta of the manifest's snapshot and the log segments in `directory`. The sinks may be null. Fails
/// only when the system refuses to read.
Result<StoreFindings> examine_store(os::FileSystem& file_system, const std::string& directory, const Manifest& manifest,
                                    EntrySink* entries, RecordSink* records);

}  // namespace tuskv::embedded
