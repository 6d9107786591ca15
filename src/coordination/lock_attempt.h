// One try for a lock, shared by those who ask once and those who wait.
//
// A lock is held while its record is live: the store's clock ends it. The record holds a token, taken from a counter
// that is never dead: the two are written in one unit, the record under the condition that there is none, the counter
// under the condition that it still says what was read. So tokens are given in the order in which locks change hands.
// (The counter's condition alone would do, since every turn raises it. The record's says what is meant, and holds
// though a counter were lost.)
//
// Why the number is not the record's own (its version, say): the record is removed when the lock is free, and an engine
// whose versions come from a clock may give a key it no longer knows a lower one. Why counters are shared: one for each
// name would stay for ever for every name that was ever locked. Two locks that share one may disturb each other's
// attempt, which is then made again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coordination/records.h"
#include "tuskv/bytes.h"
#include "tuskv/coordination.h"
#include "view.h"

namespace tuskv::coordination {

/// What is asked for, checked.
struct LockRequest {
  LockRequest(const View& view, Bytes name, Duration ttl, std::optional<Bytes> owner);

  std::string name;
  std::string key;          ///< of the lock's record
  std::string counter_key;  ///< of its token's counter
  std::string owner;
  std::int64_t ttl_ms;
};

struct LockAttempt {
  std::optional<Lease> lease = {};
  std::string holder = {};  ///< who has it instead
};

LockAttempt attempt_lock(const View& view, const LockRequest& request);

}  // namespace tuskv::coordination
