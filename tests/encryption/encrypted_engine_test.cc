// What an encrypted store does that the contract, which every store keeps, says nothing about: values that are not its
// own, encryptors of users, calls that go round several times. tests/contract runs on encrypted stores, too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "encryption/encrypted_store.h"
#include "encryption/refusal.h"
#include "support/turned_encryptor.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;
using testing::StartsWith;

struct NamedCall {
  const char* name;
  std::function<void(const Store&)> call;
};

/// Every call that has to know the value of "k".
std::vector<NamedCall> calls_that_read() {
  return {
      {"get", [](const Store& s) { s.get("k"); }},
      {"get_or_throw", [](const Store& s) { s.get_or_throw("k"); }},
      {"get_entry", [](const Store& s) { s.get_entry("k"); }},
      {"get_many",
       [](const Store& s) {
         s.get_many({"a", "k", "z"});
       }},
      {"scan", [](const Store& s) { s.scan(); }},
      {"increment", [](const Store& s) { s.increment("k"); }},
      {"compare_and_swap", [](const Store& s) { s.compare_and_swap("k", "v", "w"); }},
      {"compare_and_swap, absent", [](const Store& s) { s.compare_and_swap("k", std::nullopt, "w"); }},
      {"compare_and_swap, version", [](const Store& s) { s.compare_and_swap("k", Version{99}, "w"); }},
      {"compare_and_erase", [](const Store& s) { s.compare_and_erase("k", "v"); }},
      {"compare_and_erase, version", [](const Store& s) { s.compare_and_erase("k", Version{99}); }},
      {"get_and_set", [](const Store& s) { s.get_and_set("k", "w"); }},
      {"get_and_erase", [](const Store& s) { s.get_and_erase("k"); }},
      {"get_and_touch", [](const Store& s) { s.get_and_touch("k", 1h); }},
      {"update", [](const Store& s) { s.update("k", [](auto) { return Change("w"); }); }},
      {"transaction",
       [](const Store& s) {
         s.transaction([](Transaction& tx) {
           tx.set("a", "changed");
           tx.get("k");
         });
       }},
      {"asynchronous get", [](const Store& s) { submitted(s.async().get("k")); }},
      {"asynchronous get_and_set", [](const Store& s) { submitted(s.async().get_and_set("k", std::string("w"))); }},
  };
}

// ---- values that are not ours

/// Bytes that no encryptor has made for the key "k" of the root namespace.
std::vector<std::string> foreign_values(EncryptedStore& store) {
  store->set("other", "moved");
  store->with_namespace("n").set("k", "moved");
  const std::string elsewhere = encryption::read_stored(*store.raw, std::string("n\0k", 3), 1000).value().value;
  EncryptedStore unknown(aes_256_gcm(ring_of(2, 'k')));
  EncryptedStore wrong(aes_256_gcm(ring_of(1, 'x')));
  unknown->set("k", "v");
  wrong->set("k", "v");
  return {"",
          "plain text",
          std::string(100, 'x'),
          store.stored("other").value,
          elsewhere,
          unknown.stored("k").value,
          wrong.stored("k").value};
}

TEST(EncryptedEngine, WhatCannotBeDecryptedFailsItsCallAndStaysAsItIs) {
  EncryptedStore store(aes());
  store->set("a", "fine");
  const std::vector<std::string> values = foreign_values(store);
  for (const std::string& value : values) {
    store.raw->put("k", value);
    const encryption::StoredValue before = store.stored("k");
    for (const auto& [name, call] : calls_that_read()) {
      SCOPED_TRACE(name);
      EXPECT_THAT(refusal_of([&, &made = call] { made(*store.store); }),
                  StartsWith("Encryption: the value of key \"k\" cannot be decrypted: it "));
    }
    EXPECT_EQ(store.stored("k").value, value);
    EXPECT_EQ(store.stored("k").seen.version, before.seen.version);
    EXPECT_EQ(store.stored("k").seen.expires_us, 0);
    EXPECT_THAT(store->get("a"), Optional(std::string("fine")));
  }
}

// A call fails as a whole, since an answer without the value would say that it is not there. Nothing else is lost by
// that.
TEST(EncryptedEngine, WhatCannotBeDecryptedIsNamedAndTheRestCanBeReached) {
  EncryptedStore store(aes());
  const Store plants = store->with_namespace("plants");
  plants.set_many({{"a", "apple"}, {"k", "kale"}, {"z", "zucchini"}});
  Command spoil(Put{.key = std::string_view("plants\0k", 8), .value = "plain text"});
  Unit unit{.commands = std::span(&spoil, 1)};
  store.raw->execute(std::span(&unit, 1));
  const std::string refusal =
      "Encryption: the value of key \"k\" cannot be decrypted: it has 10 bytes, less than any encrypted value";
  EXPECT_EQ(refusal_of([&] { return plants.get_many({"a", "k", "z"}); }), refusal);
  EXPECT_EQ(refusal_of([&] { return plants.scan(); }), refusal);
  EXPECT_EQ(refusal_of([&] { return plants.search_values("z"); }), refusal);
  EXPECT_EQ(refusal_of([&] { plants.transaction([](Transaction& tx) { return tx.get_many({"a", "k"}); }); }), refusal);
  EXPECT_THAT(plants.keys().keys, ElementsAre("a", "k", "z"));
  EXPECT_THAT(plants.get_many({"a", "z"}),
              ElementsAre(Optional(std::string("apple")), Optional(std::string("zucchini"))));
  const Page before = plants.scan({.limit = 1});
  EXPECT_EQ(before.entries.front().value, "apple");
  EXPECT_EQ(refusal_of([&] { return plants.scan({.after = before.next}); }), refusal);
  const Page behind = plants.scan({.after = "k"});
  ASSERT_EQ(behind.entries.size(), 1u);
  EXPECT_EQ(behind.entries.front().value, "zucchini");
}

TEST(EncryptedEngine, WhatNeedsNoPlaintextWorksOverAValueThatCannotBeDecrypted) {
  EncryptedStore store(aes());
  const auto spoil = [&] { store.raw->put("k", "plain text"); };
  spoil();
  EXPECT_TRUE(store->exists("k"));
  EXPECT_EQ(store->ttl("k").state, Ttl::State::persistent);
  EXPECT_THAT(store->keys().keys, ElementsAre("k"));
  EXPECT_EQ(store->count(), 1u);
  EXPECT_FALSE(store->set_if_absent("k", "v"));
  EXPECT_TRUE(store->expire("k", 1h));
  EXPECT_TRUE(store->persist("k"));
  EXPECT_TRUE(store->compare_and_swap("k", Version{store.stored("k").seen.version}, "v"));
  EXPECT_THAT(store->get("k"), Optional(std::string("v")));
  const std::vector<NamedCall> writes = {
      {"set", [](const Store& s) { s.set("k", "v"); }},
      {"set_if_present", [](const Store& s) { s.set_if_present("k", "v"); }},
      {"set_many",
       [](const Store& s) {
         s.set_many({{"k", "v"}, {"l", "v"}});
       }},
      {"transaction", [](const Store& s) { s.transaction([](Transaction& tx) { tx.set("k", "v"); }); }},
  };
  for (const auto& [name, write] : writes) {
    spoil();
    write(*store.store);
    EXPECT_THAT(store->get("k"), Optional(std::string("v"))) << name;
  }
  spoil();
  EXPECT_TRUE(store->erase("k"));
  spoil();
  EXPECT_EQ(store->clear(), 2u);
}

TEST(EncryptedEngine, G13_EveryChangedByteOfAStoredValueIsNoticed) {
  EncryptedStore store(aes());
  store->set("k", "secret");
  const std::string stored = store.stored("k").value;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    std::string changed = stored;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    store.raw->put("k", changed);
    EXPECT_THAT(refusal_of([&] { return store->get("k"); }), StartsWith("Encryption: ")) << i;
    store.raw->put("k", stored.substr(0, i));
    EXPECT_THAT(refusal_of([&] { return store->get("k"); }), StartsWith("Encryption: ")) << i;
  }
  store.raw->put("k", stored);
  EXPECT_THAT(store->get("k"), Optional(std::string("secret")));
}

TEST(EncryptedEngine, NoCiphertextComesOutOfAFailedCall) {
  EncryptedStore store(aes());
  store.raw->put("k", "plain text");
  std::string into = "before";
  EXPECT_THROW(store->get_into("k", into), Error);
  EXPECT_EQ(into, "");
  // An engine may have answered, and fail all the same: a sync that takes too long.
  store->set("k", "v");
  into = "before";
  store.raw->lose_answer(Code::Timeout);
  EXPECT_THROW(store->get_into("k", into), Error);
  EXPECT_EQ(into, "");
  // Nor out of another command of its unit.
  std::string other = "before";
  store.raw->put("bad", "plain text");
  Command reads[] = {Read{.key = std::string_view("\0bad", 4), .into = &into},
                     Read{.key = std::string_view("\0k", 2), .into = &other}};
  Unit both{.commands = reads};
  store.engine->execute(std::span(&both, 1));
  EXPECT_NE(both.failure, nullptr);
  EXPECT_EQ(into + other, "");
  Command touch(Touch{.key = std::string_view("\0k", 2),
                      .condition = {.kind = Condition::Kind::absent},
                      .expiry = {.kind = Expiry::Kind::keep},
                      .want = Want::value});
  Unit unit{.commands = std::span(&touch, 1)};
  store.engine->execute(std::span(&unit, 1));
  EXPECT_THAT(std::get<Touch>(touch).seen.value, testing::AnyOf("", "v"));
}

TEST(EncryptedEngine, TheSameValueIsNeverStoredTwiceAlike) {
  EncryptedStore store(aes());
  store->set_many({{"a", "same"}, {"b", "same"}});
  const std::string a = store.stored("a").value;
  EXPECT_NE(a, store.stored("b").value);
  EXPECT_THAT(a, testing::Not(HasSubstr("same")));
  store->set("a", "same");
  EXPECT_NE(store.stored("a").value, a);
}

TEST(EncryptedEngine, TheLimitOfValuesIsThatOfWhatIsGiven) {
  EncryptedStore store(aes(), {.max_value_bytes = 100});
  store->set("k", std::string(100, 'v'));
  EXPECT_EQ(store.stored("k").value.size(), 133u);
  EXPECT_THAT(refusal_of([&] { store->set("k", std::string(101, 'v')); }), HasSubstr("101"));
}

// ---- encryptors of users

TEST(EncryptedEngine, AnOwnEncryptorDoesTheWork) {
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K"));
  store->set("k", "abc");
  EXPECT_EQ(store.stored("k").value, std::string("K\0k|cba", 7));
  EXPECT_THAT(store->get_and_set("k", "41"), Optional(std::string("abc")));
  EXPECT_EQ(store->increment("k"), 42);
  EXPECT_TRUE(store->compare_and_swap("k", "42", ""));
  EXPECT_THAT(store->get("k"), Optional(std::string()));
  EXPECT_EQ(store->diagnose().back().topic, "encryption");
  EXPECT_EQ(store->diagnose().back().value, "turned round");
}

TEST(EncryptedEngine, WhatAnEncryptorThrowsFailsTheCallAlone) {
  std::string failing;
  const auto fail = [&](std::string_view call) {
    if (call == failing) throw std::runtime_error("the vault is shut");
  };
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K", fail));
  store->set("k", "v");
  failing = "decrypt";
  for (const auto& [name, call] : calls_that_read()) {
    EXPECT_EQ(refusal_of([&, &made = call] { made(*store.store); }),
              "Encryption: the value of key \"k\" cannot be decrypted: the vault is shut")
        << name;
  }
  failing = "encrypt";
  const std::vector<NamedCall> writes = {
      {"set", [](const Store& s) { s.set("k", "w"); }},
      {"set_many",
       [](const Store& s) {
         s.set_many({{"k", "w"}, {"l", "w"}});
       }},
      {"get_and_set", [](const Store& s) { s.get_and_set("k", "w"); }},
      {"compare_and_swap", [](const Store& s) { s.compare_and_swap("k", "v", "w"); }},
      {"transaction", [](const Store& s) { s.transaction([](Transaction& tx) { tx.set("k", "w"); }); }},
      {"asynchronous set", [](const Store& s) { submitted(s.async().set("k", std::string("w"))); }},
  };
  for (const auto& [name, write] : writes) {
    EXPECT_EQ(refusal_of([&, &made = write] { made(*store.store); }),
              "Encryption: the value of key \"k\" cannot be encrypted: the vault is shut")
        << name;
  }
  failing = "";
  EXPECT_THAT(store->get("k"), Optional(std::string("v")));
  EXPECT_EQ(store->count(), 1u);
}

TEST(EncryptedEngine, AnEncryptorMayThrowAnything) {
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K", [](std::string_view) { throw 1; }));
  EXPECT_EQ(refusal_of([&] { store->set("k", "v"); }),
            "Encryption: the value of key \"k\" cannot be encrypted: the encryptor threw what is no std::exception");
}

TEST(EncryptedEngine, WhatIsTooLargeForAnEncryptorIsSaidToBe) {
  EncryptedStore store(std::make_shared<TurnedEncryptor>(
      "K", [](std::string_view) { throw Error(Code::TooLarge, Outcome::not_applied, "more than the vault takes"); }));
  EXPECT_EQ(refusal_of([&] { store->set("k", "v"); }),
            "TooLarge: the value of key \"k\" cannot be encrypted: more than the vault takes");
}

// ---- several units in one call

TEST(EncryptedEngine, UnitsOfOneCallTakeEffectInTheirOrder) {
  EncryptedStore store(aes());
  std::string shown;
  Command commands[] = {
      Put{.key = std::string_view("\0n", 2), .value = "40"}, Add{.key = std::string_view("\0n", 2), .magnitude = 1},
      Read{.key = std::string_view("\0n", 2), .into = &shown}, Add{.key = std::string_view("\0n", 2), .magnitude = 1},
      Put{.key = std::string_view("\0z", 2), .value = "last"}};
  std::vector<Unit> units;
  for (Command& command : commands) units.push_back({.commands = std::span(&command, 1)});
  store.engine->execute(units);
  for (const Unit& unit : units) EXPECT_EQ(unit.failure, nullptr);
  EXPECT_EQ(shown, "41");
  EXPECT_THAT(store->get_many({"n", "z"}), ElementsAre(Optional(std::string("42")), Optional(std::string("last"))));
  EXPECT_EQ(std::get<Put>(commands[0]).value, "40") << "the caller's command was not given back as it was";
}

TEST(EncryptedEngine, AUnitThatCannotBeEncryptedIsNotRunAndTheOthersAre) {
  int calls = 0;
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K", [&](std::string_view call) {
    if (call == "encrypt" && ++calls == 2) throw std::runtime_error("the vault is shut");
  }));
  Command commands[] = {Put{.key = std::string_view("\0a", 2), .value = "v"},
                        Put{.key = std::string_view("\0b", 2), .value = "v"},
                        Put{.key = std::string_view("\0c", 2), .value = "v"}};
  std::vector<Unit> units;
  for (Command& command : commands) units.push_back({.commands = std::span(&command, 1)});
  store.engine->execute(units);
  ASSERT_NE(units[1].failure, nullptr);
  EXPECT_EQ(units[1].failure->code, Code::Encryption);
  EXPECT_THAT(store->keys().keys, ElementsAre("a", "c"));
  EXPECT_THAT(store->get("c"), Optional(std::string("v")));
}

// ---- units that go round again

TEST(EncryptedEngine, ConflictsEndAtTheDeadline) {
  ReferenceEngine* raw = nullptr;
  // Whenever a value is looked at, another client writes it.
  const auto interfere = [&](std::string_view call) {
    if (call == "decrypt") raw->put("n", std::string("K\0n|1", 5));
  };
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K", interfere));
  raw = store.raw;
  store->set("n", "1");
  const Store hurried = store->with_timeout(30ms);
  const auto start = std::chrono::steady_clock::now();
  const std::string message =
      "Timeout: the deadline passed while other writes kept changing what was compared or added to";
  EXPECT_EQ(refusal_of([&] { return hurried.increment("n"); }), message);
  EXPECT_EQ(refusal_of([&] { return hurried.compare_and_swap("n", "1", "2"); }), message);
  EXPECT_THAT(refusal_of([&] { return submitted(hurried.async().increment("n")); }),
              testing::AnyOf(message, "Timeout: the deadline passed while the call waited for its turn"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(store.stored("n").value, std::string("K\0n|1", 5));
}

TEST(EncryptedEngine, AUnitHasOneDeadlineForAllItsSteps) {
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K", [&](std::string_view call) {
    if (call == "decrypt") std::this_thread::sleep_for(50ms);
  }));
  store->set("n", "1");
  store->set("m", "1");
  store->increment("n");
  EXPECT_GT(store.raw->commit_timeout_ms(), 0);
  EXPECT_LE(store.raw->commit_timeout_ms(), 5000 - 50);
  // The time of the second unit of a call runs while the first is at work.
  Command first(Add{.key = std::string_view("\0n", 2), .magnitude = 1});
  Command second(Add{.key = std::string_view("\0m", 2), .magnitude = 1});
  Unit units[] = {{.commands = std::span(&first, 1)}, {.commands = std::span(&second, 1)}};
  store.engine->execute(units);
  EXPECT_EQ(units[1].failure, nullptr);
  EXPECT_LE(store.raw->commit_timeout_ms(), 5000 - 100);
  // Nothing is written once it has passed.
  const std::string before = store.stored("n").value;
  EXPECT_THAT(refusal_of([&] { return store->with_timeout(20ms).increment("n"); }), StartsWith("Timeout: "));
  EXPECT_EQ(store.stored("n").value, before);
}

// That of the session was never one of the store's.
TEST(EncryptedEngine, AUnitThatIsRunOnPlaintextTellsTheVersionThatTheEngineGave) {
  EncryptedStore store(aes());
  Command add(Add{.key = std::string_view("\0n", 2), .magnitude = 1});
  Unit unit{.commands = std::span(&add, 1)};
  store.engine->execute(std::span(&unit, 1));
  EXPECT_TRUE(std::get<Add>(add).applied);
  EXPECT_NE(std::get<Add>(add).version, 0u);
  EXPECT_EQ(std::get<Add>(add).version, store->get_entry("n")->version.number);
}

TEST(EncryptedEngine, ConflictsAreCounted) {
  ReferenceEngine* raw = nullptr;
  bool interferes = true;
  EncryptedStore store(std::make_shared<TurnedEncryptor>("K", [&](std::string_view call) {
    if (call == "decrypt" && std::exchange(interferes, false)) raw->put("n", std::string("K\0n|5", 5));
  }));
  raw = store.raw;
  raw->put("n", std::string("K\0n|1", 5));
  EXPECT_EQ(store->increment("n"), 6);
  EXPECT_EQ(store->stats().conflicts, 1u);
}

/// Code, outcome and message of what a call throws.
template <class Call>
std::string unsure(Call call) {
  try {
    static_cast<void>(call());
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + (error.outcome() == Outcome::unknown ? ", unknown: " : ": ") +
           error.what();
  }
  return "no error";
}

// A server that ends in the middle of COMMIT: nobody knows, so nothing is done twice.
TEST(EncryptedEngine, WhatMayHaveHappenedIsSaidAndNotDoneAgain) {
  EncryptedStore store(aes());
  store->set("n", "1");
  const std::string lost = "Connection, unknown: the answer was lost";
  const auto lose = [&] { store.raw->lose_answer(Code::Connection); };
  lose();
  EXPECT_EQ(unsure([&] { return store->increment("n"); }), lost);
  EXPECT_THAT(store->get("n"), Optional(std::string("2")));
  lose();
  EXPECT_EQ(unsure([&] { return store->compare_and_swap("n", "2", "3"); }), lost);
  EXPECT_THAT(store->get("n"), Optional(std::string("3")));
  lose();
  EXPECT_EQ(unsure([&] { return submitted(store->async().get_and_set("n", std::string("4"))); }), lost);
  EXPECT_THAT(store->get("n"), Optional(std::string("4")));
  Command add(Add{.key = std::string_view("\0n", 2), .magnitude = 1});
  Unit unit{.commands = std::span(&add, 1)};
  lose();
  store.engine->execute(std::span(&unit, 1));
  EXPECT_FALSE(std::get<Add>(add).applied);
}

TEST(EncryptedEngine, CountersLoseNothingAmongThreads) {
  EncryptedStore store(aes());
  constexpr int kThreads = 8;
  constexpr int kEach = 200;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) {
        store->increment("n");
        submitted(store->async().increment("m"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(store->get("n"), Optional(std::to_string(kThreads * kEach)));
  EXPECT_THAT(store->get("m"), Optional(std::to_string(kThreads * kEach)));
}

TEST(EncryptedEngine, AUnitThatReadsWhatCannotBeDecryptedChangesNothing) {
  EncryptedStore store(aes());
  store.raw->put("k", "plain text");
  std::string value;
  std::vector<Command> commands = {Put{.key = std::string_view("\0a", 2), .value = "v"},
                                   Read{.key = std::string_view("\0k", 2), .into = &value}};
  Unit unit{.commands = commands};
  store.engine->execute(std::span(&unit, 1));
  ASSERT_NE(unit.failure, nullptr);
  EXPECT_EQ(unit.failure->code, Code::Encryption);
  EXPECT_FALSE(store->exists("a"));
}

}  // namespace
}  // namespace tuskv::test
