// Connections that break, to the byte: whatever is lost between client and server, a call says the truth about its
// effect, in time, and the store goes on.
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "postgres/server_test.h"
#include "support/fault_proxy.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using testing::Optional;

constexpr auto kTimeout = 400ms;
/// Where the deadline is not what is tested: a busy machine must not meet it.
constexpr auto kAmpleTimeout = 20'000ms;

class PostgresFault : public ServerTest {
 protected:
  std::string proxied(const std::string& parameters = {}) const {
    return proxy_.address().url(database()) + "&sslmode=disable&application_name=proxied&ttl_mode=manual" + parameters;
  }
  /// The server has done everything that connections which are gone had sent: their sessions have ended.
  void wait_for_the_server() {
    ASSERT_TRUE(eventually([&] {
      return sql().value("select count(*) from pg_stat_activity where application_name = 'proxied'") ==
             std::to_string(proxy_.connections());
    }));
  }

  FaultProxy proxy_{shared().server()};
};

/// A call that moves a counter from `n` to `n + 1`, in one of the engine's ways.
using Step = std::function<void(const Store& store, std::int64_t n)>;

std::vector<std::pair<std::string, Step>> steps() {
  return {
      {"increment", [](const Store& store, std::int64_t) { store.increment("n"); }},
      {"increment of several",
       [](const Store& store, std::int64_t n) {
         store.set_many({{"n", std::to_string(n + 1)}, {"m", std::to_string(n + 1)}});
       }},
      {"compare_and_swap",
       [](const Store& store, std::int64_t n) {
         EXPECT_TRUE(store.compare_and_swap("n", std::to_string(n), std::to_string(n + 1)));
       }},
      {"transaction",
       [](const Store& store, std::int64_t) {
         store.transaction([](Transaction& tx) { tx.set("n", std::to_string(std::stoll(tx.get("n").value()) + 1)); });
       }},
  };
}

/// R4: at most once, and as the error says.
TEST_F(PostgresFault, R4_ACutAfterAnyByteAppliesAStepAtMostOnce) {
  const Store direct = open("&ttl_mode=manual");
  const Store store = Store::open(proxied("&pool_size=1"), {.timeout = kAmpleTimeout});
  std::int64_t n = 0;
  direct.set("n", "0");
  int applied_and_unknown = 0;
  int not_applied = 0;
  for (const auto& [name, step] : steps()) {
    for (const ProxyDirection direction : {ProxyDirection::to_server, ProxyDirection::to_client}) {
      bool met = true;
      for (std::uint64_t bytes = 0; met; bytes += name == "increment" ? 1 : 5) {
        SCOPED_TRACE(name + ", " + std::to_string(bytes) +
                     (direction == ProxyDirection::to_server ? " bytes to the server" : " bytes to the client"));
        store.get("n");    // a lost connection is noticed, and replaced
        step(store, n++);  // what follows has everything prepared
        const std::uint64_t before = proxy_.faults_met();
        const bool resets = bytes % 2 == 1;
        proxy_.arm(
            {.action = resets ? ProxyAction::reset : ProxyAction::cut, .direction = direction, .after_bytes = bytes});
        const auto failure = failure_of(kAmpleTimeout, [&] { step(store, n); });
        proxy_.disarm();
        met = proxy_.faults_met() > before;
        wait_for_the_server();
        const std::int64_t stored = std::stoll(direct.get("n").value());
        ASSERT_TRUE(stored == n || stored == n + 1) << stored << " after " << n;
        if (!failure) {
          ASSERT_EQ(stored, n + 1) << "acknowledged and lost";
        } else {
          EXPECT_EQ(failure->code(), Code::Connection) << failure->what();
          ASSERT_TRUE(failure->outcome() == Outcome::unknown || stored == n) << failure->what();
          ASSERT_NE(failure->outcome(), Outcome::applied);
          if (stored == n)
            ++not_applied;
          else
            ++applied_and_unknown;
        }
        n = stored;
      }
    }
  }
  // Both ends of the exchange were reached.
  EXPECT_GT(applied_and_unknown, 10);
  EXPECT_GT(not_applied, 10);
}

TEST_F(PostgresFault, R4_ReadsAreTriedAgainOnAnotherConnection) {
  const Store store = Store::open(proxied("&pool_size=1"), {.timeout = kAmpleTimeout});
  store.set_many({{"a", "1"}, {"b", "2"}});
  const std::vector<std::pair<std::string, std::function<void()>>> reads = {
      {"get", [&] { EXPECT_THAT(store.get("a"), Optional(std::string("1"))); }},
      {"get_many",
       [&] {
         EXPECT_EQ(store.get_many({"a", "none", "b"}).size(), 3u);
       }},
      {"scan", [&] { EXPECT_EQ(store.scan().entries.size(), 2u); }},
      {"transaction", [&] { EXPECT_EQ(store.transaction([](Transaction& tx) { return tx.count(); }), 2u); }},
  };
  for (const auto& [name, read] : reads) {
    for (const ProxyDirection direction : {ProxyDirection::to_server, ProxyDirection::to_client}) {
      bool met = true;
      for (std::uint64_t bytes = 0; met; bytes += 7) {
        SCOPED_TRACE(name + " " + std::to_string(bytes));
        read();
        const std::uint64_t before = proxy_.faults_met();
        proxy_.arm({.direction = direction, .after_bytes = bytes});
        const auto failure = failure_of(kAmpleTimeout, read);
        EXPECT_FALSE(failure) << failure->what();
        proxy_.disarm();
        met = proxy_.faults_met() > before;
      }
    }
  }
}

/// What opening itself exchanges can be cut too, also while the table is made: another attempt follows.
TEST_F(PostgresFault, R4_ACutWhileOpeningIsMetByAnotherAttempt) {
  open("&ttl_mode=manual").set("k", "v");
  int tables = 0;
  for (const ProxyDirection direction : {ProxyDirection::to_server, ProxyDirection::to_client}) {
    for (const bool makes_table : {false, true}) {
      bool met = true;
      for (std::uint64_t bytes = 0; met; bytes += makes_table ? 211 : 61) {
        SCOPED_TRACE(bytes);
        const std::string table = makes_table ? "&table=t" + std::to_string(++tables) : "";
        const std::uint64_t before = proxy_.faults_met();
        proxy_.arm({.direction = direction, .after_bytes = bytes});
        const auto failure = failure_of(kAmpleTimeout, [&] {
          const Store store = Store::open(proxied(table), {.timeout = kAmpleTimeout});
          proxy_.disarm();
          EXPECT_EQ(store.get("k").has_value(), !makes_table);
        });
        EXPECT_FALSE(failure) << failure->what();
        met = proxy_.faults_met() > before;
      }
    }
  }
  EXPECT_GE(proxy_.faults_met(), 50u);
}

/// R5: no call waits beyond its deadline for a server that says nothing.
TEST_F(PostgresFault, R5_AHungServerDelaysNobodyBeyondTheDeadline) {
  const Store direct = open("&ttl_mode=manual");
  const Store store = Store::open(proxied("&pool_size=4"), {.timeout = kTimeout});
  store.set("k", "v");
  struct HungCall {
    std::function<void()> call;
    Outcome outcome;
  };
  // What looks before it writes has sent nothing yet that could take effect.
  const std::vector<HungCall> calls = {
      {[&] { store.get("k"); }, Outcome::not_applied},
      {[&] { store.set("k", "w"); }, Outcome::unknown},
      {[&] { store.increment("n"); }, Outcome::unknown},
      {[&] { store.set_if_absent("a", "v"); }, Outcome::not_applied},
      {[&] { store.count(); }, Outcome::not_applied},
      {[&] { store.transaction([](Transaction& tx) { tx.set("t", tx.get("k").value_or("")); }); },
       Outcome::not_applied},
  };
  for (const auto& [call, outcome] : calls) {
    proxy_.set_behaviour({});
    call();
    proxy_.set_behaviour({.holds = true});
    const auto failure = failure_of(kTimeout, call);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), Code::Timeout) << failure->what();
    EXPECT_EQ(failure->outcome(), outcome) << failure->what();
  }
  // All at once, more than there may be connections, and none to be had.
  run_threads(
      12, [&](int t) { EXPECT_TRUE(failure_of(kTimeout, calls[static_cast<std::size_t>(t) % calls.size()].call)); });
  const auto failure = failure_of(kTimeout, [&] { Store::open(proxied(), {.timeout = kTimeout}); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), Code::Connection) << failure->what();
  EXPECT_EQ(failure->outcome(), Outcome::not_applied);
  proxy_.act_on_all(ProxyAction::reset);
  proxy_.set_behaviour({});
  EXPECT_TRUE(store.get("k"));
  store.set("k", "usable");
  EXPECT_THAT(direct.get("k"), Optional(std::string("usable")));
}

TEST_F(PostgresFault, R5_AServerThatTricklesIsOnTimeOrLate) {
  const Store store = Store::open(proxied("&pool_size=2"), {.timeout = kTimeout});
  const std::string value(2000, 'v');
  store.set("k", value);
  proxy_.set_behaviour({.segment_bytes = 1});
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(store.get("k"), Optional(value));
    store.set("k", value);
    store.increment("n");
  }
  EXPECT_EQ(store.get("n"), "20");
  proxy_.set_behaviour({.segment_bytes = 1, .delay_ms = 5});
  for (int i = 0; i < 2; ++i) {
    const auto failure = failure_of(kTimeout, [&] { store.get("k"); });
    ASSERT_TRUE(failure);
    EXPECT_TRUE(failure->code() == Code::Timeout || failure->code() == Code::Connection) << failure->what();
  }
  proxy_.set_behaviour({});
  EXPECT_THAT(store.get("k"), Optional(value));
}

TEST_F(PostgresFault, AConnectionThatDiedIdleIsReplacedUnseen) {
  const Store store = Store::open(proxied("&pool_size=2"), {.timeout = kTimeout});
  store.set("n", "0");
  for (const ProxyAction action : {ProxyAction::cut, ProxyAction::reset}) {
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(120ms);  // a connection that was used a moment ago is not looked at
      proxy_.act_on_all(action);
      const auto failure = failure_of(kTimeout, [&] { store.increment("n"); });
      EXPECT_FALSE(failure) << failure->what();
    }
  }
  EXPECT_EQ(store.get("n"), "6");
}

TEST_F(PostgresFault, AServerThatRefusesConnectionsIsWaitedForUntilTheDeadline) {
  const Store store = Store::open(proxied("&pool_size=2"), {.timeout = kTimeout});
  store.set("k", "v");
  proxy_.set_behaviour({.refuses = true});
  proxy_.act_on_all(ProxyAction::cut);
  std::this_thread::sleep_for(120ms);
  const auto failure = failure_of(kTimeout, [&] { store.set("k", "w"); });
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), Code::Connection) << failure->what();
  EXPECT_EQ(failure->outcome(), Outcome::not_applied);
  EXPECT_TRUE(failure->retryable());
  std::thread back([&] {
    std::this_thread::sleep_for(100ms);
    proxy_.set_behaviour({});
  });
  EXPECT_FALSE(failure_of(2000ms, [&] { store.with_timeout(2000ms).set("k", "w"); }));
  back.join();
  EXPECT_THAT(store.get("k"), Optional(std::string("w")));
}

/// While a message arrives the server takes the transaction that waits for it to be idle.
TEST_F(PostgresFault, R119_ALargeWriteOverASlowLineHasTheTimeOfItsDeadline) {
  const Store store = Store::open(proxied("&timeout=20s"));
  store.set("k", "v");
  EXPECT_TRUE(store.set_if_present("k", "v"));  // so that what is sent begins with the value
  proxy_.set_behaviour({.segment_bytes = std::size_t{64} << 10, .delay_ms = 350});
  const auto failure = failure_of(
      kAmpleTimeout, [&] { EXPECT_TRUE(store.set_if_present("k", std::string(std::size_t{1} << 20, 'v'))); });
  EXPECT_FALSE(failure) << failure->what();
}

}  // namespace
}  // namespace tuskv::test
