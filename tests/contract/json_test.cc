// Values that are JSON, on every backend: also on those that keep nothing else.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "contract/contract.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::Optional;

TUSKV_JSON_CONTRACT_SUITE(Json);

TEST_P(Json, DocumentsComeBackAsTheyWereSet) {
  const std::vector<std::string> documents = {
      R"({"a": 1, "b": [true, null, "x"]})",
      R"("a string with \"quotes\", a \\ and \u0001")",
      "[]",
      "0",
      "-12.5",
      "null",
      R"({})",
      R"("ü")",
  };
  for (const std::string& document : documents) {
    store().set("k", document);
    EXPECT_EQ(get("k"), document);
  }
  store().set_many({{"a", "1"}, {"b", R"({"x": 2})"}});
  EXPECT_THAT(store().get_many({"a", "missing", "b"}),
              testing::ElementsAre(Optional(std::string("1")), std::nullopt, Optional(std::string(R"({"x": 2})"))));
  const auto listed = store().scan().entries;
  ASSERT_EQ(listed.size(), 3u);
  EXPECT_EQ(listed[1].value, R"({"x": 2})");
  EXPECT_EQ(reopen().get_or_throw("b"), R"({"x": 2})");
}

TEST_P(Json, WhatWasReadIsEqualToWhatIsStored) {
  store().set("k", R"({"b":1,  "a":2.50})");  // a backend may spell it in another way
  const std::string read = store().get_or_throw("k");
  EXPECT_TRUE(store().compare_and_swap("k", read, R"({"a": 3})"));
  const CompareResult second = store().compare_and_swap("k", read, "4");
  EXPECT_EQ(second.status, CompareResult::Status::mismatch);
  EXPECT_EQ(second.current, R"({"a": 3})");
  EXPECT_EQ(store().get_and_set("k", "[1, 2]"), R"({"a": 3})");
  EXPECT_FALSE(store().compare_and_erase("k", "[1]"));
  EXPECT_TRUE(store().compare_and_erase("k", "[1, 2]"));
  EXPECT_EQ(store().get_and_erase("k"), std::nullopt);
}

TEST_P(Json, CountersAreNumbers) {
  EXPECT_EQ(store().increment("n", 5), 5);
  EXPECT_EQ(store().decrement("n", 7), -2);
  EXPECT_EQ(get("n"), "-2");
  store().set("n", "9223372036854775806");
  EXPECT_EQ(store().increment("n"), 9223372036854775807);
  expect_refused([&] { return store().increment("n"); }, Code::Overflow);
  for (const char* not_an_integer : {R"("1")", "1.5", "[1]", "null", R"({"n": 1})", "9223372036854775808"}) {
    store().set("n", not_an_integer);
    expect_refused([&] { return store().increment("n"); }, Code::NotAnInteger);
    EXPECT_EQ(get("n"), not_an_integer);
  }
}

TEST_P(Json, UpdatesAndTransactionsSeeDocuments) {
  const auto append = [](std::optional<std::string_view> value) -> Change {
    return value ? std::string(value->substr(0, value->size() - 1)) + ", 2]" : std::string("[1]");
  };
  store().update("list", append);
  store().update("list", append);
  EXPECT_EQ(get("list"), "[1, 2]");
  store().transaction([](Transaction& tx) {
    tx.set("copy", tx.get_or_throw("list"));
    EXPECT_EQ(tx.get("copy"), "[1, 2]");
    tx.increment("count");
  });
  EXPECT_EQ(get("copy"), "[1, 2]");
  EXPECT_EQ(get("count"), "1");
  EXPECT_TRUE(store().set_if_absent("absent", "true"));
  EXPECT_FALSE(store().set_if_absent("absent", "false"));
  set_dead("dead", R"("dead")");
  EXPECT_TRUE(store().set_if_absent("dead", "null"));
}

/// One's own put in a transaction, and the same put on the store.
TEST_P(Json, R46_ATransactionSeesItsPutsAsTheStoreKeepsThem) {
  const std::string given = R"({"b":1,  "a":2.50})";
  store().set("stored", given);
  const std::string kept = store().get_or_throw("stored");
  store().transaction([&](Transaction& tx) {
    tx.set_many({{"k", given}, {"l", " 7"}});
    EXPECT_EQ(tx.get("k"), kept);
    EXPECT_EQ(tx.scan({.prefix = "k"}).entries.at(0).value, kept);
    const CompareResult mismatch = tx.compare_and_swap("k", "0", "1");
    EXPECT_EQ(mismatch.current, kept);
    EXPECT_TRUE(tx.compare_and_swap("k", kept, "[1 ,2]"));
    EXPECT_EQ(tx.get_and_set("k", given), backend().capabilities().keeps_json ? "[1, 2]" : "[1 ,2]");
    EXPECT_TRUE(tx.compare_and_erase("k", kept));
    tx.update("k", [&](std::optional<std::string_view>) -> Change { return given; });
    EXPECT_EQ(tx.get("k"), kept);
    if (backend().capabilities().keeps_json) {
      EXPECT_EQ(tx.increment("l"), 8);
      expect_refused([&] { tx.set("k", "{"); }, Code::InvalidValue, {"JSON"});
      expect_refused([&] { tx.set_many({{"new", "1"}, {"k", "\"\\u0000\""}}); }, Code::InvalidValue, {"JSON"});
    } else {
      expect_refused([&] { return tx.increment("l"); }, Code::NotAnInteger);
    }
    EXPECT_FALSE(tx.set_if_absent("k", "{"));  // nothing is stored, so nothing is refused
    EXPECT_EQ(tx.get("k"), kept);
    EXPECT_FALSE(tx.exists("new"));
  });
  EXPECT_EQ(get("k"), kept);
}

TEST_P(Json, R122_AnUpdateReturnsWhatGetWould) {
  const std::string given = R"({"b":1,  "a":2.50})";
  const auto replace = [&](std::optional<std::string_view>) -> Change { return given; };
  const auto keep = [](std::optional<std::string_view>) -> Change { return Change::keep(); };
  const std::optional<std::string> updated = store().update("k", replace);
  EXPECT_EQ(updated, get("k"));
  EXPECT_EQ(store().update("k", keep), get("k"));
  store().transaction([&](Transaction& tx) {
    const std::optional<std::string> own = tx.update("l", replace);
    EXPECT_EQ(own, tx.get("l"));
  });
  EXPECT_EQ(get("l"), get("k"));
  if (!backend().capabilities().keeps_json) return;
  const auto spoil = [](std::optional<std::string_view>) -> Change { return "{"; };
  expect_refused([&] { store().update("k", spoil); }, Code::InvalidValue, {"JSON"});
  EXPECT_EQ(get("k"), updated);
}

TEST_P(Json, WhatIsNoJsonIsRefusedWhereOnlyJsonIsKept) {
  store().set("k", "1");
  for (const std::string& value : {std::string("v"), std::string(), std::string("{"), std::string("\"\xff\""),
                                   std::string("\"\\u0000\""), std::string("\"\0\"", 3)}) {
    if (backend().capabilities().keeps_json) {
      expect_refused([&] { store().set("k", value); }, Code::InvalidValue, {"JSON"});
      expect_refused([&] { store().set_many({{"other", "2"}, {"k", value}}); }, Code::InvalidValue, {"JSON"});
      expect_refused([&] { store().set_if_present("k", value); }, Code::InvalidValue, {"JSON"});
      EXPECT_EQ(get("k"), "1");
      EXPECT_FALSE(store().exists("other"));
    } else {
      store().set("k", value);
      EXPECT_EQ(get("k"), value);
    }
  }
}

}  // namespace
}  // namespace tuskv::test
