// The oracle: every write in the order it was handed to the store, and what a reopened store may show of them. The idea
// is RocksDB's expected-state file: acknowledged writes must be there, those under way may be, and nothing else. Since
// writes are applied in order, what may be shown is a range of prefixes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crash/model.h"
#include "crash/step.h"
#include "os/mutex.h"
#include "tuskv/options.h"

namespace tuskv::test {

/// Prefixes of the history, as counts of writes, both ends included.
struct Prefixes {
  std::size_t shortest = 0;
  std::size_t longest = 0;
};

/// Thread-safe, for one writer and any number of readers. A copy is a history of its own.
class History final {
 public:
  explicit History(Durability durability);
  History(const History& other);
  History& operator=(const History&) = delete;

  // What the writer did.
  void start(const Step& write, std::int64_t now_us);
  /// Ends the write started last: it was answered.
  void acknowledge();
  /// It was refused and must never take effect.
  void withdraw();
  // A write that is neither acknowledged nor withdrawn is of unknown outcome. When a later one succeeds that changes
  // something, the unknown one must be gone for good: the store has to know that by then.

  /// Writes acknowledged so far.
  std::size_t acknowledged() const;
  /// Writes handed over, the one under way included.
  std::size_t started() const;
  /// The first `count` writes survive a power loss; at the `unlogged` level, also the end of the process.
  void secure(std::size_t count);
  /// A reopened store has shown the first `count` writes and no others: that is the state from now on.
  void adopt(std::size_t count);
  void set_durability(Durability durability);

  /// Which prefixes a store may show when it is reopened after a crash at this moment. The upper end is a matter of the
  /// moment when the disk was looked at: ask `started` after that.
  std::size_t least_kept(bool after_power_loss) const;

  /// The longest of these prefixes whose state has this digest.
  std::optional<std::size_t> find(Prefixes prefixes, std::uint64_t found_digest, std::int64_t now_us) const;
  /// Why a found state is none of these prefixes, for people.
  std::string explain(Prefixes prefixes, const ModelEntries& found, std::int64_t now_us) const;
  ModelEntries state(std::size_t count, std::int64_t now_us) const;

 private:
  struct Write {
    Step step;
    std::int64_t now_us = 0;
  };

  Model replay(std::size_t count) const TUSKV_REQUIRES(mutex_);
  void push(Write write) TUSKV_REQUIRES(mutex_);
  void pop() TUSKV_REQUIRES(mutex_);

  mutable os::Mutex mutex_;
  Durability durability_ TUSKV_GUARDED_BY(mutex_);
  Model model_ TUSKV_GUARDED_BY(mutex_);
  std::vector<Write> writes_ TUSKV_GUARDED_BY(mutex_);
  std::optional<Write> unknown_ TUSKV_GUARDED_BY(mutex_);      ///< while another write is under way
  std::vector<StateDigest> digests_ TUSKV_GUARDED_BY(mutex_);  ///< of every prefix; one more than writes
  std::size_t acknowledged_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::size_t secured_ TUSKV_GUARDED_BY(mutex_) = 0;
};

/// The first few, a line each, for people.
std::string describe_differences(const ModelEntries& expected, const ModelEntries& found);

}  // namespace tuskv::test
