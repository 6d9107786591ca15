// What tests of a store on PostgreSQL share: a database of the test's own, and calls that must end in time.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/shared_postgres.h"
#include "support/sql_connection.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

/// Whatever happens to the server, a call ends by then after its deadline.
constexpr std::chrono::milliseconds kLateMax(1000);

/// The error of a call, nothing when it succeeded. Fails the test when the call came back too late.
template <class F>
std::optional<Error> failure_of(std::chrono::milliseconds timeout, F&& call) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<Error> failure;
  try {
    static_cast<void>(call());
  } catch (const Error& error) {
    failure = error;
  }
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took, timeout + kLateMax) << "late: " << (failure ? failure->what() : "succeeded");
  return failure;
}

/// The error that the call throws; a failed expectation when it throws none.
template <class F>
Error error_of(F&& call) {
  const std::optional<Error> failure = failure_of(std::chrono::minutes(1), std::forward<F>(call));
  if (failure) return *failure;
  ADD_FAILURE() << "no error was thrown";
  return Error(Code::Internal, Outcome::unknown, "no error was thrown");
}

/// Waits for what another thread or process does; false when it has not happened for ten seconds.
inline bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

inline std::vector<std::string> keys_of(const Page& page) {
  std::vector<std::string> keys;
  for (const Entry& entry : page.entries) keys.push_back(entry.key);
  return keys;
}

/// Runs `work(thread)` on several threads and waits for all.
inline void run_threads(int count, const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back(work, t);
  for (std::thread& thread : threads) thread.join();
}

/// The key of an entry in the default namespace as the table has it, as an SQL expression.
inline std::string stored_key(std::string_view key) {
  return "'\\x00'::bytea || convert_to(" + SqlConnection::quoted(key) + ", 'UTF8')";
}

/// Tests on the server that all tests share, each in a database of its own.
class ServerTest : public testing::Test {
 protected:
  ServerTest() : database_(create_database(shared().server())), sql_(shared().server().url(database_)) {}

  static const SharedPostgres& shared() {
    static const SharedPostgres servers;  // started by the first test of a process run by hand
    return servers;
  }
  const std::string& database() const { return database_; }
  std::string url(const std::string& parameters = {}, const std::string& user = "tuskv") const {
    return shared().server().url(database_, user) + parameters;
  }
  Store open(const std::string& parameters = {}) const { return Store::open(url(parameters)); }
  SqlConnection& sql() { return sql_; }
  SqlConnection other_session() const { return SqlConnection(shared().server().url(database_)); }

 private:
  const std::string database_;
  SqlConnection sql_;
};

}  // namespace tuskv::test
