// Names are looked up in time, whatever the lookup does. It knows nothing of servers.
#include "postgres/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "postgres/held_lookup.h"

namespace tuskv::test {
namespace {

using postgres::Resolver;
using testing::ElementsAre;
using testing::HasSubstr;
using Addresses = std::vector<std::string>;
using Answer = Result<Addresses>;

constexpr std::int64_t kHungMs = 50;
constexpr std::int64_t kAmpleMs = 10'000;

class ResolverTest : public testing::Test {
 protected:
  ~ResolverTest() override { lookup_.release(); }

  Answer ask(const std::string& name, std::int64_t timeout_ms) {
    return resolver().addresses_of(name, os::deadline_in(timeout_ms));
  }
  Resolver& resolver(postgres::ResolverOptions options = {}) {
    if (!resolver_) {
      options.look_up = lookup_.function();
      resolver_ = std::make_unique<Resolver>(std::move(options));
    }
    return *resolver_;
  }
  void expect_late(const Answer& answer, const std::string& name) {
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.failure().code, Code::Timeout);
    EXPECT_EQ(answer.failure().outcome, Outcome::not_applied);
    EXPECT_THAT(answer.failure().message, HasSubstr(name));
  }

  HeldLookup lookup_;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, R47_EachWaitsForTheOneLookupToADeadlineOfItsOwn) {
  lookup_.hold();
  resolver();
  std::vector<std::thread> callers;
  for (std::int64_t i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      const bool is_patient = i == 0;
      const auto begin = std::chrono::steady_clock::now();
      const Answer answer = ask("db.example", is_patient ? kAmpleMs : i * kHungMs);
      const auto took = std::chrono::steady_clock::now() - begin;
      if (is_patient) {
        ASSERT_TRUE(answer.ok()) << answer.failure().message;
        EXPECT_THAT(answer.value(), ElementsAre("127.0.0.1"));
      } else {
        expect_late(answer, "db.example");
        EXPECT_LT(took, std::chrono::milliseconds(i * kHungMs + 1000));
      }
    });
  }
  for (std::size_t i = 1; i < callers.size(); ++i) callers[i].join();
  lookup_.wait_until_begun("db.example");
  EXPECT_EQ(lookup_.begun("db.example"), 1);
  lookup_.release();
  callers.front().join();
  EXPECT_TRUE(ask("db.example", kAmpleMs).ok());
  EXPECT_EQ(lookup_.begun("db.example"), 2) << "what has changed since is seen";
}

/// Stuck for good, where the system would answer now.
TEST_F(ResolverTest, R48_ALookupThatSaysNothingIsNotTheLast) {
  lookup_.hold();
  resolver({.lookups_of_name_max = 2, .silence_ms = 0});
  expect_late(ask("db.example", kHungMs), "db.example");
  lookup_.wait_until_begun("db.example");
  lookup_.answer_new_ones();
  EXPECT_TRUE(ask("db.example", kAmpleMs).ok());
  EXPECT_EQ(lookup_.begun("db.example"), 2);
  EXPECT_TRUE(ask("db.example", kAmpleMs).ok()) << "the stuck one holds up nobody";
}

TEST_F(ResolverTest, R48_LookupsThatHangAreFew) {
  lookup_.hold();
  resolver({.lookups_max = 3, .lookups_of_name_max = 2, .silence_ms = 0});
  for (int i = 0; i < 4; ++i) expect_late(ask("a.example", kHungMs), "a.example");
  lookup_.wait_until_begun("a.example", 2);
  EXPECT_EQ(lookup_.begun("a.example"), 2);
  expect_late(ask("b.example", kHungMs), "b.example");
  lookup_.wait_until_begun("b.example");
  expect_late(ask("c.example", kHungMs), "c.example");
  EXPECT_EQ(lookup_.begun("b.example"), 1);
  EXPECT_EQ(lookup_.begun("c.example"), 0);
  lookup_.release();
  EXPECT_TRUE(ask("c.example", kAmpleMs).ok()) << "once there is room";
}

/// Run in a process of its own, where the sanitizers look for what is left behind.
void leave_with_a_lookup_on_its_way() {
  const auto lookup = std::make_shared<HeldLookup>();
  lookup->hold();
  Resolver({.look_up = lookup->function()}).addresses_of("db.example", os::deadline_in(kHungMs)).ok();
  lookup->wait_until_begun("db.example");
  std::exit(0);
}

TEST(ResolverDeathTest, R49_ALookupKeepsNoProcessFromEnding) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(leave_with_a_lookup_on_its_way(), testing::ExitedWithCode(0), "");
}

TEST_F(ResolverTest, R49_WhoWaitsForALookupLeavesWhenTheStoreCloses) {
  lookup_.hold();
  resolver();
  std::thread caller([&] {
    const Answer answer = ask("db.example", kAmpleMs);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.failure().code, Code::Closed);
  });
  lookup_.wait_until_begun("db.example");
  resolver().close();
  caller.join();
}

TEST_F(ResolverTest, R49_ALookupOutlivesItsResolver) {
  lookup_.hold();
  expect_late(ask("db.example", kHungMs), "db.example");
  lookup_.wait_until_begun("db.example");
  resolver_.reset();
  lookup_.release();
  lookup_.wait_until_all_ended();
}

TEST_F(ResolverTest, R50_ANameWithoutAnAddressIsNamedWithTheReason) {
  for (const bool is_empty : {false, true}) {
    lookup_.set_answer([is_empty](const std::string&) -> Answer {
      if (is_empty) return Addresses{};
      return Status(Code::Connection, "there is no such machine");
    });
    const Answer answer = ask("db.example", kAmpleMs);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.failure().code, Code::Connection);
    EXPECT_EQ(answer.failure().outcome, Outcome::not_applied);
    EXPECT_THAT(answer.failure().message, HasSubstr("db.example"));
    EXPECT_THAT(answer.failure().message, HasSubstr(is_empty ? "no address" : "no such machine"));
  }
}

TEST(NameLookup, TheSystemIsAskedAndAddressesAreNot) {
  const Answer found = os::look_up_name("localhost");
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_THAT(found.value(), testing::Each(testing::AnyOf("127.0.0.1", "::1")));
  const Answer none = os::look_up_name(std::string(300, 'a'));  // longer than names are: no server is asked
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.failure().code, Code::Connection);
  EXPECT_FALSE(none.failure().message.empty());
  EXPECT_EQ(os::numeric_address("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(os::numeric_address("0:0::1"), "::1");
  EXPECT_EQ(os::numeric_address("localhost"), std::nullopt);
}

}  // namespace
}  // namespace tuskv::test
