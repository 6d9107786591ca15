#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "tuskv/bytes.h"
#include "tuskv/export.h"
#include "tuskv/time.h"

// Plain types that operations take and return. Options are lent for the call, written with field names in the order of
// declaration (`{.ttl = 30min}`), and trivially destructible: g++ 12 destroys other aggregates twice inside co_await.

namespace tuskv {
inline namespace v0 {

/// What a write does to the expiry. At most one field may be given. Without any: `set`, `set_if_absent`,
/// `set_if_present`, `set_many` and `get_and_set` store an entry that does not expire (or expires after the default TTL
/// of its view); compare_and_swap and `update` keep a live entry's expiry, and create as `set` does.
struct SetOptions {
  /// Expires this long from now: 1 ms to 1000 years, otherwise InvalidArgument.
  std::optional<Duration> ttl = {};
  /// Expires at this instant of the store's clock, up to the year 9999 (InvalidArgument). An instant that has passed
  /// makes the write an erase.
  std::optional<Instant> expires_at = {};
  /// Keeps the expiry of a live entry. An absent one is created without expiry, also in a view with a default TTL.
  bool keep_ttl = false;
  /// Does not expire, whatever the default TTL of the view.
  bool persistent = false;
};

/// One entry for set_many. Its own `ttl` wins over the TTL of the whole call. Key and value are lent: they must outlive
/// the call. `{.key = "user:" + id}` is right inside the braces of the call only; in a vector it dangles.
struct Item {
  Bytes key = {};
  Bytes value = {};
  std::optional<Duration> ttl = {};
};

/// The number that identifies one write of one key; it grows with every write of that key and is never used again, but
/// for writes that a crash has taken back (`relaxed`, `unlogged`). Numbers of different keys can be compared only
/// within one embedded store.
///
/// In a transaction, what it has written itself has a number for the moment, from 2^63 on: good for comparing within
/// the transaction, and nothing that is ever stored. The commit gives the number that stays.
struct Version {
  std::uint64_t number = 0;
  friend constexpr bool operator==(Version, Version) = default;
  friend constexpr auto operator<=>(Version, Version) = default;
};

/// A live entry with what the store knows of it. Stamps are kept in whole milliseconds by the embedded engine.
struct Entry {
  std::string key = {};
  std::string value = {};
  Version version = {};
  std::optional<TimePoint> expires_at = {};
  /// Of the first write since the key was absent. A transaction does not look for it when it only sets a key: until it
  /// commits, the entry seems to have been created by that.
  TimePoint created_at = {};
  TimePoint updated_at = {};
};

/// How long a key will live.
struct Ttl {
  enum class State { missing, persistent, remaining };
  State state = State::missing;
  /// Time left, more than zero, when `state` is `remaining`.
  std::chrono::milliseconds left = {};

  /// As Redis answers TTL: -2 missing, -1 without expiry, otherwise seconds rounded up.
  std::int64_t redis() const noexcept {
    if (state == State::missing) return -2;
    if (state == State::persistent) return -1;
    return (left.count() + 999) / 1000;
  }
};

/// What compare_and_swap and compare_and_erase found.
struct CompareResult {
  enum class Status { success, mismatch, not_found };
  Status status = Status::not_found;
  /// After a mismatch the value that was there instead.
  std::optional<std::string> current = {};
  /// After a mismatch the version that was there instead, after a swap that of the entry written (in a transaction: see
  /// Version), so that a loop over versions reads nothing more. Otherwise 0, which no entry has.
  Version version = {};
  explicit operator bool() const noexcept { return status == Status::success; }
};

/// What `persist` found; true when an expiry was removed.
struct PersistResult {
  enum class Status { missing, had_none, removed };
  Status status = Status::missing;
  explicit operator bool() const noexcept { return status == Status::removed; }
};

/// Bounds and lifetime of a counter. A step that would leave [min, max] fails with Overflow and changes nothing.
struct CounterOptions {
  std::int64_t min = INT64_MIN;
  std::int64_t max = INT64_MAX;
  /// Expiry given when the counter is created (absent counts as 0); an existing counter keeps its own.
  std::optional<Duration> ttl_if_created = {};
  /// A counter that is created does not expire, whatever the default TTL of the view. Not with `ttl_if_created`.
  bool persistent = false;
};

/// Which entries, in which order. Keys are ordered bytewise (unsigned). What is given of `prefix`, `from`, `to`, `glob`
/// and `after` holds together; where nothing is left, as when `to` comes before `from`, nothing is found.
struct ScanOptions {
  /// Only keys that start with these bytes; literal.
  Bytes prefix = {};
  /// Only this key and those behind it.
  Bytes from = {};
  /// Only keys before this one. Nothing = to the end; empty bytes, before which there is no key, are none.
  std::optional<Bytes> to = {};
  /// Only keys that match: `*` any run, `?` one byte, `\` takes the next byte literally. Up to 1024 bytes. Empty: all.
  Bytes glob = {};
  /// Continue behind this key (before it when `reverse`); usually the `next` of the last page. Empty = from the start.
  Bytes after = {};
  /// 1 to 10000 entries a page.
  std::size_t limit = 100;
  bool reverse = false;
  /// Leaves `value` of every entry empty.
  bool keys_only = false;
  /// For administration: also entries that have expired and are still stored. A transaction does not watch those: it is
  /// no conflict when one that it has been shown is removed.
  bool include_expired = false;
};

/// One page of a scan, which can hold fewer entries than the limit, even none, and still have a `next`: it looks at up
/// to 20,000 keys (and as many own ones of a transaction), and ends when values given or searched come to 16 MiB.
struct Page {
  std::vector<Entry> entries = {};
  /// Where the next page starts (`after`); empty when this page is the last.
  std::string next = {};
};

/// Which values `search_values` finds, and how many.
struct SearchOptions {
  /// Takes capital and small letters of ASCII for the same; other letters, and bytes, are as they are.
  bool ignore_case = false;
  /// As in ScanOptions.
  Bytes prefix = {};
  Bytes from = {};
  std::optional<Bytes> to = {};
  /// 1 to 10000 entries a page.
  std::size_t limit = 100;
  /// Continue behind this key: the `next` of the last page. Empty = from the start.
  Bytes after = {};
};

/// How `find_by_field` compares, and how many it finds.
struct FindOptions {
  /// Compares texts: a string is its characters, a number is written out with the digits it was given (1e2 is 100, 1.50
  /// stays 1.50), `true` and `false` are these words; null, objects and arrays have no text and are never found.
  bool text = false;
  /// 1 to 10000 entries a page.
  std::size_t limit = 100;
  /// Continue behind this key: the `next` of the last page. Empty = from the start.
  Bytes after = {};
};

/// One page of keys, or of names.
struct KeyPage {
  std::vector<std::string> keys = {};
  /// Where the next page starts (`after`); empty when this page is the last.
  std::string next = {};
};

/// Which keys, as in ScanOptions.
struct CountOptions {
  Bytes prefix = {};
  Bytes from = {};
  std::optional<Bytes> to = {};
  Bytes glob = {};
};

struct EraseOptions {
  /// Confirms that an empty prefix, which means every key of the namespace, is meant.
  bool allow_empty_prefix = false;
};

/// How a typed view writes and reads.
struct TypedOptions {
  /// Given to every write of the view that says nothing about expiry; otherwise that is the default of the namespace.
  std::optional<Duration> ttl = {};
  /// `get` and `get_or_throw` let what they return live for `ttl` from now, which must be given. Other reads do not.
  /// Each of these reads is thus a write, and gives an expiry also to an entry that had none.
  bool sliding = false;
};

static_assert(std::is_trivially_destructible_v<SetOptions> && std::is_trivially_destructible_v<Item> &&
              std::is_trivially_destructible_v<CounterOptions> && std::is_trivially_destructible_v<ScanOptions> &&
              std::is_trivially_destructible_v<CountOptions> && std::is_trivially_destructible_v<SearchOptions> &&
              std::is_trivially_destructible_v<FindOptions> && std::is_trivially_destructible_v<EraseOptions>);

}  // namespace v0
}  // namespace tuskv
