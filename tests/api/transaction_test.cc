// Transactions: what their function sees, when it runs again, and what becomes of its effects.
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "api/reference_store.h"
#include "named_limits.h"
#include "support/submitted.h"

namespace tuskv::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

TEST(Transaction, AppliesAllWritesWhenTheFunctionReturns) {
  ReferenceStore store;
  store->set("old", "1");
  const int result = store->transaction([](Transaction& tx) {
    tx.set("a", "1", {.ttl = 1min});
    tx.erase("old");
    tx.increment("n", 5);
    return 42;
  });
  EXPECT_EQ(result, 42);
  EXPECT_EQ(store->get("a"), "1");
  EXPECT_EQ(store->ttl("a").left, 1min);
  EXPECT_FALSE(store->exists("old"));
  EXPECT_EQ(store->get("n"), "5");
}

TEST(Transaction, AppliesNothingWhenTheFunctionThrows) {
  ReferenceStore store;
  store->set("k", "before");
  EXPECT_THROW(store->transaction([](Transaction& tx) {
    tx.set("k", "after");
    tx.set("new", "1");
    throw std::domain_error("no");
  }),
               std::domain_error);
  EXPECT_EQ(store->get("k"), "before");
  EXPECT_FALSE(store->exists("new"));
}

TEST(Transaction, SeesItsOwnWrites) {
  ReferenceStore store;
  store->set("a", "stored");
  store->transaction([&](Transaction& tx) {
    tx.set("b", "own", {.ttl = 10s});
    EXPECT_EQ(tx.get("b"), "own");
    EXPECT_EQ(tx.ttl("b").left, 10s);
    EXPECT_TRUE(tx.erase("a"));
    EXPECT_FALSE(tx.exists("a"));
    EXPECT_FALSE(tx.erase("a"));
    EXPECT_TRUE(tx.set_if_absent("a", "again"));
    EXPECT_EQ(tx.increment("n"), 1);
    EXPECT_EQ(tx.increment("n"), 2);
    EXPECT_EQ(tx.count(), 3u);
    EXPECT_EQ(tx.keys().keys, (std::vector<std::string>{"a", "b", "n"}));
    EXPECT_EQ(tx.get_many({"n", "zz", "b", "n"}),
              (std::vector<std::optional<std::string>>{"2", std::nullopt, "own", "2"}));
    EXPECT_EQ(store.engine->commit_count(), 0u);
  });
}

TEST(Transaction, SwapsByVersionOfAnOwnWrite) {
  ReferenceStore store;
  store->transaction([](Transaction& tx) {
    tx.set("k", "1");
    const Version version = tx.get_entry("k")->version;
    EXPECT_TRUE(tx.compare_and_swap("k", version, "2"));
    const CompareResult late = tx.compare_and_swap("k", version, "3");
    EXPECT_EQ(late.status, CompareResult::Status::mismatch);
    EXPECT_EQ(late.current, "2");
  });
  EXPECT_EQ(store->get("k"), "2");
}

TEST(Transaction, RunsAgainWhenWhatItReadHasChanged) {
  ReferenceStore store;
  store->set("n", "1");
  int attempts = 0;
  store->transaction([&](Transaction& tx) {
    const std::int64_t n = std::stoll(tx.get_or_throw("n"));
    if (++attempts == 1) store.engine->put("n", "10");
    tx.set("n", std::to_string(n + 1));
  });
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(store->get("n"), "11");
}

TEST(Transaction, AbsenceIsReadToo) {
  ReferenceStore store;
  int attempts = 0;
  store->transaction([&](Transaction& tx) {
    const bool existed = tx.exists("k");
    if (++attempts == 1) store.engine->put("k", "theirs");
    tx.set("seen", existed ? "yes" : "no");
  });
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(store->get("seen"), "yes");
}

TEST(Transaction, NeverShowsTwoMoments) {
  ReferenceStore store;
  store->set_many({{.key = "x", .value = "1"}, {.key = "y", .value = "1"}});
  int attempts = 0;
  int refused = 0;
  store->transaction([&](Transaction& tx) {
    const std::string x = tx.get_or_throw("x");
    if (++attempts == 1) {
      store.engine->put("x", "2");
      store.engine->put("y", "2");
    }
    refused += code_of([&] { EXPECT_EQ(tx.get_or_throw("y"), x); }) == Code::Conflict ? 1 : 0;
  });
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(refused, 1);
}

TEST(Transaction, NoWriteSkew) {
  // Each takes a doctor off call when the other is on call; one at least must stay.
  ReferenceStore store;
  store->set_many({{.key = "alice", .value = "on"}, {.key = "bob", .value = "on"}});
  bool first = true;
  store->transaction([&](Transaction& tx) {
    const bool both = tx.get("alice") == "on" && tx.get("bob") == "on";
    if (first) {
      first = false;
      Store other = *store.store;
      std::thread([other] {
        other.transaction([](Transaction& theirs) {
          if (theirs.get("alice") == "on" && theirs.get("bob") == "on") theirs.set("bob", "off");
        });
      }).join();
    }
    if (both) tx.set("alice", "off");
  });
  EXPECT_EQ(store->get("alice"), "on");
  EXPECT_EQ(store->get("bob"), "off");
}

TEST(Transaction, APhantomIsAConflict) {
  for (const bool counted : {false, true}) {
    ReferenceStore store;
    store->set("user:1", "x");
    int attempts = 0;
    store->transaction([&](Transaction& tx) {
      const std::uint64_t users = counted ? tx.count({.prefix = "user:"}) : tx.scan({.prefix = "user:"}).entries.size();
      if (++attempts == 1) store.engine->put("user:2", "y");
      tx.set("users", std::to_string(users));
    });
    EXPECT_EQ(attempts, 2);
    EXPECT_EQ(store->get("users"), "2");
  }
}

// P8: an error that user code swallows inside a transaction must not let it commit.
TEST(Transaction, P8ASwallowedConflictDoomsTheAttempt) {
  ReferenceStore store;
  store->set_many({{.key = "x", .value = "1"}, {.key = "y", .value = "1"}});
  int attempts = 0;
  store->transaction([&](Transaction& tx) {
    tx.get("x");
    if (++attempts > 1) return;
    store.engine->put("x", "2");
    EXPECT_EQ(code_of([&] { tx.get("y"); }), Code::Conflict);
    EXPECT_EQ(code_of([&] { tx.set("z", "of a doomed attempt"); }), Code::Conflict);
    EXPECT_EQ(code_of([&] { tx.transaction([](Transaction&) {}); }), Code::Conflict);
  });
  EXPECT_EQ(attempts, 2);
  EXPECT_FALSE(store->exists("z"));
}

TEST(Transaction, AnErrorMadeOfAStateThatHasGoneRunsAgain) {
  ReferenceStore store;
  store->set("stock", "0");
  int attempts = 0;
  store->transaction([&](Transaction& tx) {
    const bool empty = tx.get("stock") == "0";
    if (++attempts == 1) store.engine->put("stock", "5");
    if (empty) throw std::runtime_error("sold out");
    tx.decrement("stock");
  });
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(store->get("stock"), "4");
}

TEST(Transaction, AFailedCallLeavesTheRestUsable) {
  ReferenceStore store;
  store->set("text", "abc");
  store->transaction([](Transaction& tx) {
    tx.set("a", "1");
    EXPECT_EQ(code_of([&] { tx.increment("text"); }), Code::NotAnInteger);
    EXPECT_EQ(code_of([&] { tx.set("", "x"); }), Code::InvalidKey);
    EXPECT_FALSE(tx.set_many_if_absent({{.key = "b", .value = "1"}, {.key = "a", .value = "2"}}));
  });
  EXPECT_EQ(store->get("a"), "1");
  EXPECT_FALSE(store->exists("b"));
}

TEST(Transaction, GivesUpWithConflict) {
  ReferenceStore store;
  int attempts = 0;
  const auto contended = [&](Transaction& tx) {
    tx.get("k");
    store.engine->put("k", std::to_string(++attempts));
    tx.set("other", "1");
  };
  try {
    store->transaction(contended);
    ADD_FAILURE() << "committed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::Conflict);
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    EXPECT_TRUE(error.retryable());
  }
  EXPECT_EQ(attempts, kConflictAttempts);
  EXPECT_FALSE(store->exists("other"));
  EXPECT_EQ(code_of([&] { store->with_timeout(2ms).transaction(contended); }), Code::Timeout);
}

TEST(Transaction, WithoutWritesTakesNoCommit) {
  ReferenceStore store;
  store->set("k", "1");
  EXPECT_EQ(store->transaction([](Transaction& tx) { return tx.get("k"); }), "1");
  EXPECT_EQ(store.engine->commit_count(), 0u);
}

TEST(Transaction, RestartsCreationBehindAnErase) {
  ReferenceStore store;
  store->set_many({{.key = "kept", .value = "1"}, {.key = "renewed", .value = "1"}});
  const TimePoint first = store->get_entry("kept")->created_at;
  store.clock.advance_ms(1000);
  store->transaction([](Transaction& tx) {
    tx.set("kept", "2");
    tx.erase("renewed");
    tx.set("renewed", "2");
  });
  EXPECT_EQ(store->get_entry("kept")->created_at, first);
  EXPECT_EQ(store->get_entry("renewed")->created_at, first + 1s);
}

TEST(Transaction, JudgesTheExpiryOfItsOwnWrites) {
  ReferenceStore store;
  store->set("touched", "1");
  store->transaction([&](Transaction& tx) {
    tx.set("own", "1", {.ttl = 1s});
    EXPECT_TRUE(tx.expire("touched", 1s));
    EXPECT_EQ(tx.get("touched"), "1");
    EXPECT_EQ(tx.ttl("touched").left, 1s);
    store.clock.advance_ms(1000);
    EXPECT_FALSE(tx.exists("own"));
    EXPECT_FALSE(tx.exists("touched"));
    EXPECT_EQ(tx.count(), 0u);
    EXPECT_EQ(tx.scan({.include_expired = true}).entries.size(), 2u);
  });
  EXPECT_FALSE(store->exists("own"));
}

// ---- savepoints

TEST(Transaction, ASetToAnInstantThatHasPassedErases) {
  ReferenceStore store;
  store->set("k", "old");
  store->transaction([](Transaction& tx) {
    tx.set("k", "new", {.expires_at = std::chrono::system_clock::time_point(1ms)});
    EXPECT_FALSE(tx.exists("k"));
  });
  EXPECT_FALSE(store->exists("k"));
}

TEST(Savepoint, UndoesWhatItWroteAndNoMore) {
  ReferenceStore store;
  store->set_many({{.key = "a", .value = "0"}, {.key = "b", .value = "0"}, {.key = "c", .value = "0"}});
  store->transaction([](Transaction& tx) {
    tx.set("a", "outer");
    EXPECT_THROW(tx.transaction([](Transaction& inner) {
      inner.set("a", "inner");
      inner.erase("b");
      inner.expire("c", 1s);
      inner.set("d", "inner");
      throw std::domain_error("undo");
    }),
                 std::domain_error);
    EXPECT_EQ(tx.get("a"), "outer");
    EXPECT_EQ(tx.get("b"), "0");
    EXPECT_EQ(tx.ttl("c").state, Ttl::State::persistent);
    EXPECT_FALSE(tx.exists("d"));
    EXPECT_EQ(tx.transaction([](Transaction& inner) {
      inner.set("e", "kept");
      return 7;
    }),
              7);
  });
  EXPECT_EQ(store->get("a"), "outer");
  EXPECT_EQ(store->get("b"), "0");
  EXPECT_EQ(store->get("e"), "kept");
}

TEST(Savepoint, AnOuterOneUndoesAnInnerOne) {
  ReferenceStore store;
  store->transaction([](Transaction& tx) {
    try {
      tx.transaction([](Transaction& outer) {
        outer.set("a", "1");
        outer.transaction([](Transaction& inner) { inner.set("b", "1"); });
        EXPECT_EQ(outer.get("b"), "1");
        throw std::domain_error("undo");
      });
    } catch (const std::domain_error&) {
    }
    EXPECT_EQ(tx.count(), 0u);
  });
}

void nest(Transaction& tx, int levels) {
  if (levels > 0) tx.transaction([&](Transaction& inner) { nest(inner, levels - 1); });
}

TEST(Savepoint, DepthIsLimited) {
  ReferenceStore store;
  store->transaction([](Transaction& tx) {
    nest(tx, kSavepointDepthMax);
    EXPECT_EQ(code_of([&] { nest(tx, kSavepointDepthMax + 1); }), Code::InvalidArgument);
    nest(tx, kSavepointDepthMax);
  });
}

// ---- handles

TEST(Transaction, RefusesCallsOnTheStoreItself) {
  ReferenceStore store;
  ReferenceStore other;
  const Store tenant = store->with_namespace("tenant");
  store->transaction([&](Transaction& tx) {
    EXPECT_EQ(code_of([&] { store->get("k"); }), Code::InvalidArgument);
    EXPECT_EQ(code_of([&] { tenant.set("k", "1"); }), Code::InvalidArgument);
    EXPECT_EQ(code_of([&] { store->transaction([](Transaction&) {}); }), Code::InvalidArgument);
    EXPECT_EQ(code_of([&] { submitted(store->async().get("k")); }), Code::InvalidArgument);
    EXPECT_EQ(code_of([&] { store->stats(); }), Code::InvalidArgument);
    EXPECT_EQ(code_of([&] { store->close(); }), Code::InvalidArgument);
    other->set("k", "1");
    other->transaction([&](Transaction& theirs) {
      theirs.set("l", "1");
      EXPECT_EQ(code_of([&] { store->get("k"); }), Code::InvalidArgument);
      EXPECT_EQ(code_of([&] { other->get("k"); }), Code::InvalidArgument);
    });
    std::thread([&] { tenant.set("from another thread", "1"); }).join();
    tx.set("k", "1");
  });
  EXPECT_EQ(other->get("k"), "1");
  EXPECT_EQ(store->get("k"), "1");
}

TEST(Transaction, AStoreCallIsAcceptedAgainAfterAThrow) {
  ReferenceStore store;
  EXPECT_THROW(store->transaction([](Transaction&) { throw std::domain_error("x"); }), std::domain_error);
  store->set("k", "1");
  EXPECT_EQ(store->get("k"), "1");
}

TEST(Transaction, HandlesThatOutliveItAreClosed) {
  ReferenceStore store;
  store->set("k", "1");
  std::optional<KeyValue> kept;
  std::optional<EntryRange> range;
  store->transaction([&](Transaction& tx) {
    kept.emplace(tx);
    range.emplace(tx.entries());
    EXPECT_EQ(kept->get("k"), "1");
  });
  EXPECT_EQ(message_of([&] { kept->get("k"); }), "the transaction has ended");
  EXPECT_EQ(code_of([&] { kept->set("k", "2"); }), Code::Closed);
  EXPECT_EQ(code_of([&] { kept->transaction([](Transaction&) { FAIL(); }); }), Code::Closed);
  EXPECT_EQ(code_of([&] { range->begin(); }), Code::Closed);
  EXPECT_EQ(store->get("k"), "1");
}

/// Stands in the engine, as a call that waits for a lock on a server does.
class HeldRead final {
 public:
  /// Given to the engine.
  void enter() {
    entered_.set_value();
    released_.get_future().wait_for(20s);
  }
  void wait_for_entry() { entered_.get_future().wait(); }
  void release() { released_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> released_;
};

/// A handle may be used by several threads: the deadline of a call does not begin when another has ended.
TEST(Transaction, S132_CallsOfSeveralThreadsDoNotAddUpTheirDeadlines) {
  HeldRead held;
  ReferenceStore store({.on_read = [&] { held.enter(); }}, {.timeout = 1s});
  store->transaction([&](Transaction& tx) {
    std::thread first([&] { EXPECT_EQ(tx.get("first"), std::nullopt); });
    held.wait_for_entry();
    std::vector<std::thread> others;
    for (int i = 0; i < 3; ++i) {
      others.emplace_back([&] { EXPECT_EQ(code_of([&] { tx.set("other", "1"); }), Code::Timeout); });
    }
    EXPECT_EQ(code_of([&] { tx.transaction([](Transaction&) {}); }), Code::Timeout) << "a savepoint";
    for (std::thread& other : others) other.join();
    held.release();
    first.join();
    tx.set("k", "1");
  });
  EXPECT_EQ(store->get("k"), "1");
  EXPECT_FALSE(store->exists("other"));
}

TEST(Transaction, S132_ACommitWaitsUntilItsDeadlineForACallThatGoesOn) {
  HeldRead held;
  ReferenceStore store({.on_read = [&] { held.enter(); }}, {.timeout = 1s});
  std::optional<KeyValue> handle;
  std::thread first;
  EXPECT_EQ(code_of([&] {
              store->transaction([&](Transaction& tx) {
                tx.set("k", "1");
                handle.emplace(tx);
                first = std::thread([&] { static_cast<void>(handle->get("first")); });
                held.wait_for_entry();
              });
            }),
            Code::Timeout);
  EXPECT_EQ(store.engine->commit_count(), 0u);
  held.release();
  first.join();
  EXPECT_EQ(code_of([&] { handle->get("k"); }), Code::Closed);
}

TEST(Transaction, AResultThatIsAReferenceIsCopied) {
  ReferenceStore store;
  std::string text = "given back";
  const auto itself = [&](Transaction&) -> const std::string& { return text; };
  const auto given = store->transaction(itself);
  const auto inner = store->transaction([&](Transaction& tx) { return tx.transaction(itself); });
  text = "changed";
  EXPECT_EQ(given, "given back");
  EXPECT_EQ(inner, "given back");
}

TEST(Transaction, MovesAKeyBetweenNamespaces) {
  ReferenceStore store;
  Store a = store->with_namespace("a");
  a.set("k", "v");
  store->transaction([](Transaction& tx) {
    Transaction from = tx.with_namespace("a");
    Transaction to = tx.with_namespace("b");
    to.set("k", from.get_and_erase("k").value());
    EXPECT_EQ(to.with_namespace("c").count(), 0u);
    EXPECT_EQ(to.keys().keys, (std::vector<std::string>{"k"}));
  });
  EXPECT_FALSE(a.exists("k"));
  EXPECT_EQ(store->with_namespace("b").get("k"), "v");
}

TEST(Transaction, OnAClosedStoreIsClosed) {
  ReferenceStore store;
  store->close();
  EXPECT_EQ(code_of([&] { store->transaction([](Transaction& tx) { tx.set("k", "1"); }); }), Code::Closed);
}

}  // namespace
}  // namespace tuskv::test
