// Clients that take, renew and lose locks, claims and rate limits at random and write down what each call revealed and
// did, for the linearizability checker. Each of the three has a state that fits its form: a lock is absent or the token
// it is held under, a claim absent or its owner, a window absent or what it has granted. Time is part of the history.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "contract/histories.h"
#include "support/linearizability.h"
#include "support/random.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

/// One client of a history: not thread-safe, one for each thread. All clients of a store contend for the same names.
class CoordinationClient final {
 public:
  CoordinationClient(const Store& store, HistoryTime& time, int client, std::uint64_t seed)
      : store_(store), time_(time), random_(seed), name_("client" + std::to_string(client) + ":") {}

  /// One call, on the lock, the claim or the limit; or time passes.
  void call_any();
  const std::vector<Call>& calls() const { return recorder_.calls(); }
  /// The calls that took a lock, with their tokens.
  struct Taken {
    std::uint64_t token = 0;
    std::int64_t called = 0;
    std::int64_t returned = 0;
  };
  const std::vector<Taken>& taken() const { return taken_; }

 private:
  std::string fresh_owner() { return name_ + std::to_string(owners_++); }
  void pass_time();
  void call_lock(Call& call);
  void take_lock(Call& call);
  void write_under_lock(Call& call);
  void call_claim(Call& call);
  void take_claim(Call& call);
  void call_limit(Call& call);

  const Store& store_;
  HistoryTime& time_;
  Random random_;
  std::string name_;
  std::int64_t owners_ = 0;
  std::optional<Lease> lease_;    ///< the last one it got; it may be gone
  std::string owner_ = "nobody";  ///< of the last claim it got; it may be gone
  CallRecorder recorder_;
  std::vector<Taken> taken_;
};

}  // namespace tuskv::test
