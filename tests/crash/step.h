// What a workload does, as data: the same list of steps drives the engine, the model of what must be there, and (in
// tests/kill) a program of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tuskv::test {

struct BatchItem {
  std::string key = {};
  std::optional<std::string> value = std::nullopt;  ///< nothing: erase
};

struct Step {
  enum class Kind {
    // Writes: each is one entry of the history, wholly there or wholly absent.
    set,           ///< key, value; number: lives this many milliseconds (0: for ever)
    erase,         ///< key
    expire,        ///< key; number: lives this many milliseconds from now
    add,           ///< key; number is added to the counter
    batch,         ///< items
    transfer,      ///< a transaction that moves `number` from account `key` to account `value`
    erase_prefix,  ///< key is the prefix; empty: everything
    // What must not change anything that can be read.
    sync,
    snapshot,
    prune,    ///< number: older snapshots kept
    sweep,    ///< removes what has expired
    reopen,   ///< orderly close and open; number: the durability level of the new opening
    advance,  ///< the clock, by `number` milliseconds
  };

  Kind kind = Kind::set;
  std::string key = {};
  std::string value = {};
  std::int64_t number = 0;
  std::vector<BatchItem> items = {};
  bool asynchronous = false;  ///< a set goes through Engine::submit
};

inline bool is_write(const Step& step) { return step.kind <= Step::Kind::erase_prefix; }

/// What an account holds before the first transfer.
inline constexpr std::int64_t kAccountStart = 100;

std::string to_string(const Step& step);

}  // namespace tuskv::test
