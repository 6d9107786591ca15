// Arguments and options: what is refused, with which code, in which words, and that nothing happens then.
#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "contract/contract.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;
using testing::Optional;

TUSKV_CONTRACT_SUITE(Limits);

TEST_P(Limits, U1_KeysThatBreakALimitAreRefusedByEveryCall) {
  const std::string over(1025, 'k');
  for (const auto& [name, call] : keyed_calls()) {
    SCOPED_TRACE(name);
    expect_refused([&, &call = call] { call(store(), ""); }, Code::InvalidKey, {"key", "empty"});
    expect_refused([&, &call = call] { call(store(), over); }, Code::InvalidKey, {"key", "1025", "1024"});
  }
  EXPECT_EQ(store().stats().entries, 0u);
}

TEST_P(Limits, P18_TheKeyLimitIsAnOptionWithACeilingThatEveryEngineCanHold) {
  options.max_key_bytes = 10;
  store().set("0123456789", "v");
  expect_refused([&] { store().set("0123456789a", "v"); }, Code::InvalidKey, {"11", "10"});
}

TEST_P(Limits, P18_AKeyOfTheCeilingWorks) {
  options.max_key_bytes = 2048;
  const std::string longest(2048, 'k');
  store().set(longest, "v");
  EXPECT_THAT(reopen().get(longest), Optional(std::string("v")));
  expect_refused([&] { store().set(longest + "k", "v"); }, Code::InvalidKey, {"2048", "over the limit"});
}

TEST_P(Limits, U2_ValuesOverTheLimitAreTooLarge) {
  options.max_value_bytes = 100;
  const std::string over(101, 'v');
  store().set("k", std::string(100, 'v'));
  expect_refused([&] { store().set("k", over); }, Code::TooLarge, {"value", "101", "100"});
  expect_refused([&] { return store().set_if_absent("n", over); }, Code::TooLarge);
  expect_refused([&] { return store().set_if_present("k", over); }, Code::TooLarge);
  expect_refused([&] { return store().get_and_set("k", over); }, Code::TooLarge);
  expect_refused([&] { return store().compare_and_swap("k", std::nullopt, over); }, Code::TooLarge);
  expect_refused([&] { store().set_many({{"n", "v"}, {"k", over}}); }, Code::TooLarge);
  expect_refused([&] { return store().set_many_if_absent({{"n", "v"}, {"m", over}}); }, Code::TooLarge);
  expect_refused([&] { return store().update("k", [&](auto) { return Change(over); }); }, Code::TooLarge);
  expect_refused([&] { store().transaction([&](Transaction& tx) { tx.set("k", over); }); }, Code::TooLarge);
  EXPECT_THAT(get("k"), Optional(std::string(100, 'v')));
  EXPECT_EQ(store().count(), 1u);
}

TEST_P(Limits, U6_G6_TtlsThatAreNotPositiveOrOverflowAreRefusedByEveryCall) {
  store().set("k", "v");
  const std::vector<Duration> wrong = {0ms,
                                       -1ms,
                                       -1h,
                                       std::chrono::hours::max(),
                                       std::chrono::hours::min(),
                                       std::chrono::milliseconds::max(),
                                       std::chrono::milliseconds(31'556'952'000'001)};
  for (const Duration ttl : wrong) {
    SCOPED_TRACE(ttl.milliseconds());
    const auto refused = [](auto call) { expect_refused(call, Code::InvalidArgument, {"ttl"}); };
    refused([&] { store().set("k", "w", {.ttl = ttl}); });
    refused([&] { return store().set_if_absent("new", "w", {.ttl = ttl}); });
    refused([&] { return store().set_if_present("k", "w", {.ttl = ttl}); });
    refused([&] { store().set_many({{"new", "w"}}, {.ttl = ttl}); });
    refused([&] { store().set_many({{"new", "w"}, {.key = "k", .value = "w", .ttl = ttl}}); });
    refused([&] { return store().set_many_if_absent({{"new", "w"}}, {.ttl = ttl}); });
    refused([&] { return store().get_and_set("k", "w", {.ttl = ttl}); });
    refused([&] { return store().compare_and_swap("k", "v", "w", {.ttl = ttl}); });
    refused([&] { return store().get_and_touch("k", ttl); });
    refused([&] { return store().expire("k", ttl); });
    refused([&] { return store().increment("n", 1, {.ttl_if_created = ttl}); });
    refused([&] { return store().update("k", [&](auto) { return Change("w", {.ttl = ttl}); }); });
  }
  EXPECT_THAT(get("k"), Optional(std::string("v")));
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
  EXPECT_EQ(store().count(), 1u);
}

TEST_P(Limits, InstantsBeyondTheCalendarAreRefused) {
  const auto far = std::chrono::system_clock::time_point::max();
  const TimePoint farther(std::chrono::microseconds(253'402'300'799'000'001));
  expect_refused([&] { store().set("k", "v", {.expires_at = farther}); }, Code::InvalidArgument, {"expires_at"});
  store().set("k", "v");
  expect_refused([&] { return store().expire_at("k", farther); }, Code::InvalidArgument);
  EXPECT_EQ(store().ttl("k").state, Ttl::State::persistent);
  EXPECT_TRUE(store().expire_at("k", far));  // the year 2262 of this clock fits
  EXPECT_TRUE(store().exists("k"));
}

TEST_P(Limits, SetOptionsContradictEachOtherAloud) {
  const SetOptions wrong[] = {{.ttl = 1s, .keep_ttl = true},
                              {.ttl = 1s, .persistent = true},
                              {.ttl = 1s, .expires_at = now_plus_ms(1000)},
                              {.expires_at = now_plus_ms(1000), .keep_ttl = true},
                              {.keep_ttl = true, .persistent = true}};
  for (const SetOptions& contradiction : wrong) {
    expect_refused([&] { store().set("k", "v", contradiction); }, Code::InvalidArgument, {"ttl"});
    expect_refused([&] { store().set_many({{"k", "v"}}, contradiction); }, Code::InvalidArgument);
  }
  EXPECT_EQ(store().count(), 0u);
}

TEST_P(Limits, NullPointersAreRefused) {
  const char* null = nullptr;
  expect_refused([&] { return store().get(null); }, Code::InvalidArgument);
  expect_refused([&] { store().set("k", null); }, Code::InvalidArgument);
}

TEST_P(Limits, U14_P15_EveryOptionIsCheckedAtOpen) {
  const auto refused = [&](auto change, std::string_view name) {
    Options wrong = options;
    change(wrong);
    SCOPED_TRACE(name);
    expect_refused([&] { return backend().open(wrong); }, Code::Config, {name});
  };
  refused([](Options& o) { o.timeout = 0ms; }, "timeout");
  refused([](Options& o) { o.timeout = 25h; }, "timeout");
  refused([](Options& o) { o.timeout = -5s; }, "timeout");
  refused([](Options& o) { o.sweep_interval = 0ms; }, "sweep_interval");
  refused([](Options& o) { o.sweep_interval = 25h; }, "sweep_interval");
  refused([](Options& o) { o.sweep_batch = 0; }, "sweep_batch");
  refused([](Options& o) { o.sweep_batch = 100'001; }, "sweep_batch");
  refused([](Options& o) { o.max_key_bytes = 0; }, "max_key_bytes");
  refused([](Options& o) { o.max_key_bytes = 2049; }, "max_key_bytes");
  refused([](Options& o) { o.max_value_bytes = 0; }, "max_value_bytes");
  refused([](Options& o) { o.max_value_bytes = (std::size_t{1016} << 20) + 1; }, "max_value_bytes");
  refused([](Options& o) { o.encryption_key_file = std::string(4097, 'p'); }, "encryption_key_file");
  refused([](Options& o) { o.sync_interval = 0ms; }, "sync_interval");
  refused([](Options& o) { o.sync_interval = 2h; }, "sync_interval");
  refused([](Options& o) { o.snapshot_interval = 99ms; }, "snapshot_interval");
  refused([](Options& o) { o.snapshot_interval = 24h * 8; }, "snapshot_interval");
  refused([](Options& o) { o.snapshot_log_percent = 9; }, "snapshot_log_percent");
  refused([](Options& o) { o.snapshot_log_percent = 10'001; }, "snapshot_log_percent");
  refused([](Options& o) { o.snapshot_log_bytes_min = 1000; }, "snapshot_log_bytes_min");
  refused([](Options& o) { o.keep_snapshots = 1001; }, "keep_snapshots");
  refused([](Options& o) { o.snapshot_threads = 0; }, "snapshot_threads");
  refused([](Options& o) { o.snapshot_threads = 65; }, "snapshot_threads");
  refused([](Options& o) { o.ttl_mode = static_cast<TtlMode>(7); }, "ttl_mode");
  refused([](Options& o) { o.table = "a\"b"; }, "table");
  refused([](Options& o) { o.fill_factor = 9; }, "fill_factor");
  refused([](Options& o) { o.pool_size = 0; }, "pool_size");
  refused([](Options& o) { o.direct_callers = 0; }, "direct_callers");
  refused([](Options& o) { o.batches = 101; }, "batches");
  refused([](Options& o) { o.batch_keys = 4097; }, "batch_keys");
  refused([](Options& o) { o.batch_bytes = 4095; }, "batch_bytes");
  refused([](Options& o) { o.retries = 1001; }, "retries");
  refused([](Options& o) { o.prepare = static_cast<PrepareMode>(3); }, "prepare");
  refused([](Options& o) { o.value_type = static_cast<ValueType>(2); }, "value_type");
  store().set("k", "v");  // and nothing was left behind
}

TEST_P(Limits, U14_SweeperOptionsAreChecked) {
  expect_refused([&] { store().start_sweeper({.interval = 0ms}); }, Code::InvalidArgument, {"interval"});
  expect_refused([&] { store().start_sweeper({.batch = std::size_t{0}}); }, Code::InvalidArgument, {"batch"});
  expect_refused([&] { store().start_sweeper({.batch = std::size_t{100'001}}); }, Code::InvalidArgument, {"batch"});
}

TEST_P(Limits, U9_ErrorsCarryCodeOutcomeAndWords) {
  const Error error = error_of([&] { store().set("", "v"); });
  EXPECT_EQ(error.code(), Code::InvalidKey);
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  EXPECT_FALSE(error.retryable());
  EXPECT_EQ(error.sqlstate(), "");
  EXPECT_GT(std::string_view(error.what()).size(), 10u);
  const std::exception& as_standard = error;
  EXPECT_STREQ(as_standard.what(), error.what());
}

}  // namespace
}  // namespace tuskv::test
