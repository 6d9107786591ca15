#include "contract/postgres_backend.h"

#include <unistd.h>

#include <atomic>
#include <string>

#include "open.h"
#include "support/manual_clock.h"
#include "support/shared_postgres.h"
#include "support/sql_connection.h"

namespace tuskv::test {
namespace {

/// One for the process: to start a server for each test of a run by hand would take a second each.
const SharedPostgres& shared_postgres() {
  static const SharedPostgres shared;
  return shared;
}

std::string fresh_schema() {
  static std::atomic<int> count = 0;
  return "contract_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
}

/// The clock is a sequence: its value is seen at once by every session, in every snapshot, and stays when a transaction
/// rolls back. The function is a single expression, so that the planner puts it in the place of the call.
std::string create_schema(const std::string& schema, std::int64_t now_us) {
  return "create schema " + schema + "; create sequence " + schema + ".now_us; select setval('" + schema +
         ".now_us', " + std::to_string(now_us) + "); create function " + schema +
         ".test_clock() returns timestamptz volatile language sql as $$select timestamptz 'epoch' + "
         "pg_sequence_last_value('" +
         schema + ".now_us'::regclass) * interval '1 microsecond'$$";
}

class PostgresBackend final : public Backend {
 public:
  explicit PostgresBackend(const PostgresBackendKind& kind)
      : kind_(kind),
        schema_(fresh_schema()),
        clock_expression_(schema_ + ".test_clock()"),
        sql_(shared_postgres().server().url("postgres")) {
    sql_.run(create_schema(schema_, clock_.now_us()));
  }
  ~PostgresBackend() override {
    try {
      // Waits only for a connection that a closed store has left behind.
      sql_.run("set lock_timeout = '10s'; drop schema " + schema_ + " cascade");
    } catch (const SqlError& error) {
      ADD_FAILURE() << error.what();
    }
  }

  Store open(const Options& options) override {
    Options with_durability = options;
    with_durability.durability = kind_.durability;
    with_durability.encryptor = kind_.encryptor;
    const SharedPostgres& shared = shared_postgres();
    const PostgresAddress& address = kind_.is_pooled ? shared.pooler() : shared.server();
    return open_store(address.url("postgres") + "&schema=" + schema_ + kind_.parameters, with_durability,
                      {.postgres_clock = clock_expression_});
  }
  void advance_ms(std::int64_t by_ms) override {
    clock_.advance_ms(by_ms);
    sql_.run("select setval('" + schema_ + ".now_us', " + std::to_string(clock_.now_us()) + ")");
  }
  std::int64_t now_us() const override { return clock_.now_us(); }
  Capabilities capabilities() const override {
    return {.reopens = true,
            .clock_stands_still = true,
            .syncs = kind_.durability != Durability::unlogged,
            .keeps_json = kind_.keeps_json,
            .is_shared = true,
            .value_overhead_bytes = kind_.encryptor == nullptr ? 0 : kEncryptionOverheadBytes};
  }
  std::string engine() const override { return "postgresql"; }
  Durability durability() const override { return kind_.durability; }

 private:
  const PostgresBackendKind kind_;
  const std::string schema_;
  const std::string clock_expression_;
  SqlConnection sql_;
  ManualClock clock_;
};

}  // namespace

std::unique_ptr<Backend> make_postgres_backend(const PostgresBackendKind& kind) {
  return std::make_unique<PostgresBackend>(kind);
}

}  // namespace tuskv::test
