// Many threads on few keys. What is random here differs from run to run by the scheduling of threads; a failure prints
// the calls that do not fit.
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "contract/contract.h"
#include "contract/histories.h"
#include "contract/threads.h"
#include "support/random.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;

#if defined(__SANITIZE_THREAD__)
constexpr int kScalePercent = 10;  // the sanitizer makes everything ten times slower
#else
constexpr int kScalePercent = 100;
#endif

constexpr int kThreads = 8;
constexpr int kHistoryClients = 16;  // of a history

class ConcurrentTest : public ContractTest {
 protected:
  /// A count for this backend: those that wait for a disk or a server at each write get a fifth.
  int scaled(int count) {
    const bool waits = backend().durability() == Durability::durable || backend().engine() == "postgresql";
    const int percent = waits ? 20 : 100;
    return std::max(1, count * kScalePercent / 100 * percent / 100);
  }

  /// Runs `work(thread)` on all threads at once.
  void run_threads(const std::function<void(int)>& work, int threads = kThreads) {
    store();
    run_together(threads, work);
  }

  void check_histories(std::size_t keys, int calls_each, int histories, void (HistoryClient::*call)()) {
    options.timeout = std::chrono::seconds(60);
    const Store root = store();
    HistoryTime time{.pass_span = [&] { advance_ms(std::chrono::milliseconds(kHistorySpan).count()); }};
    for (int history = 0; history < histories; ++history) {
      // In every other one all entries expire, again and again; what has expired is still stored.
      const bool expires = history % 2 == 1;
      const Store place = root.with_namespace("history" + std::to_string(history),
                                              {.ttl = expires ? std::optional<Duration>(kHistorySpan) : std::nullopt});
      std::vector<std::string> hot;
      for (std::size_t i = 0; i < keys; ++i) hot.push_back("k" + std::to_string(i));
      std::vector<HistoryClient> clients;
      clients.reserve(kHistoryClients);
      for (int t = 0; t < kHistoryClients; ++t) {
        clients.emplace_back(place, hot, expires ? &time : nullptr, t, static_cast<std::uint64_t>(history * 100 + t));
      }
      run_threads(
          [&](int t) {
            for (int i = 0; i < calls_each; ++i) (clients[static_cast<std::size_t>(t)].*call)();
          },
          kHistoryClients);
      std::vector<Call> calls;
      for (const HistoryClient& client : clients)
        calls.insert(calls.end(), client.calls().begin(), client.calls().end());
      const LinearizabilityResult result = check_linearizability(calls);
      if (result.verdict == LinearizabilityResult::Verdict::gave_up) ++gave_up_;
      ASSERT_NE(result.verdict, LinearizabilityResult::Verdict::violation) << result.explanation;
      place.clear();
    }
    EXPECT_LE(gave_up_ * 100, histories) << "the checker gave up on more than one history in a hundred";
  }

 private:
  int gave_up_ = 0;
};
class Concurrent : public ConcurrentTest {};
INSTANTIATE_TEST_SUITE_P(Backends, Concurrent, testing::ValuesIn(backend_kinds()), backend_name);
/// The clients of histories write numbers, which are JSON.
class Histories : public ConcurrentTest {};
INSTANTIATE_TEST_SUITE_P(Backends, Histories, testing::ValuesIn(json_backend_kinds()), backend_name);

TEST_P(Histories, U10_CallsOnOneHotKeyAreLinearizable) {
  check_histories(1, 25, scaled(60), &HistoryClient::call_one_key);
}

TEST_P(Histories, U10_CallsOnAFewHotKeysAreLinearizable) {
  check_histories(4, 50, scaled(40), &HistoryClient::call_one_key);
}

TEST_P(Histories, R20_U10_BatchesAndTransactionsAreStrictlySerializable) {
  check_histories(3, 30, scaled(40), &HistoryClient::call_any);
}

TEST_P(Concurrent, P1_GetAndSetHandsOutEachValueOnce) {
  const int rounds = scaled(400);
  std::vector<std::vector<std::string>> received(kThreads);
  run_threads([&](int t) {
    for (int i = 0; i < rounds; ++i) {
      const auto old = store().get_and_set("k", std::to_string(t) + ":" + std::to_string(i));
      if (old) received[static_cast<std::size_t>(t)].push_back(*old);
    }
  });
  std::multiset<std::string> all;
  for (const auto& of_thread : received) all.insert(of_thread.begin(), of_thread.end());
  all.insert(store().get_or_throw("k"));
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kThreads * rounds));
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size()) << "a value was handed out twice";
}

TEST_P(Concurrent, GetAndEraseGivesEachValueToOneThread) {
  const int keys = scaled(300);
  for (int i = 0; i < keys; ++i) store().set("k" + std::to_string(i), "v");
  std::atomic<int> taken = 0;
  run_threads([&](int) {
    for (int i = 0; i < keys; ++i) taken += store().get_and_erase("k" + std::to_string(i)) ? 1 : 0;
  });
  EXPECT_EQ(taken, keys);
}

TEST_P(Concurrent, SetIfAbsentHasOneWinner) {
  const int keys = scaled(300);
  std::atomic<int> winners = 0;
  run_threads([&](int t) {
    for (int i = 0; i < keys; ++i) {
      winners += store().set_if_absent("k" + std::to_string(i), std::to_string(t)) ? 1 : 0;
    }
  });
  EXPECT_EQ(winners, keys);
}

TEST_P(Concurrent, G2_CountersLoseNothing) {
  const int rounds = scaled(300);
  run_threads([&](int t) {
    for (int i = 0; i < rounds; ++i) {
      store().increment("increment");
      store().update("update", [](std::optional<std::string_view> value) -> Change {
        return std::to_string(value ? std::stoll(std::string(*value)) + 1 : 1);
      });
      for (;;) {
        const auto value = store().get("swap");
        const std::string next = std::to_string(value ? std::stoll(*value) + 1 : 1);
        if (value ? store().compare_and_swap("swap", *value, next)
                  : store().compare_and_swap("swap", std::nullopt, next))
          break;
      }
      if (t % 2 == 0) store().transaction([](Transaction& tx) { tx.increment("transaction"); });
    }
  });
  const std::string total = std::to_string(kThreads * rounds);
  EXPECT_EQ(get("increment"), total);
  EXPECT_EQ(get("update"), total);
  EXPECT_EQ(get("swap"), total);
  EXPECT_EQ(get("transaction"), std::to_string(kThreads / 2 * rounds));
}

TEST_P(Concurrent, BankTransfersKeepTheSum) {
  constexpr int kAccounts = 6;
  constexpr int kTotal = kAccounts * 100;
  const int rounds = scaled(200);
  std::vector<std::string> accounts;
  for (int i = 0; i < kAccounts; ++i) accounts.push_back("account" + std::to_string(i));
  for (const std::string& account : accounts) store().set(account, "100");
  const auto sum_of = [](const auto& values) {
    int sum = 0;
    for (const auto& value : values) sum += std::stoi(*value);
    return sum;
  };
  run_threads([&](int t) {
    Random random(static_cast<std::uint64_t>(t));
    for (int i = 0; i < rounds; ++i) {
      if (t % 4 == 3) {
        EXPECT_EQ(sum_of(store().get_many(accounts)), kTotal);
        const int listed = store().transaction([&](Transaction& tx) {
          int sum = 0;
          for (const Entry& entry : tx.entries({.prefix = "account"})) sum += std::stoi(entry.value);
          return sum;
        });
        EXPECT_EQ(listed, kTotal);
        continue;
      }
      const std::string& from = accounts[random.below(kAccounts)];
      const std::string& to = accounts[random.below(kAccounts)];
      store().transaction([&](Transaction& tx) {
        const int amount = std::min(10, std::stoi(tx.get_or_throw(from)));
        tx.decrement(from, amount);
        tx.increment(to, amount);
      });
    }
  });
  EXPECT_EQ(sum_of(store().get_many(accounts)), kTotal);
}

TEST_P(Concurrent, WriteSkewIsRefused) {
  const int rounds = scaled(300);
  for (int round = 0; round < rounds; ++round) {
    store().set_many({{"alice", "on call"}, {"bob", "on call"}});
    run_threads(
        [&](int t) {
          store().transaction([&](Transaction& tx) {
            // Each may leave while the other stays. Snapshot isolation lets both go.
            if (tx.exists("alice") && tx.exists("bob")) tx.erase(t == 0 ? "alice" : "bob");
          });
        },
        2);
    ASSERT_EQ(store().exists_many({"alice", "bob"}), 1u) << "round " << round;
  }
}

/// The last key is there when one sets all of them and another erases them all: whatever comes first, there are none,
/// the last one, or all. What comes into being while the erasing waits for the last key must go with it, or stay with
/// it.
TEST_P(Concurrent, ErasePrefixIsWholeForTransactions) {
  const int rounds = scaled(150);
  std::vector<std::string> keys;
  for (int i = 10; i < 30; ++i) keys.push_back("p:" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v"});
  std::atomic<int> begun = 0;
  std::atomic<int> erased = 0;
  run_threads(
      [&](int t) {
        for (int i = 1; i <= rounds && t == 0; ++i) {
          store().set(keys.front(), "v");
          begun = i;
          store().set_many(items);
          while (erased < i) std::this_thread::yield();
          const std::uint64_t left = store().exists_many(keys);
          EXPECT_TRUE(left == 0 || left == keys.size()) << left;
        }
        for (int i = 1; i <= rounds && t == 1; ++i) {
          while (begun < i) std::this_thread::yield();
          const std::uint64_t gone = store().erase_prefix("p:");
          EXPECT_TRUE(gone == 1 || gone == keys.size()) << gone;
          erased = i;
        }
        while (t == 2 && erased < rounds) {
          const std::uint64_t found = store().transaction([&](Transaction& tx) { return tx.exists_many(keys); });
          EXPECT_TRUE(found <= 1 || found == keys.size()) << found;
          const std::uint64_t counted =
              store().transaction([&](Transaction& tx) { return tx.count({.prefix = "p:"}); });
          EXPECT_TRUE(counted <= 1 || counted == keys.size()) << counted;
        }
      },
      3);
}

/// Tokens move through a listing that transactions walk page by page: each is always in one place.
TEST_P(Concurrent, S22_PagesInATransactionAreOfOneMoment) {
  constexpr int kTokens = 2;
  std::vector<std::string> rest;
  for (int i = 100; i < 500; ++i) rest.push_back("k" + std::to_string(i));
  std::vector<Item> items;
  for (const std::string& key : rest) items.push_back({.key = key, .value = "rest"});
  store().set_many(items);
  for (int t = 0; t < kTokens; ++t) store().set("k100:" + std::to_string(t), "token");
  const int moves = scaled(600);
  std::atomic<int> moving = kTokens;
  std::atomic<int> walks = 0;
  run_threads(
      [&](int t) {
        Random random(static_cast<std::uint64_t>(t) + 1);
        std::string place = "k100:" + std::to_string(t);
        for (int i = 0; i < moves && t < kTokens; ++i) {
          const std::string next = rest[random.below(rest.size())] + ":" + std::to_string(t);
          store().transaction([&](Transaction& tx) {
            tx.erase(place);
            tx.set(next, "token");
          });
          place = next;
          std::this_thread::sleep_for(std::chrono::microseconds(random.below(200)));
        }
        if (t < kTokens) --moving;
        while (t == kTokens && (moving > 0 || walks == 0)) {
          try {
            store().with_timeout(100ms).transaction([&](Transaction& tx) {
              std::vector<std::string> found;
              for (const Entry& entry : tx.entries({.prefix = "k", .limit = 50})) {
                if (entry.value == "token") found.push_back(entry.key);
              }
              EXPECT_EQ(found.size(), static_cast<std::size_t>(kTokens)) << testing::PrintToString(found);
              ++walks;
            });
          } catch (const Error& error) {
            EXPECT_TRUE(error.code() == Code::Conflict || error.code() == Code::Timeout) << error.what();
          }
        }
      },
      kTokens + 1);
}

TEST_P(Concurrent, GetManyNeverSeesHalfABatch) {
  const int rounds = scaled(300);
  std::vector<std::string> keys;
  for (int i = 0; i < 10; ++i) keys.push_back("k" + std::to_string(i));
  std::atomic<int> writers = kThreads / 2;
  run_threads([&](int t) {
    if (t % 2 == 0) {
      for (int i = 0; i < rounds; ++i) {
        const std::string value = std::to_string(t) + ":" + std::to_string(i);
        std::vector<Item> items;
        for (const std::string& key : keys) items.push_back({.key = key, .value = value});
        store().set_many(items);
        if (i % 10 == 0) store().erase_many(keys);
      }
      --writers;
      return;
    }
    while (writers > 0) {
      const auto values = store().get_many(keys);
      for (const auto& value : values) EXPECT_EQ(value, values.front());
      const std::uint64_t found = store().exists_many(keys);
      EXPECT_TRUE(found == 0 || found == keys.size()) << found;
    }
  });
}

TEST_P(Concurrent, P17_AScanSeesEveryStableEntryOnce) {
  const int rounds = scaled(30);
  std::set<std::string> stable;
  for (int i = 0; i < 300; ++i) stable.insert("k" + std::to_string(i));
  for (const std::string& key : stable) store().set(key, "v");
  std::atomic<bool> done = false;
  run_threads(
      [&](int t) {
        Random random(static_cast<std::uint64_t>(t));
        if (t == 0) {
          for (int i = 0; i < rounds; ++i) {
            std::map<std::string, int> seen;
            std::string last;
            for (const Entry& entry : store().entries({.limit = 17})) {
              EXPECT_LT(last, entry.key);
              last = entry.key;
              ++seen[entry.key];
            }
            for (const std::string& key : stable) EXPECT_EQ(seen[key], 1) << key;
          }
          done = true;
          return;
        }
        while (!done) {
          const std::string key = "k" + std::to_string(random.below(300));
          store().set(key + "x", "comes and goes");
          store().set(key, "overwritten");
          store().erase(key + "x");
        }
      },
      4);
}

TEST_P(Concurrent, P2_LazyRemovalNeverTakesAFreshWrite) {
  options.ttl_mode = TtlMode::on_read;
  const int rounds = scaled(200);
  for (int round = 0; round < rounds; ++round) {
    store().set("k", "old", {.ttl = 1ms});
    advance_ms(1);
    run_threads(
        [&](int t) {
          if (t == 0) store().set("k", "fresh");
          for (int i = 0; i < 5; ++i) store().get("k");
        },
        4);
    ASSERT_EQ(get("k"), "fresh") << "round " << round;
  }
}

TEST_P(Concurrent, Y2_SweepingNeverTakesAFreshWrite) {
  const int rounds = scaled(100);
  for (int round = 0; round < rounds; ++round) {
    if (round == rounds / 2) store().start_sweeper({.interval = 1ms, .batch = std::size_t{3}});
    for (int i = 0; i < 10; ++i) store().set("k" + std::to_string(i), "old", {.ttl = 1ms});
    advance_ms(1);
    run_threads(
        [&](int t) {
          if (t == 0) {
            for (int i = 0; i < 10; ++i) store().set("k" + std::to_string(i), "fresh");
          } else {
            store().cleanup_expired(3);
            store().cleanup_expired();
          }
        },
        3);
    ASSERT_EQ(store().count(), 10u) << "round " << round;
  }
}

TEST_P(Concurrent, WhatWasSeenExpiredStaysSo) {
  constexpr int kEntries = 200;
  std::vector<std::string> keys;
  for (int i = 0; i < kEntries; ++i) keys.push_back("k" + std::to_string(i));
  for (int i = 0; i < kEntries; ++i) {
    store().set(keys[static_cast<std::size_t>(i)], "v", {.ttl = std::chrono::milliseconds(1 + i % 50)});
  }
  store().start_sweeper({.interval = 1ms, .batch = std::size_t{7}});
  std::atomic<bool> done = false;
  run_threads(
      [&](int t) {
        if (t == 0) {
          for (int i = 0; i < 60; ++i) {
            advance_ms(1);
            for (int pause = 0; pause < 20; ++pause) store().count();
          }
          done = true;
          return;
        }
        std::vector<bool> gone(kEntries);
        while (!done) {
          for (std::size_t i = 0; i < kEntries; ++i) {
            const bool found = store().exists(keys[i]);
            EXPECT_FALSE(found && gone[i]) << keys[i] << " came back";
            gone[i] = !found;
          }
        }
      },
      4);
  EXPECT_EQ(store().count(), 0u);
}

}  // namespace
}  // namespace tuskv::test
