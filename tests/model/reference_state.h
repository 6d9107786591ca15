// The entries of the reference in all namespaces, its time, and what its savepoints have to bring back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tuskv::test {

struct ReferenceRules {
  std::size_t key_bytes_max = 1024;
  std::size_t value_bytes_max = 65'536;
  bool expiry_disabled = false;  ///< TtlMode::disabled
  /// Two calls can have the same time; otherwise each has a later one than the one before.
  bool clock_stands_still = true;
};

struct ReferenceEntry {
  std::string value = {};
  std::int64_t expires_us = 0;  ///< 0: never
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
  std::uint64_t version = 0;
  /// Dead, and asked for by something that may or may not remove what is dead.
  bool may_be_gone = false;
};

/// Namespace (empty: the root) and key.
using Place = std::pair<std::string, std::string>;

class ReferenceState final {
 public:
  using Entries = std::map<Place, ReferenceEntry>;

  explicit ReferenceState(const ReferenceRules& rules) : rules_(rules) {}

  const ReferenceRules& rules() const { return rules_; }
  const Entries& entries() const { return entries_; }
  std::int64_t now_us() const { return now_us_; }
  void set_now_us(std::int64_t now_us) { now_us_ = now_us; }
  bool is_live(const ReferenceEntry& entry) const;
  /// The live entry, or null.
  const ReferenceEntry* find(const Place& place) const;
  std::uint64_t next_version() { return ++last_version_; }

  /// Every change goes through here. Nothing given removes the entry.
  void write(const Place& place, std::optional<ReferenceEntry> entry);
  /// True when the entry was live. One that was dead may be removed or not, and so may one that a transaction has
  /// written over and then removed.
  bool remove(const Place& place);
  void mark_dead_as_maybe_gone();
  bool has_maybe_gone() const;
  /// Removes dead entries, earliest first, `limit` at most (0: all); returns how many there were at least and at most.
  std::pair<std::uint64_t, std::uint64_t> remove_dead(std::uint64_t limit);

  void begin_savepoint() { savepoints_.emplace_back(); }
  void keep_savepoint();
  void roll_back_savepoint();

 private:
  void put_back(const Place& place, std::optional<ReferenceEntry> entry);
  /// What a place held before the transaction.
  std::optional<ReferenceEntry> before_transaction(const Place& place) const;

  const ReferenceRules rules_;
  Entries entries_;
  std::int64_t now_us_ = 0;
  std::uint64_t last_version_ = 0;
  /// What stood in each place before it was first written since.
  std::vector<std::map<Place, std::optional<ReferenceEntry>>> savepoints_;
};

}  // namespace tuskv::test
