#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tuskv/export.h"
#include "tuskv/time.h"

namespace tuskv {
inline namespace v0 {

class Encryptor;

/// When a write is answered.
enum class Durability {
  durable,   ///< Once it survives a crash of the machine. One sync serves all writers waiting at that moment.
  relaxed,   ///< Once it survives a crash of the process; synced in the background. A crash of the machine (PostgreSQL:
             ///< of the server) loses at most the last moments, in order.
  unlogged,  ///< At once. `file:`: kept by snapshots only, on an interval and at close. `postgresql:` an UNLOGGED
             ///< table, emptied by a crash of the server, which is reported (StoreReset).
};

/// Who removes entries whose time has come. Reads hide them in every mode but `disabled`.
enum class TtlMode {
  background,  ///< A sweeper removes them, earliest first, in batches until none is left. On PostgreSQL the order is of
               ///< spans of 256 s; behind very many live entries of the present one they stay until it is over.
  on_read,     ///< A read that meets one removes it.
  manual,      ///< Only `cleanup_expired` does.
  disabled,    ///< Expiry is stored and reported but never acted on: expired entries stay visible.
};

/// Whether statements are prepared on a PostgreSQL server.
enum class PrepareMode {
  automatic,  ///< On direct connections; not through a pooler, nor once a server did not know what had been prepared.
  always,     ///< Also through a pooler, which must support it (pgbouncer from 1.21, with max_prepared_statements).
  never,
};

/// The type of the column that holds the values.
enum class ValueType {
  bytea,  ///< Any bytes, returned as they were given.
  jsonb,  ///< JSON documents (UTF-8), returned in PostgreSQL's spelling and order; anything else is InvalidValue.
          ///< One that its numbers, written out, make longer than 1 MiB and eight times its size is TooLarge.
};

/// Something that happened in the background. `message` is valid during the call.
struct Event {
  enum class Kind { recovered, snapshot_published, snapshot_failed, sync_failed, sweep_failed, store_reset };
  Kind kind = Kind::recovered;
  std::string_view message = {};
};

/// How a store behaves, fixed at open. Every field but `encryptor`, `on_event` and `event_context` is also a query
/// parameter of the URL with the same name (`file:./data?durability=relaxed&timeout=2s`); the URL wins. A wrong value
/// is a Config error naming the option and the rule. One that the engine does not have is refused in a URL and has no
/// effect here.
struct Options {
  /// Every call ends by then, but those that write a whole snapshot or wait for one (snapshot, prune_snapshots, sync of
  /// an unlogged store, close), a list of namespaces (each name by then), the wait for a lock (LockOptions::wait), and
  /// the time your own function takes in a transaction or an update. `file:` on a disk that stands still: the one call
  /// that is writing its record, and the one that syncs for all who wait, stay until the disk answers; others,
  /// asynchronous ones too, end in time. 1 ms to 1 day.
  Duration timeout = std::chrono::seconds(5);
  /// For `file:` and `postgresql:`; `memory:` refuses it in its URL.
  Durability durability = Durability::durable;
  TtlMode ttl_mode = TtlMode::background;
  /// Pause between rounds of the sweeper. 1 ms to 1 day.
  Duration sweep_interval = std::chrono::seconds(1);
  /// Entries removed at most under one lock. 1 to 100000.
  std::size_t sweep_batch = 1000;
  /// Longest key. 1 to 2048; key and namespace together never exceed 2048.
  std::size_t max_key_bytes = 1024;
  /// Largest value. 1 to 1016 MiB, which PostgreSQL can take as well.
  std::size_t max_value_bytes = std::size_t{100} << 20;

  /// Makes the store (a directory; PostgreSQL: a table) when there is none; otherwise that is a Config error, also of
  /// a directory that is there and empty. Not for `memory:`.
  bool create = true;

  /// Values are encrypted (tuskv/encryption.h). A store that holds entries is opened with the keys it was made with, or
  /// without any, as it was made; otherwise that is a Config error. Not with ValueType::jsonb.
  std::shared_ptr<const Encryptor> encryptor = {};
  /// The same with AES-256-GCM and the keys of this file (KeyRing::from_file); empty: none. At most one of the two. In
  /// a URL it replaces both, and `none` is no encryption.
  std::string encryption_key_file = {};

  // For `file:` only; others refuse them in their URLs.

  /// Opens the directory without changing anything in it: calls that would write are Unsupported. Any number of readers
  /// have it open at once, while nobody writes. Without a store in it that is a Config error. A directory that cannot
  /// be written, and a kept snapshot that lies in its store, are opened so in any case.
  bool read_only = false;
  /// `relaxed`: longest time written bytes stay unsynced. 1 ms to 1 hour.
  Duration sync_interval = std::chrono::milliseconds(100);
  /// `unlogged`: a snapshot is written this often when something changed. 100 ms to 7 days.
  Duration snapshot_interval = std::chrono::minutes(5);
  /// A snapshot is written when the log holds this many bytes for each byte of live data (in percent), ... 10 to 10000.
  std::size_t snapshot_log_percent = 100;
  /// ... but not before the log has this size. 64 KiB to 1 TiB.
  std::size_t snapshot_log_bytes_min = std::size_t{64} << 20;
  /// Older snapshots kept beside the newest one, each of which opens alone. 0 to 1000.
  std::size_t keep_snapshots = 1;
  /// Threads that write and read snapshots. 1 to 64.
  std::size_t snapshot_threads = 2;

  // For `postgresql:` only; others refuse them in their URLs. Names of libpq's own (user, connect_timeout,
  // application_name, …) stand beside them in the URL and go to libpq untouched.

  /// Where the table is: a lower-case name. Empty: the first schema of the search path. Created when missing.
  std::string schema = {};
  /// Its name: lower-case letters, digits and `_`, at most 48 bytes.
  std::string table = "tuskv";
  ValueType value_type = ValueType::bytea;
  /// Hash partitions the table is created with; 0: none. A table that is there must have as many, or, with 0, any. 0 to
  /// 256.
  std::size_t partitions = 0;
  /// Percent of a page filled by new rows; the rest is for updates of them. When the table is created. 10 to 100.
  std::size_t fill_factor = 80;
  /// Connections at most. 1 to 1000.
  std::size_t pool_size = 8;
  PrepareMode prepare = PrepareMode::automatic;
  /// Callers of one kind (reading, setting, all else) that have a statement each; what more of them ask for goes
  /// together in batches. 1 to 500.
  std::size_t direct_callers = 4;
  /// Batches under way at once, of reading and of setting each; of all else, which locks rows, it is one. 1 to 100.
  std::size_t batches = 4;
  /// Keys in one batch. 1 to 4096.
  std::size_t batch_keys = 256;
  /// Bytes of values in one batch. 4 KiB to 64 MiB.
  std::size_t batch_bytes = std::size_t{1} << 20;
  /// Times that the engine itself tries again what certainly had no effect: deadlocks, serialization failures, reads on
  /// a lost connection. 0 to 1000.
  std::size_t retries = 10;

  /// Called from background threads, during open, and by the call that meets a failed sync; must not throw, must not
  /// block (as exit() does while a store closes in the background) and must not call the store. Null = events are
  /// dropped.
  void (*on_event)(void* context, const Event& event) = nullptr;
  /// Has to live until the store is closed: until close() has returned or the last handle is gone; but where that died
  /// on a thread of the store (in a callback, a coroutine, an offloaded function), the store closes in the background
  /// (see ~Store), until the process ends.
  void* event_context = nullptr;
};

}  // namespace v0
}  // namespace tuskv
