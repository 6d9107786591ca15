// Locks, claims and limits with many threads, and processes, after them.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "contract/contract.h"
#include "contract/coordination_histories.h"
#include "contract/threads.h"
#include "support/random.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr int kContenders = 16;

/// One turn of a lock's holder, in steps that all threads count together.
struct Turn {
  std::uint64_t token = 0;
  int asked_at = 0;
  int held_from = 0;
  int held_until = 0;  ///< that far it was certainly held; 0: nobody knows
};

class Coordinating : public ContractTest {
 protected:
  /// A count for this backend: those that wait for a disk at each write get less.
  int scaled(int count) {
#if defined(__SANITIZE_THREAD__)
    count = std::max(1, count / 8);
#endif
    return backend().durability() == Durability::durable ? std::max(1, count / 4) : count;
  }
  void advance_together(std::int64_t by_ms) {
    const std::lock_guard<std::mutex> lock(clock_mutex_);
    advance_ms(by_ms);
  }
  int next_step() { return ++step_; }

 private:
  std::mutex clock_mutex_;
  std::atomic<int> step_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Backends, Coordinating, testing::ValuesIn(backend_kinds()), backend_name);

/// No two hold the lock at a time, no token is given twice, and who asks while or after another holds it does not get a
/// lower one.
void check_turns(std::vector<Turn> turns) {
  std::sort(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) { return a.token < b.token; });
  std::uint64_t token = 0;
  int held_until = 0;
  for (const Turn& turn : turns) {
    ASSERT_GT(turn.token, token) << "a token was given twice";
    ASSERT_GT(turn.held_from, held_until) << "token " << turn.token << " was held beside a lower one";
    token = turn.token;
    held_until = std::max(held_until, turn.held_until);
  }
  int held_from = INT32_MAX;  // the earliest of all higher tokens
  for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
    ASSERT_LT(turn->asked_at, held_from) << "token " << turn->token << " was given after a higher one";
    held_from = std::min(held_from, turn->held_from);
  }
}

TEST_P(Coordinating, OneHoldsALockAtATimeAndTokensGrow) {
  options.timeout = 60s;
  store();
  constexpr int kRoundsMax = 10'000;
  const int rounds = scaled(120);
  std::vector<std::vector<Turn>> turns(kContenders);
  std::atomic<int> late = 0;
  std::atomic<int> refused = 0;
  run_together(kContenders, [&](int t) {
    Random random(static_cast<std::uint64_t>(t));
    // On until somebody was late, which a few rounds may not see.
    for (int i = 0; i < rounds || (refused == 0 && i < kRoundsMax); ++i) {
      Turn turn{.asked_at = next_step()};
      const auto lease = store().try_lock("job", {.ttl = 100ms});
      if (!lease) continue;
      turn.token = lease->token;
      turn.held_from = next_step();
      const bool pauses = random.chance(20);
      if (pauses) advance_together(100);  // longer than its time; others get the lock
      const std::string token = std::to_string(lease->token);
      const auto previous = store().transaction([&](Transaction& tx) -> std::optional<std::string> {
        if (!tx.renew(*lease, 100ms)) return std::nullopt;
        return tx.get_and_set("last", token).value_or("0");
      });
      if (previous) {
        EXPECT_LT(std::stoull(*previous), lease->token) << "a late holder wrote";
        EXPECT_FALSE(pauses);
      } else {
        ++refused;
      }
      const int before = next_step();
      if (store().unlock(*lease)) {
        turn.held_until = before;
      } else {
        ++late;
      }
      turns[static_cast<std::size_t>(t)].push_back(turn);
    }
  });
  std::vector<Turn> all;
  for (const auto& of_thread : turns) all.insert(all.end(), of_thread.begin(), of_thread.end());
  check_turns(all);
  EXPECT_GT(late, 0);
  EXPECT_GT(refused, 0);
  EXPECT_GT(all.size(), static_cast<std::size_t>(late)) << "some were in time";
}

TEST_P(Coordinating, GuardsExcludeEachOther) {
  options.timeout = 60s;
  store();
  const int rounds = scaled(20);
  std::atomic<int> inside = 0;
  run_together(kContenders, [&](int t) {
    for (int i = 0; i < rounds; ++i) {
      const Lock lock = store().lock("job", {.auto_renew = t % 2 == 0});
      EXPECT_EQ(++inside, 1);
      const int count = std::stoi(store().get("count").value_or("0"));
      store().set("count", std::to_string(count + 1));
      --inside;
    }
  });
  EXPECT_EQ(get("count"), std::to_string(kContenders * rounds));
}

TEST_P(Coordinating, AClaimHasOneOwnerAndIsListedUnderIt) {
  options.timeout = 60s;
  store();
  const int names = scaled(60);
  std::vector<std::atomic<int>> holders(static_cast<std::size_t>(names));
  const auto owner_of = [](int t) { return "owner" + std::to_string(t); };
  run_together(kContenders, [&](int t) {
    Random random(static_cast<std::uint64_t>(t));
    for (int i = 0; i < names; ++i) {
      const std::string name = "name" + std::to_string(i);
      if (!store().claim(name, owner_of(t))) continue;
      std::atomic<int>& holding = holders[static_cast<std::size_t>(i)];
      EXPECT_EQ(++holding, 1) << name;
      EXPECT_TRUE(store().claim(name, owner_of(t)));
      --holding;
      if (random.chance(30)) {
        EXPECT_TRUE(store().move_claim(name, owner_of(t), "heir"));
      } else if (random.chance(60)) {
        EXPECT_TRUE(store().release_claim(name, owner_of(t)));
      }
    }
  });
  std::size_t claimed = 0;
  for (int i = 0; i < names; ++i) claimed += store().claim_owner("name" + std::to_string(i)) ? 1 : 0;
  std::size_t listed = 0;
  for (int t = 0; t <= kContenders; ++t) {
    const std::string owner = t == kContenders ? "heir" : owner_of(t);
    for (const std::string& name : store().claims_of(owner, {.limit = 1000}).keys) {
      EXPECT_EQ(store().claim_owner(name), owner) << name;
      ++listed;
    }
  }
  EXPECT_EQ(listed, claimed);
}

TEST_P(Coordinating, Y14_AWindowGrantsItsLimitWhoeverAsks) {
  options.timeout = 60s;
  store();
  const int limit = 40;
  const int windows = scaled(12);
  for (int window = 0; window < windows; ++window) {
    std::atomic<int> granted = 0;
    run_together(kContenders, [&](int) {
      for (int i = 0; i < 5; ++i) granted += store().rate_limit("k", {.limit = limit, .window = 100ms}) ? 1 : 0;
    });
    ASSERT_EQ(granted, limit);
    advance_ms(100);
  }
  std::atomic<std::int64_t> granted = 0;
  std::atomic<int> moves = 0;
  run_together(kContenders, [&](int t) {
    Random random(static_cast<std::uint64_t>(t));
    for (int i = 0; i < scaled(80); ++i) {
      const auto cost = static_cast<std::int64_t>(1 + random.below(3));
      granted += store().rate_limit("k", {.limit = limit, .window = 100ms, .cost = cost}) ? cost : 0;
      if (random.chance(3)) {
        ++moves;
        advance_together(50);  // half a window
      }
    }
  });
  EXPECT_LE(granted, limit * (moves / 2 + 1)) << moves;
}

/// Of two calls that took the lock, one after the other, the later has the higher token.
void check_tokens(const std::vector<CoordinationClient::Taken>& taken) {
  for (const auto& earlier : taken) {
    for (const auto& later : taken) {
      if (earlier.returned >= later.called) continue;
      ASSERT_LT(earlier.token, later.token) << "a token that came later is not higher";
    }
  }
}

TEST_P(Coordinating, U10_HistoriesOfLocksClaimsAndLimitsAreStrictlySerializable) {
  options.timeout = 60s;
  const Store root = store();
  const int histories = scaled(backend().engine() == "postgresql" ? 16 : 48);
  constexpr int kClients = 8;
  constexpr int kCallsEach = 60;
  std::size_t leases = 0;
  for (int history = 0; history < histories; ++history) {
    const Store place = root.with_namespace("history" + std::to_string(history));
    HistoryTime time{.pass_span = [this] { advance_ms(std::chrono::milliseconds(kHistorySpan).count()); }};
    std::vector<CoordinationClient> clients;
    clients.reserve(kClients);
    for (int t = 0; t < kClients; ++t) {
      clients.emplace_back(place, time, t, static_cast<std::uint64_t>(history * 100 + t));
    }
    run_together(kClients, [&](int t) {
      for (int i = 0; i < kCallsEach; ++i) clients[static_cast<std::size_t>(t)].call_any();
    });
    std::vector<Call> calls;
    std::vector<CoordinationClient::Taken> taken;
    for (const CoordinationClient& client : clients) {
      calls.insert(calls.end(), client.calls().begin(), client.calls().end());
      taken.insert(taken.end(), client.taken().begin(), client.taken().end());
    }
    const LinearizabilityResult result = check_linearizability(calls);
    ASSERT_EQ(result.verdict, LinearizabilityResult::Verdict::linearizable) << result.explanation;
    check_tokens(taken);
    leases += taken.size();
  }
  EXPECT_GT(leases, 3 * static_cast<std::size_t>(histories)) << "the lock hardly changed hands";
}

/// What each of the processes does with a store of its own.
void contend(const Store& store, int process, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const Lock lock = store.lock("job", {.wait = 60s});
    const int turn = std::stoi(store.get("turns").value_or("0"));
    store.set("turns", std::to_string(turn + 1));
    store.set("token:" + std::to_string(turn), std::to_string(lock.token()));
    if (store.claim("name" + std::to_string(i), std::to_string(process))) store.increment("claimed");
    if (store.rate_limit("limit", {.limit = rounds, .window = std::chrono::hours(1)})) store.increment("granted");
  }
}

TEST_P(Coordinating, FourProcessesContend) {
  if (!backend().capabilities().is_shared) GTEST_SKIP() << "one process at a time has this store open";
  constexpr int kProcesses = 4;
  const int rounds = scaled(40);
  std::vector<pid_t> processes;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        contend(backend().open(options), p, rounds);
      } catch (const std::exception& error) {
        static_cast<void>(!::write(STDERR_FILENO, error.what(), std::char_traits<char>::length(error.what())));
        ::_exit(1);
      }
      ::_exit(0);
    }
    processes.push_back(child);
  }
  for (const pid_t process : processes) {
    int status = -1;
    ASSERT_EQ(::waitpid(process, &status, 0), process);
    EXPECT_EQ(status, 0);
  }
  ASSERT_EQ(get("turns"), std::to_string(kProcesses * rounds)) << "two were inside at a time";
  std::uint64_t last = 0;
  for (int turn = 0; turn < kProcesses * rounds; ++turn) {
    const std::uint64_t token = std::stoull(store().get_or_throw("token:" + std::to_string(turn)));
    ASSERT_GT(token, last);
    last = token;
  }
  EXPECT_EQ(get("claimed"), std::to_string(rounds));
  EXPECT_EQ(get("granted"), std::to_string(rounds));
}

}  // namespace
}  // namespace tuskv::test
