// What Store::diagnose tells of a server and its table: each finding is provoked on a real one, but for the few that no
// server can be brought to, which are judged from facts alone.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include "postgres/diagnosis.h"
#include "postgres/server_test.h"

namespace tuskv::test {
namespace {

using Severity = Finding::Severity;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

Finding finding_of(const std::vector<Finding>& findings, std::string_view topic) {
  const auto found =
      std::find_if(findings.begin(), findings.end(), [&](const Finding& finding) { return finding.topic == topic; });
  if (found != findings.end()) return *found;
  ADD_FAILURE() << "nothing is said about " << topic;
  return {};
}

void expect_ok(const Finding& finding, const std::string& value) {
  EXPECT_EQ(finding.severity, Severity::ok) << finding.topic;
  EXPECT_THAT(finding.value, HasSubstr(value));
  EXPECT_THAT(finding.advice, IsEmpty()) << finding.topic;
}

void expect(const Finding& finding, Severity severity, const std::string& value, const std::string& advice) {
  EXPECT_EQ(finding.severity, severity) << finding.topic << ": " << finding.value;
  EXPECT_THAT(finding.value, HasSubstr(value));
  EXPECT_THAT(finding.advice, HasSubstr(advice));
}

class PostgresDoctor : public ServerTest {};

TEST_F(PostgresDoctor, FindsNothingWrongWithAFreshTable) {
  for (const auto* parameters : {"", "&durability=relaxed&partitions=3&fill_factor=60&table=parts",
                                 "&durability=unlogged&value_type=jsonb&table=json"}) {
    const Store store = open(parameters);
    store.set("k", "1");
    std::vector<std::string> topics;
    for (const Finding& finding : store.diagnose()) {
      // Other tests may take connections of the server at the same time.
      const bool is_others = finding.topic == "connections";
      EXPECT_TRUE(is_others || finding.severity == Severity::ok) << finding.topic << ": " << finding.value;
      topics.push_back(finding.topic);
    }
    EXPECT_THAT(topics, ElementsAre("server", "store", "connection", "connections", "durability", "writes", "table",
                                    "indexes", "triggers", "locks", "transactions", "live_rows", "dead_rows",
                                    "hot_updates", "vacuum", "expired"));
  }
  const std::vector<Finding> findings = open("&durability=relaxed&partitions=3&table=parts").diagnose();
  expect_ok(finding_of(findings, "table"), "logged, bytea, 3 partitions, fill factor 60");
  expect_ok(finding_of(findings, "durability"),
            "relaxed: fsync and full_page_writes are on, synchronous_commit is off");
  expect_ok(finding_of(findings, "connection"), "direct; statements are prepared");
  const std::vector<Finding> json = open("&durability=unlogged&value_type=jsonb&table=json").diagnose();
  expect_ok(finding_of(json, "table"), "UNLOGGED, jsonb, 0 partitions, fill factor 80");
  expect_ok(finding_of(json, "durability"), "unlogged: ");
}

TEST_F(PostgresDoctor, SeesAPooler) {
  const std::string url = shared().pooler().url(database());
  expect_ok(finding_of(Store::open(url).diagnose(), "connection"), "through a pooler; statements are not prepared");
  expect_ok(finding_of(open("&prepare=never").diagnose(), "connection"), "direct; statements are not prepared");
}

/// Its count of expired entries has settings of its own there, too: whoever has the table does not hold it up.
TEST_F(PostgresDoctor, R98_ThroughAPoolerItWaitsForNobodyEither) {
  const Store store = Store::open(shared().pooler().url(database()) + "&ttl_mode=manual&timeout=3s");
  store.set("k", "v", {.ttl = std::chrono::hours(1)});
  SqlConnection holder = other_session();
  holder.run("begin; lock table tuskv in access exclusive mode");
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Finding> findings = store.diagnose();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1500));
  expect(finding_of(findings, "expired"), Severity::note, "not counted", "against readers");
  holder.run("rollback");
  expect_ok(finding_of(store.diagnose(), "expired"), "no expired entry");
}

TEST_F(PostgresDoctor, SeesWhatWasAddedToTheTable) {
  for (const std::string table : {"plain", "parts"}) {
    const Store store = open("&table=" + table + (table == "parts" ? "&partitions=2" : ""));
    sql().run("create function nothing_" + table + "() returns trigger language plpgsql as 'begin return new; end'");
    sql().run("create trigger spy after insert on " + table + " for each row execute function nothing_" + table + "()");
    sql().run("create index more on " + table + " (version)");
    const std::vector<Finding> findings = store.diagnose();
    expect(finding_of(findings, "triggers"), Severity::warning, "spy", "in every write");
    expect(finding_of(findings, "indexes"), Severity::note, "more", "heap-only");
    sql().run("drop trigger spy on " + table + "; drop index more");
    sql().run("create rule quiet as on update to " + table + " do also nothing");
    expect(finding_of(store.diagnose(), "triggers"), Severity::warning, "quiet", "in every write");
  }
}

TEST_F(PostgresDoctor, SeesWhatIsMissingFromTheTable) {
  const Store store = open();
  sql().run("drop index tuskv_expires_bucket_idx");
  std::vector<Finding> findings = store.diagnose();
  expect(finding_of(findings, "indexes"), Severity::warning, "expires_bucket", "create index");
  expect(finding_of(findings, "expired"), Severity::note, "not counted", "index");
  sql().run("create index on tuskv (expires_bucket) where expires_bucket is not null");
  sql().run("alter table tuskv drop constraint tuskv_pkey");
  expect(finding_of(store.diagnose(), "indexes"), Severity::warning, "key", "add primary key");
  sql().run("drop table tuskv cascade");
  EXPECT_EQ(error_of([&] { return store.diagnose(); }).code(), Code::Config);
}

TEST_F(PostgresDoctor, SeesWhatTheRoleMayNotDo) {
  open();
  const std::string role = "doctor_" + database();
  sql().run("create role " + role + " login; grant usage on schema public to " + role);
  sql().run("grant select on tuskv to " + role);
  const Store store = Store::open(url("&create=false&ttl_mode=manual", role));
  expect(finding_of(store.diagnose(), "writes"), Severity::note, "only read", "grant INSERT, UPDATE, DELETE");
  // Of sessions of other roles it sees little, but that they are there.
  EXPECT_GE(std::stoi(finding_of(store.diagnose(), "connections").value), 2);
  sql().run("grant insert, update on tuskv to " + role);
  expect(finding_of(store.diagnose(), "writes"), Severity::warning, "lacks DELETE", "grant");
  sql().run("grant delete on tuskv to " + role);
  expect_ok(finding_of(store.diagnose(), "writes"), "allowed");
  sql().run("alter table tuskv enable row level security");
  expect(finding_of(store.diagnose(), "row_security"), Severity::warning, "hide rows", "disable");
  sql().run("revoke select on tuskv from " + role);
  expect(finding_of(store.diagnose(), "writes"), Severity::warning, "lacks SELECT", "grant");
  sql().run("alter role " + role + " set default_transaction_read_only = on");
  sql().run("grant select on tuskv to " + role + "; alter table tuskv disable row level security");
  const Store read_only = Store::open(url("&create=false&ttl_mode=manual", role));
  expect(finding_of(read_only.diagnose(), "writes"), Severity::warning, "read-only", "default_transaction_read_only");
  sql().run("drop owned by " + role + "; drop role " + role);
}

TEST_F(PostgresDoctor, SeesDeadRowsAndUpdatesThatAreNotHeapOnly) {
  const Store store = open("&ttl_mode=manual");
  sql().run(
      "alter table tuskv set (autovacuum_enabled = off); create index on tuskv (version); "
      "insert into tuskv(key, value, created_at, updated_at, version) "
      "select convert_to('k' || i, 'UTF8'), '', now(), now(), i from generate_series(1, 12000) i");
  sql().run("update tuskv set version = version + 1");
  sql().run("select pg_stat_force_next_flush()");
  std::vector<Finding> findings = store.diagnose();
  expect_ok(finding_of(findings, "live_rows"), "12000");
  expect(finding_of(findings, "dead_rows"), Severity::warning, "12000", "vacuum \"public\".\"tuskv\"");
  expect(finding_of(findings, "hot_updates"), Severity::note, "0 % of 12000", "fill_factor");
  expect(finding_of(findings, "vacuum"), Severity::warning, "not yet; autovacuum is off", "turn it on");
  sql().run("vacuum tuskv");
  sql().run("select pg_stat_force_next_flush(); alter table tuskv reset (autovacuum_enabled)");
  findings = store.diagnose();
  EXPECT_EQ(finding_of(findings, "dead_rows").severity, Severity::ok);
  expect_ok(finding_of(findings, "vacuum"), "s ago");
}

TEST_F(PostgresDoctor, SeesExpiredEntriesThatNobodyRemoves) {
  const Store store = open("&ttl_mode=manual");
  const auto expire = [&](int from, int to) {
    sql().run(
        "insert into tuskv(key, value, created_at, updated_at, version, expires_at, expires_bucket) "
        "select convert_to('k' || i, 'UTF8'), '', now(), now(), i, now() - interval '1 h', 1 "
        "from generate_series(" +
        std::to_string(from) + ", " + std::to_string(to) + ") i");
  };
  expire(1, 100);
  expect_ok(finding_of(store.diagnose(), "expired"), "100 expired entries");
  expire(101, 20'000);
  expect(finding_of(store.diagnose(), "expired"), Severity::warning, "more than 10000", "tuskv sweep");
  expect_ok(finding_of(open("&ttl_mode=disabled").diagnose(), "expired"), "disabled");
  EXPECT_EQ(store.cleanup_expired(), 20'000u);
  expect_ok(finding_of(store.diagnose(), "expired"), "no expired entry");
}

/// What one session of another program does to all others.
TEST_F(PostgresDoctor, R91_NamesWhoHasTheTable) {
  const Store store = open("&ttl_mode=manual");
  store.set("k", "v");
  expect_ok(finding_of(store.diagnose(), "locks"), "nobody");
  SqlConnection holder = other_session();
  const std::string pid = "pid " + std::to_string(holder.backend_pid());
  const auto eventually_told = [&](const std::string& what) {
    EXPECT_TRUE(
        eventually([&] { return finding_of(store.diagnose(), "locks").value.find(what) != std::string::npos; }));
    return finding_of(store.diagnose(), "locks");
  };
  holder.run("set application_name = 'nightly'; begin; lock table tuskv in share mode");
  Finding told = eventually_told(pid);
  expect(told, Severity::warning, pid + " (nightly, role tuskv) has the table against writers, its transaction began ",
         "writes wait");
  expect(told, Severity::warning, "s ago, idle in transaction", "pg_terminate_backend");
  SqlConnection waiting = other_session();
  waiting.send("set application_name = 'migration'; begin; lock table tuskv in access exclusive mode");
  EXPECT_TRUE(eventually([&] {
    const std::vector<Finding> findings = store.diagnose();
    return std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
      return finding.topic == "locks" && finding.value.find("asks for the table") != std::string::npos &&
             finding.value.find("behind " + pid) != std::string::npos;
    });
  }));
  holder.run("rollback");
  waiting.finish();
  told = eventually_told("has the table against everybody");
  expect(told, Severity::warning, "(migration, role tuskv)", "calls wait");
  expect(finding_of(store.diagnose(), "expired"), Severity::note, "not counted", "against readers");
}

/// However much longer than the other's the transaction goes on that waits: the other is to be ended.
TEST_F(PostgresDoctor, R99_WhoHasTheTableIsToldBeforeWhoWaitsForIt) {
  const Store store = open("&ttl_mode=manual");
  SqlConnection waiting = other_session();
  waiting.run("begin; select 1");
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  SqlConnection holder = other_session();
  holder.run("begin; lock table tuskv in share mode");
  waiting.send("lock table tuskv in access exclusive mode");
  std::vector<std::string> told;
  const auto are_both_told = [&] {
    told.clear();
    for (const Finding& finding : store.diagnose()) {
      if (finding.topic == "locks") told.push_back(finding.value);
    }
    return told.size() == 2;
  };
  ASSERT_TRUE(eventually(are_both_told));
  EXPECT_THAT(told[0], HasSubstr("pid " + std::to_string(holder.backend_pid()) + " "));
  EXPECT_THAT(told[1], HasSubstr("asks for the table"));
  holder.run("rollback");
  waiting.finish();
}

TEST_F(PostgresDoctor, R91_NamesWhoKeepsDeadRows) {
  const Store store = open("&ttl_mode=manual");
  SqlConnection keeper = other_session();
  keeper.run("set application_name = 'report'; begin isolation level repeatable read; select 1");
  expect_ok(finding_of(store.diagnose(), "transactions"), "none");
  sql().run(
      "do $$ begin for i in 1..100100 loop perform pg_current_xact_id(); commit; end loop; end $$ language plpgsql");
  const std::string pid = std::to_string(keeper.backend_pid());
  Finding told = finding_of(store.diagnose(), "transactions");
  expect(told, Severity::note, "pid " + pid + " (report, role tuskv) is 100", "pg_terminate_backend(" + pid + ")");
  expect(told, Severity::note, " transactions old, its transaction began ", "stay until it has ended");
  expect(told, Severity::note, " ago, idle in transaction", "stay until it has ended");
  // Another role is not told everything.
  const std::string role = "reader_" + database();
  sql().run("create role " + role + " login; grant usage on schema public to " + role);
  sql().run("grant select on tuskv to " + role);
  const Store other = Store::open(url("&create=false&ttl_mode=manual", role));
  told = finding_of(other.diagnose(), "transactions");
  expect(told, Severity::note, " transactions old, since when is told to members of", pid);
  EXPECT_THAT(told.value, Not(HasSubstr("idle")));
  sql().run("drop owned by " + role + "; drop role " + role);
  keeper.run("rollback");
  expect_ok(finding_of(store.diagnose(), "transactions"), "none");
}

/// On a server of its own, whose settings it changes.
TEST(PostgresDoctorServer, R25_SeesAServerThatIsLessDurableThanAsked) {
  PostgresServer server(
      {.lines = {"max_connections = 10", "superuser_reserved_connections = 2", "synchronous_commit = off"}});
  const std::string database = create_database(server.address());
  const Store durable = Store::open(server.url(database) + "&pool_size=2&ttl_mode=manual");
  const Store relaxed = Store::open(server.url(database) + "&durability=relaxed&pool_size=2&ttl_mode=manual");
  // The server's default does not reach sessions of ours, which say what they want.
  expect_ok(finding_of(durable.diagnose(), "durability"), "durable: ");
  expect_ok(finding_of(relaxed.diagnose(), "durability"), "relaxed: ");
  expect_ok(finding_of(durable.diagnose(), "connections"), "2 of 8");

  const PostgresServer standby({.standby_of = &server});
  const Store reader = Store::open(standby.url(database) + "&create=false&ttl_mode=manual&pool_size=1");
  expect(finding_of(reader.diagnose(), "writes"), Severity::warning, "standby", "primary");

  // A session takes a new setting when it comes to it: until then the finding speaks of the one before.
  const auto expect_after = [&](const std::string& line, const Store& store, std::string_view topic,
                                const std::string& value, const std::string& advice) {
    server.add_setting(line);
    server.reload();
    EXPECT_TRUE(eventually([&] { return finding_of(store.diagnose(), topic).value.find(value) != std::string::npos; }))
        << line;
    expect(finding_of(store.diagnose(), topic), Severity::warning, value, advice);
  };
  expect_after("full_page_writes = off", relaxed, "durability",
               "unlogged, though relaxed was asked for: full_page_writes", "spoil pages");
  expect_after("fsync = off", durable, "durability", "unlogged, though durable was asked for: fsync is off",
               "set fsync=on");
  expect_after("track_counts = off", durable, "vacuum", "track_counts", "autovacuum");
  expect_after("autovacuum = off", durable, "vacuum", "autovacuum is off", "turn it on");

  std::vector<SqlConnection> others;
  for (int i = 0; i < 5; ++i) others.emplace_back(server.url(database));
  expect(finding_of(durable.diagnose(), "connections"), Severity::note, "7 of 8", "pool_size");
  others.emplace_back(server.url(database));
  expect(finding_of(durable.diagnose(), "connections"), Severity::warning, "8 of 8", "max_connections");
}

/// A standby as its server sees it: it asks for the log, and says from which transaction on its queries need rows.
class SeemingStandby final {
 public:
  SeemingStandby(const PostgresServer& server, const std::string& slot)
      : session_(PQconnectdb((server.url("any") + "&replication=true&application_name=replica").c_str())) {
    const std::string position = PQgetvalue(run("IDENTIFY_SYSTEM").get(), 0, 2);
    const std::string from = slot.empty() ? "" : "SLOT " + slot + " ";
    EXPECT_EQ(PQresultStatus(run("START_REPLICATION " + from + "PHYSICAL " + position).get()), PGRES_COPY_BOTH);
  }

  void needs_rows_from(std::uint32_t transaction) {
    std::string message = "h";
    const auto add = [&message](std::uint64_t number, int bytes) {
      for (int i = bytes - 1; i >= 0; --i) message += static_cast<char>(number >> (8 * i) & 255);
    };
    add(0, 8);  // its clock
    add(transaction, 4);
    add(0, 4);
    add(0, 8);  // nothing of the catalogues
    EXPECT_EQ(PQputCopyData(session_.get(), message.data(), static_cast<int>(message.size())), 1);
    EXPECT_EQ(PQflush(session_.get()), 0);
  }

 private:
  struct Finish {
    void operator()(PGconn* session) const { PQfinish(session); }
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Finish> run(const std::string& command) {
    return std::unique_ptr<PGresult, Finish>(PQexec(session_.get(), command.c_str()));
  }

  std::unique_ptr<PGconn, Finish> session_;
};

/// Each with a sentence and an advice of its own: no session that could be ended is to blame.
TEST(PostgresDoctorServer, R102_R103_R104_NamesWhatKeepsDeadRowsWithoutASession) {
  const PostgresServer server(
      {.lines = {"max_prepared_transactions = 2", "wal_level = logical", "max_wal_senders = 4"}});
  const std::string database = create_database(server.address());
  const Store store = Store::open(server.url(database) + "&ttl_mode=manual");
  SqlConnection sql(server.url(database));
  sql.run("select pg_create_logical_replication_slot('decoded', 'pgoutput')");  // keeps rows of the catalogues alone
  sql.run("select pg_create_physical_replication_slot('kept')");
  std::optional<SeemingStandby> with_slot(std::in_place, server, "kept");
  std::optional<SeemingStandby> without_slot(std::in_place, server, "");
  const auto present = static_cast<std::uint32_t>(std::stoul(sql.value("select pg_current_xact_id()")));
  with_slot->needs_rows_from(present);
  without_slot->needs_rows_from(present);
  sql.run("begin; lock table tuskv in share mode; prepare transaction 'it''s'");
  ASSERT_TRUE(eventually([&] {
    return sql.value("select count(xmin) from pg_replication_slots") == "1" &&
           sql.value("select count(*) from pg_stat_replication where backend_xmin is not null") == "1";
  }));
  expect_ok(finding_of(store.diagnose(), "transactions"), "none");
  sql.run("do $$ begin for i in 1..100100 loop perform pg_current_xact_id(); commit; end loop; end $$");
  const auto told = [&](const std::string& topic, const std::string& part) {
    for (const Finding& finding : store.diagnose()) {
      if (finding.topic == topic && finding.value.find(part) != std::string::npos) return finding;
    }
    return Finding{};
  };
  expect(told("transactions", "prepared"), Severity::note, "the prepared transaction \"it's\" of role tuskv is 100",
         "rollback prepared 'it''s', or commit prepared, ends it");
  expect(told("transactions", "standby behind"), Severity::note, "(replica, role tuskv) keeps what queries need there",
         "turn its hot_standby_feedback off");
  expect(told("transactions", "slot"), Severity::note, "the replication slot \"kept\", in use, keeps what queries",
         "pg_drop_replication_slot('kept')");
  EXPECT_EQ(told("transactions", "decoded").value, "");
  ASSERT_TRUE(eventually([&] { return !told("locks", "prepared").value.empty(); })) << "it is not there for a moment";
  expect(told("locks", "prepared"), Severity::warning,
         "the prepared transaction \"it's\" of role tuskv has the table against writers, prepared ",
         "writes wait for it: rollback prepared 'it''s'");

  with_slot.reset();
  without_slot.reset();
  ASSERT_TRUE(eventually([&] { return sql.value("select count(*) from pg_stat_replication") == "0"; }));
  EXPECT_EQ(told("transactions", "standby behind").value, "");
  EXPECT_THAT(told("transactions", "slot").value, HasSubstr("\"kept\", not in use, keeps"));
  sql.run("rollback prepared 'it''s'");
  sql.run("select pg_drop_replication_slot('kept')");
  expect_ok(finding_of(store.diagnose(), "transactions"), "none");
  store.set("k", "v");
  store.erase("k");
  sql.run("vacuum tuskv");
  EXPECT_EQ(sql.value("select pg_relation_size('tuskv')"), "0") << "nothing else keeps what has been erased";
}

/// A pooler that cannot prepare, and one that takes our settings away in every transaction: neither can be had here.
TEST(PostgresDoctorServer, R25_JudgesWhatNoServerHereCanBe) {
  const postgres::DiagnosisFacts facts = {
      .through_pooler = true, .prepares = true, .connections_max = 100, .synchronous_commit = "off", .expired = 0};
  const std::vector<Finding> findings = postgres::judge(facts, {});
  expect(finding_of(findings, "connection"), Severity::note, "pooler; statements are prepared", "prepare=auto");
  expect(finding_of(findings, "durability"), Severity::warning,
         "relaxed, though durable was asked for: synchronous_commit is off", "settings of sessions");
}

/// A minute and rows that die by the million are not waited for.
TEST(PostgresDoctorServer, R91_JudgesTransactionsByTheirAgeAndWhatTheyKeep) {
  postgres::DiagnosisFacts facts = {.connections_max = 100, .live = 10, .dead = 5, .expired = 0};
  facts.keepers = {{.process = 7, .role = "me", .state = "active", .age_us = 59'000'000}};
  facts.holders = {{.process = 8, .role = "me", .state = "active", .age_us = 900'000}};
  expect_ok(finding_of(postgres::judge(facts, {}), "transactions"), "none");
  expect_ok(finding_of(postgres::judge(facts, {}), "locks"), "nobody");
  facts.keepers[0].age_us = 600'000'000;
  expect(finding_of(postgres::judge(facts, {}), "transactions"), Severity::note,
         "pid 7 (no application_name, role me) is 0 transactions old, its transaction began 10 min ago, active",
         "backend(7)");
  facts.dead = 300'000;
  expect(finding_of(postgres::judge(facts, {}), "transactions"), Severity::warning, "pid 7", "rows that die");
  facts.holders = {{.process = 9, .name = "a", .role = "other"}};
  expect(finding_of(postgres::judge(facts, {}), "locks"), Severity::note,
         "pid 9 (a, role other) has the table against writers, since when", "if it stays");
}

/// Whoever deletes much sees many dead rows until autovacuum comes, and nothing is wrong.
TEST(PostgresDoctorServer, S47_ManyDeadRowsAreNoFaultBeforeAutovacuumWasThere) {
  constexpr std::int64_t kSecondUs = 1'000'000;
  const auto finding = [](const postgres::DiagnosisFacts& facts) {
    return finding_of(postgres::judge(facts, {}), "dead_rows");
  };
  postgres::DiagnosisFacts facts = {
      .connections_max = 100, .live = 10, .dead = 300'000, .autovacuum_pause_us = 60 * kSecondUs, .expired = 0};
  expect(finding(facts), Severity::note, "about 300000", "after some minutes");
  facts.vacuum_age_us = 3'600 * kSecondUs;  // when there was nothing to do
  expect(finding(facts), Severity::note, "about 300000", "after some minutes");
  facts.vacuum_age_us = 70 * kSecondUs;
  expect(finding(facts), Severity::warning, "about 300000", "does not keep up");
  facts.vacuum_age_us = {};
  facts.has_autovacuum = false;
  expect(finding(facts), Severity::warning, "about 300000", "vacuum");
  facts.dead = 5;
  expect_ok(finding(facts), "about 5");
}

}  // namespace
}  // namespace tuskv::test
