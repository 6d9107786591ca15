// Clients that call a store at random on a few hot keys and write down what each call revealed and did, for the
// linearizability checker.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "support/linearizability.h"
#include "support/random.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

/// The calls of one client, in their order.
class CallRecorder final {
 public:
  /// Times `act`, which makes a call and fills in what it revealed and did.
  void record(const std::function<void(Call&)>& act);
  const std::vector<Call>& calls() const { return calls_; }

 private:
  std::vector<Call> calls_;
};

/// How long everything lives in a history with time.
inline constexpr std::chrono::hours kHistorySpan(1);

/// The time of a store, which its clients share. Everything lives for one span, and whoever moves the clock by that
/// span ends all of it at one instant. Nobody else is inside a call then: a lifetime counts from when the store looked
/// at the clock, so that what a call writes that goes on over the end of a span may be dead at once, which no state of
/// a history tells.
struct HistoryTime {
  std::function<void()> pass_span;  ///< moves the clock by kHistorySpan
  std::shared_mutex passing = {};   ///< held shared by calls, alone by who lets time pass
};

/// One client of a history: not thread-safe, one for each thread.
class HistoryClient final {
 public:
  /// `keys`: the hot keys, shared by all clients. Values this client writes are numbers nobody else writes.
  /// `time`: whose span every entry of the store lives for; without it none expires.
  HistoryClient(const Store& store, const std::vector<std::string>& keys, HistoryTime* time, int client,
                std::uint64_t seed)
      : store_(store), keys_(keys), time_(time), random_(seed), next_value_((client + 1) * 1'000'000) {}

  /// Calls on one key each; or time passes.
  void call_one_key();
  /// Also batches and transactions over several keys.
  void call_any();
  const std::vector<Call>& calls() const { return recorder_.calls(); }

 private:
  const std::string& any_key() { return keys_[random_.below(keys_.size())]; }
  std::string fresh_value() { return std::to_string(next_value_++); }
  void call_one(const std::function<void(Call&)>& act);
  void record_one_key(Call& call);
  void record_read(Call& call, const std::string& key);
  void record_swap(Call& call, const std::string& key);
  void record_counter(Call& call, const std::string& key);
  void record_condition(Call& call, const std::string& key);
  void record_exchange(Call& call, const std::string& key);
  void record_batch(Call& call);
  void record_transaction(Call& call);

  const Store& store_;
  const std::vector<std::string>& keys_;
  HistoryTime* time_;
  Random random_;
  std::int64_t next_value_;
  CallRecorder recorder_;
  /// What this client last saw under a key: a likely guess for compare-and-swap.
  std::optional<std::string> last_seen_;
};

}  // namespace tuskv::test
