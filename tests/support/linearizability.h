// Decides whether a concurrent history is one that a store with atomic operations can produce: whether there is an
// order of all calls, respecting that one call had returned before another was made, in which every call saw what it
// says it saw. The search is Wing and Gong's with Lowe's memory of the states already tried, for each group of keys
// that calls tie together on its own.
//
// A call is written down as what it revealed and what it did, so one form covers reads, writes, conditions, counters,
// batches and transactions: a successful compare-and-swap saw the expected value and wrote the new one; an increment
// that returned 5 saw 4 and wrote 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace tuskv::test {

/// What a call reveals of one key at its instant.
struct Sighting {
  enum class Kind { absent, present, equals, differs, is_not };
  std::string key;
  Kind kind = Kind::absent;
  /// Of `equals`, `differs` (present with another value) and `is_not` (absent, or present with another value).
  std::string value = {};
};

/// What a call leaves behind under one key; nothing: erased.
struct Effect {
  std::string key;
  std::optional<std::string> value;
};

struct Call {
  std::vector<Sighting> seen = {};
  std::vector<Effect> done = {};
  std::int64_t called = 0;  ///< any clock all threads share
  std::int64_t returned = 0;
  /// The outcome is not known: it may take effect at any time after `called`, or never.
  bool may_never_happen = false;
};

/// An observed value as a sighting: nothing is `absent`.
Sighting saw(const std::string& key, const std::optional<std::string>& value);

struct LinearizabilityResult {
  enum class Verdict { linearizable, violation, gave_up };
  Verdict verdict = Verdict::linearizable;
  /// A violation: the group of keys, and the calls around the place where every order ended.
  std::string explanation = {};
  std::uint64_t steps = 0;

  explicit operator bool() const { return verdict == Verdict::linearizable; }
};

/// All keys are absent at the start unless `initial` says otherwise. Gives up after so many steps of the search.
LinearizabilityResult check_linearizability(const std::vector<Call>& history, const std::vector<Effect>& initial = {},
                                            std::uint64_t steps_max = 20'000'000);

}  // namespace tuskv::test
