#include "support/fault_proxy.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "support/shared_postgres.h"
#include "support/sql_connection.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;

class FaultProxyTest : public testing::Test {
 protected:
  SqlConnection connect() { return SqlConnection(proxy.address().url("postgres")); }
  /// The longest of the waits is far below it.
  static bool eventually(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }

  SharedPostgres shared;
  FaultProxy proxy{shared.server()};
};

TEST_F(FaultProxyTest, PassesEverythingOn) {
  SqlConnection connection = connect();
  const std::string large(1 << 20, 'x');
  EXPECT_EQ(connection.value("select '" + large + "'"), large);
  EXPECT_GT(proxy.bytes(ProxyDirection::to_server), large.size());
  EXPECT_GT(proxy.bytes(ProxyDirection::to_client), large.size());
  EXPECT_EQ(proxy.connections(), 1u);
  EXPECT_EQ(proxy.faults_met(), 0u);
}

TEST_F(FaultProxyTest, PassesOnInTheSmallestSegmentsAndLate) {
  SqlConnection connection = connect();
  proxy.set_behaviour({.segment_bytes = 1});
  EXPECT_EQ(connection.value("select repeat('x', 1000)"), std::string(1000, 'x'));
  proxy.set_behaviour({.delay_ms = 20});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(connection.value("select 1"), "1");
  EXPECT_GE(std::chrono::steady_clock::now() - start, 40ms);
}

TEST_F(FaultProxyTest, EndsAConnectionAfterAnyByte) {
  for (const ProxyAction action : {ProxyAction::cut, ProxyAction::reset}) {
    for (const ProxyDirection direction : {ProxyDirection::to_server, ProxyDirection::to_client}) {
      for (const std::uint64_t bytes : {0u, 1u, 7u}) {
        SqlConnection connection = connect();
        SqlConnection other = connect();
        const std::uint64_t before = proxy.bytes(direction);
        const std::uint64_t met = proxy.faults_met();
        proxy.arm({.action = action, .direction = direction, .after_bytes = bytes});
        EXPECT_THROW(connection.run("select 1"), SqlError);
        EXPECT_EQ(proxy.bytes(direction), before + bytes);
        EXPECT_EQ(proxy.faults_met(), met + 1);
        EXPECT_EQ(other.value("select 1"), "1");
      }
    }
  }
}

TEST_F(FaultProxyTest, AFaultBehindTheExchangeIsNotMet) {
  SqlConnection connection = connect();
  proxy.arm({.direction = ProxyDirection::to_client, .after_bytes = 10'000});
  EXPECT_EQ(connection.value("select 1"), "1");
  EXPECT_EQ(proxy.faults_met(), 0u);
  proxy.disarm();
  EXPECT_EQ(connection.value("select repeat('x', 20000)").size(), 20'000u);
}

TEST_F(FaultProxyTest, WhatIsCutOffBehindTheRequestHasBeenDone) {
  SqlConnection direct(shared.server().url(create_database(shared.server())));
  const std::string database = direct.value("select current_database()");
  direct.run("create table t (i int)");
  SqlConnection connection(proxy.address().url(database));
  // A message is its kind, a length of four bytes, and the text with a zero.
  const std::string statement = "insert into t values (1)";
  proxy.arm({.direction = ProxyDirection::to_server, .after_bytes = 1 + 4 + statement.size()});
  EXPECT_THROW(connection.run(statement), SqlError);
  SqlConnection again(proxy.address().url(database));
  proxy.arm({.direction = ProxyDirection::to_server, .after_bytes = 1 + 4 + statement.size() + 1});
  EXPECT_THROW(again.run(statement), SqlError);
  EXPECT_TRUE(eventually([&] { return direct.value("select count(*) from t") == "1"; }));
}

TEST_F(FaultProxyTest, HoldsAndReleases) {
  SqlConnection connection = connect();
  proxy.set_behaviour({.holds = true});
  std::string answer;
  std::thread waiting([&] { answer = connection.value("select 'late'"); });
  std::this_thread::sleep_for(20ms);
  const std::uint64_t bytes = proxy.bytes(ProxyDirection::to_server);
  proxy.set_behaviour({});
  waiting.join();
  EXPECT_EQ(answer, "late");
  EXPECT_GT(proxy.bytes(ProxyDirection::to_server), bytes);
  proxy.act_on_all(ProxyAction::hold);
  connection.send("select 1");
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(connect().value("select 2"), "2") << "a connection of its own";
  proxy.act_on_all(ProxyAction::reset);
  EXPECT_THROW(connection.finish(), SqlError);
  EXPECT_TRUE(eventually([&] { return proxy.connections() == 0; }));
}

TEST_F(FaultProxyTest, RefusesNewConnectionsAlone) {
  SqlConnection connection = connect();
  proxy.set_behaviour({.refuses = true});
  EXPECT_THROW(connect(), SqlError);
  EXPECT_EQ(connection.value("select 1"), "1");
}

}  // namespace
}  // namespace tuskv::test
