#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tuskv/bytes.h"
#include "tuskv/export.h"
#include "tuskv/store.h"

// Work on the directory of a `file:` store that is not open. Each takes the directory's lock (Busy when a program has
// it open) and throws Error. check and list_snapshots only read, also where nothing can be written.

namespace tuskv {
inline namespace v0 {

/// The directory that a `file:` URL names, decoded, without the options; Config for a URL of another kind.
TUSKV_API std::string directory_of(Bytes url);

/// One thing found wrong.
struct Damage {
  std::string file = {};
  std::uint64_t offset = 0;
  std::string what = {};
};

struct CheckReport {
  std::vector<Damage> damage = {};
  std::uint64_t files = 0;
  std::uint64_t size_bytes = 0;
  /// In the store as it is now, and records of its log; nothing when that is damaged.
  std::optional<std::uint64_t> entries = {};
  std::optional<std::uint64_t> records = {};
  /// Bytes of an unfinished last write; normal after a crash, cut off by the next open.
  std::uint64_t torn_bytes = 0;
};

/// Reads everything in the directory, every kept snapshot included, and changes nothing.
TUSKV_API CheckReport check(Bytes directory);

struct RepairReport {
  /// What had to be given up.
  std::vector<Damage> damage = {};
  std::uint64_t entries_kept = 0;
  /// Of the entries of the newest snapshot, those that could not be read, whether or not the log had later values of
  /// them; nothing when parts of it are damaged, and no manifest says how many there were.
  std::optional<std::uint64_t> entries_dropped = 0;
  /// Records of the log that could not be read; each is one write or one batch.
  std::uint64_t records_dropped = 0;
  /// Where the files as they were found have been put; empty when nothing was wrong and nothing was changed.
  std::string backup = {};
};

/// Makes a damaged directory open again with all that can be read: valid records and snapshot blocks, in order. What
/// was found is kept in it, in a folder repair-N.
TUSKV_API RepairReport repair(Bytes directory);

/// Kept snapshots, oldest first.
TUSKV_API std::vector<SnapshotInfo> list_snapshots(Bytes directory);
/// As Store::prune_snapshots.
TUSKV_API std::size_t prune_snapshots(Bytes directory, std::size_t keep);
/// Makes the state of a kept snapshot the present one. The state before is kept as a snapshot, pinned: it stays until
/// it is pruned, whatever `keep_snapshots` says. Returns that one.
TUSKV_API SnapshotInfo restore_snapshot(Bytes directory, std::uint64_t ordinal);

/// One row of the table of options: what a URL parameter is called, its form, its default and its meaning.
struct OptionHelp {
  std::string name = {};
  std::string form = {};
  std::string default_value = {};
  std::string help = {};
};

/// Every option a URL may carry, in order; the same table checks them.
TUSKV_API std::vector<OptionHelp> option_help();

}  // namespace v0
}  // namespace tuskv
