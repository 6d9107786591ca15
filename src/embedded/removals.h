// The keys that were removed from a shard last, for transactions: of what one finds missing it has to know whether it
// was there at its moment. A few are kept; where they do not suffice the answer is that it may have been.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tuskv/function_ref.h"

namespace tuskv::embedded {

/// A state of the store: every change up to the sequence has been made, and no later one counts.
struct ReadMoment {
  std::uint64_t sequence = 0;
  std::int64_t time_us = 0;
  /// Whether an entry with this sequence that ends then, or an erase (without an end), comes behind it.
  bool is_before(std::uint64_t other_sequence, std::int64_t end_us) const {
    return other_sequence > sequence || end_us > time_us;
  }
};

/// Not thread-safe.
class Removals final {
 public:
  static constexpr std::int64_t kErased = INT64_MIN;

  /// `sequence` of the erase, or of the entry that ended at `end_us`.
  void add(std::string_view key, std::uint64_t sequence, std::int64_t end_us);
  /// An erase of more keys than could be kept.
  void add_many(std::uint64_t sequence);
  /// Whether a key that `concerns` may have been there at that moment.
  bool may_be_since(const ReadMoment& moment, FunctionRef<bool(std::string_view key)> concerns) const;

 private:
  static constexpr std::size_t kKept = 64;
  struct Last {
    std::uint64_t sequence = 0;
    std::int64_t end_us = kErased;

    void include(const Last& other);
    bool is_since(const ReadMoment& moment) const { return moment.is_before(sequence, end_us); }
  };
  struct Removal {
    std::string key = {};
    Last last = {};
  };

  std::array<Removal, kKept> kept_ = {};  ///< in a circle; before there are so many, as if from before all moments
  std::size_t next_ = 0;
  Last of_all_ = {};
  Last of_forgotten_ = {};  ///< those that are not kept
};

}  // namespace tuskv::embedded
