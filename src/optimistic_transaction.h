// What an optimistic transaction has read and wants to write. No lock and no server transaction is held while it is
// filled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tuskv {

struct OptimisticTransaction {
  struct KeyRead {
    std::string key;
    std::uint64_t version = 0;  ///< 0: absent
  };
  /// The live entries of a range as two numbers: the same again means that nothing in it has changed. The fingerprint
  /// is a sum over the entries, modulo 2^64 or a smaller power of two, so that pages of a listing add up.
  struct RangeRead {
    std::string from;  ///< inclusive
    std::string to;    ///< exclusive; empty: no end
    std::uint64_t examined = 0;
    std::uint64_t fingerprint = 0;
  };
  struct KeyWrite {
    enum class Kind { put, erase, touch };
    std::string key;
    Kind kind = Kind::put;
    std::string value = {};
    std::int64_t expires_us = 0;  ///< put, touch; 0: never
    bool restarts_created =
        false;                  ///< put: the entry was erased before in this transaction, so created_at starts again
    std::uint64_t version = 0;  ///< given by the commit
  };

  /// Adds what was read of a range; pages of a listing become one range.
  void add(RangeRead range);

  std::vector<KeyRead> reads = {};
  std::vector<RangeRead> ranges = {};
  std::vector<KeyWrite> writes = {};  ///< one net write for each key
  std::int64_t ends_us = INT64_MAX;   ///< the earliest end of an entry that was read
  /// How far the clock that lifetimes were counted from was ahead of the steady one: at least, and at most.
  std::int64_t clock_ahead_us_min = INT64_MAX;
  std::int64_t clock_ahead_us_max = INT64_MIN;
  // The engine's own note of the moment at which the reads held together.
  std::uint64_t validated_at = 0;
  std::int64_t validated_us = 0;
};

}  // namespace tuskv
