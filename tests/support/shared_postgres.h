// One PostgreSQL for many tests: a fixture of ctest starts it (postgres_fixture.cc) and a file says where it listens. A
// test run by hand starts its own.
#pragma once

#include <memory>
#include <string>

#include "support/postgres_server.h"

namespace tuskv::test {

/// The environment variable with the name of the file.
constexpr const char* kSharedPostgresVariable = "TUSKV_TEST_POSTGRES";

/// Tests that stop servers or change them start one of their own instead.
class SharedPostgres final {
 public:
  SharedPostgres();

  const PostgresAddress& server() const { return server_; }
  /// A pgbouncer in transaction mode in front of it.
  const PostgresAddress& pooler() const { return pooler_; }

 private:
  std::unique_ptr<PostgresServer> own_server_;
  std::unique_ptr<PgBouncer> own_pooler_;
  PostgresAddress server_;
  PostgresAddress pooler_;
};

}  // namespace tuskv::test
