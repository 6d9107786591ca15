// What a transaction reads again, and what it need not.
#include <string>
#include <utility>
#include <vector>

#include "engine.h"
#include "postgres/database.h"
#include "postgres/postgres_engine.h"
#include "postgres/server_test.h"

namespace tuskv::test {
namespace {

class PostgresTransaction : public ServerTest {
 protected:
  PostgresTransaction() {
    auto opened = postgres::Database::open(
        {.target = postgres::Target::parse(url()).value(), .options = {.ttl_mode = TtlMode::manual}, .clock = {}});
    engine_ = std::make_unique<postgres::PostgresEngine>(std::move(opened).value());
  }
  /// False when it is a conflict.
  bool read(OptimisticTransaction& transaction, Command command) {
    Unit unit{.commands = std::span(&command, 1)};
    const Status status = engine_->read(transaction, unit);
    EXPECT_TRUE(status.ok() || status.failure().code == Code::Conflict) << status.failure().message;
    return status.ok();
  }

  std::unique_ptr<postgres::PostgresEngine> engine_;
};

/// What is known is made wrong: a transaction that looks at the range again finds a conflict.
TEST_F(PostgresTransaction, R81_RangesAreReadAgainOnlyWhenATransactionHasEnded) {
  sql().run(
      "insert into tuskv(key, value, created_at, updated_at, version) select ('\\x00'::bytea || "
      "convert_to('k' || i, 'UTF8')), 'v', now(), now(), i from generate_series(1, 9) i");
  const Scan page{.range = {.from = std::string_view("\0k", 2), .to = std::string_view("\0l", 2)}, .limit = 3};
  Scan next = page;
  next.after = std::string_view("\0k3", 3);
  const std::vector<Command> reads = {next, Count{.range = page.range},
                                      Read{.key = std::string_view("\0z", 2), .want = Want::meta}};
  for (const Command& second : reads) {
    SCOPED_TRACE(second.index());
    const auto reads_on_with = [&](const std::string& between) {
      OptimisticTransaction transaction;
      EXPECT_TRUE(read(transaction, page));
      transaction.ranges.front().fingerprint ^= 2;
      sql().run(between);
      return read(transaction, second);
    };
    // Another test may write to the same server meanwhile.
    EXPECT_TRUE(eventually([&] { return reads_on_with("select 1"); }));
    EXPECT_FALSE(reads_on_with("create temporary table t(); drop table t"));
  }
}

// A server that has crashed gives numbers of transactions again; a session that is older than the mark outlived none.
TEST_F(PostgresTransaction, R82_AMarkFromBeforeTheSessionSaysNothing) {
  const Scan page{.range = {.from = std::string_view("\0k", 2), .to = std::string_view("\0l", 2)}, .limit = 3};
  OptimisticTransaction transaction;
  EXPECT_TRUE(read(transaction, page));
  transaction.ranges.front().fingerprint ^= 2;
  transaction.validated_us = 0;
  EXPECT_FALSE(read(transaction, Read{.key = std::string_view("\0z", 2), .want = Want::meta}));
}

}  // namespace
}  // namespace tuskv::test
