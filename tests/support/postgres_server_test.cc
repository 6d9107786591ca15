#include "support/postgres_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "support/shared_postgres.h"
#include "support/sql_connection.h"

namespace tuskv::test {
namespace {

TEST(PostgresServer, OnlyAnImmediateStopEmptiesUnloggedTables) {
  PostgresServer server({.lines = {"max_connections = 7"}});
  const std::string url = server.url(create_database(server.address()));
  SqlConnection(url).run("create unlogged table t (i int); insert into t values (1)");
  server.restart(Shutdown::fast);
  EXPECT_EQ(SqlConnection(url).value("select count(*) from t"), "1");
  server.restart(Shutdown::immediate);
  EXPECT_EQ(SqlConnection(url).value("select count(*) from t"), "0");
  EXPECT_EQ(SqlConnection(url).value("show max_connections"), "7");
  EXPECT_THAT(server.log(), testing::HasSubstr("immediate shutdown"));
}

TEST(PostgresServer, SignalsReachItsOwnProcessesAlone) {
  PostgresServer server({.listens_on_tcp = true});
  SqlConnection connection(server.tcp_address().url("postgres"));
  EXPECT_THROW(server.signal_backend(::getpid(), SIGCONT), std::runtime_error);
  server.signal_backend(connection.backend_pid(), SIGTERM);
  EXPECT_THROW(connection.run("select 1"), SqlError);
}

TEST(PostgresServer, DiesWithItsTest) {
  std::array<int, 2> pipe = {};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    const PostgresServer server;
    const std::string path = server.home().path();
    if (::write(pipe[1], path.data(), path.size()) < 0) ::_exit(1);
    ::raise(SIGKILL);
  }
  ::close(pipe[1]);
  std::string path;
  std::array<char, 128> buffer = {};
  for (ssize_t count = 0; (count = ::read(pipe[0], buffer.data(), buffer.size())) > 0;) {
    path.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(pipe[0]);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ASSERT_NE(path, "");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::filesystem::exists(path) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THROW(SqlConnection(PostgresAddress{.host = path}.url("postgres")), SqlError);
}

TEST(SharedPostgres, IsReachedDirectlyAndThroughThePooler) {
  const SharedPostgres shared;
  const std::string database = create_database(shared.server());
  SqlConnection direct(shared.server().url(database));
  direct.run("create table t (v text); insert into t values ('it''s'), (null)");
  SqlConnection pooled(shared.pooler().url(database));
  EXPECT_EQ(pooled.value("select v from t where v = " + SqlConnection::quoted("it's")), "it's");
  EXPECT_EQ(pooled.run("select v, 1 from t where v is null"), std::vector<SqlRow>({{std::nullopt, "1"}}));
  // Transaction mode: a server connection is held by whoever has a transaction open, and by nobody else.
  SqlConnection other(shared.pooler().url(database));
  EXPECT_EQ(other.value("select pg_backend_pid()"), pooled.value("select pg_backend_pid()"));
  other.run("begin");
  EXPECT_NE(other.value("select pg_backend_pid()"), pooled.value("select pg_backend_pid()"));
}

TEST(SharedPostgres, AnErrorHasItsSqlstate) {
  const SharedPostgres shared;
  SqlConnection connection(shared.server().url("postgres"));
  try {
    connection.run("select 1/0");
    ADD_FAILURE() << "no error";
  } catch (const SqlError& error) {
    EXPECT_EQ(error.sqlstate(), "22012");
  }
}

}  // namespace
}  // namespace tuskv::test
