// Batches of a known make-up on a real server: members that several units belong to, transactions that end in different
// ways, and what a batch answers compared with the same commands one by one.
#include "postgres/batch_runner.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "os/wait_word.h"
#include "postgres/database.h"
#include "postgres/server_test.h"
#include "support/fault_proxy.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv::test {
namespace {

using postgres::BatchMember;
using postgres::BatchRunner;
using postgres::Database;
using postgres::Lane;
using postgres::Target;

/// A caller who waits, so that pins count, with units of one command each.
class Caller final {
 public:
  explicit Caller(std::vector<Command> commands) : commands_(std::move(commands)) {
    for (Command& command : commands_) units_.push_back({.commands = {&command, 1}});
    member_ = std::make_unique<BatchMember>(units_, os::deadline_in(kTimeoutMs), &word_);
  }

  BatchMember* member() const { return member_.get(); }
  const Unit& unit(std::size_t i) const { return units_[i]; }
  const Command& command(std::size_t i) const { return commands_[i]; }
  template <class C>
  const C& command(std::size_t i) const {
    return std::get<C>(commands_[i]);
  }

  static constexpr std::int64_t kTimeoutMs = 20'000;

 private:
  std::vector<Command> commands_;
  std::vector<Unit> units_;
  os::WaitWord word_;
  std::unique_ptr<BatchMember> member_;
};

std::string sqlstate_of(const Unit& unit) { return unit.failure == nullptr ? "none" : unit.failure->sqlstate; }

class PostgresBatchRunner : public ServerTest {
 protected:
  /// `callers` as one batch.
  void run(Lane lane, const std::vector<Caller*>& callers, std::int64_t timeout_ms = Caller::kTimeoutMs) {
    if (!database_) open_database({});
    std::vector<BatchMember*> members;
    for (const Caller* caller : callers) members.push_back(caller->member());
    runner_->run(lane, members, os::deadline_in(timeout_ms));
  }
  void open_database(const Options& options) { open_database_at(url(), options); }
  void open_pooled_database(const Options& options) { open_database_at(shared().pooler().url(database()), options); }
  void open_database_at(const std::string& address, const Options& options) {
    Result<Target> target = Target::parse(address);
    ASSERT_TRUE(target.ok());
    Result<std::unique_ptr<Database>> opened =
        Database::open({.target = std::move(target).value(), .options = options, .clock = {}});
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    database_ = std::move(opened).value();
    runner_.emplace(*database_);
  }
  /// Makes every insert or erase of a row fail as `action` says, when it is made or at the end of its transaction.
  void raise_on(const std::string& event, const std::string& action, bool at_commit = false) {
    sql().run("create function act_" + event + "() returns trigger language plpgsql as $$ begin " + action +
              "; return coalesce(new, old); end $$; create " +
              (at_commit ? "constraint trigger act_" + event + " after " + event + " on tuskv initially deferred"
                         : "trigger act_" + event + " before " + event + " on tuskv") +
              " for each row execute function act_" + event + "()");
  }
  /// What a crash of the server leaves of an UNLOGGED table when another process notices first.
  void empty_and_refill() {
    sql().run(
        "begin; truncate tuskv; insert into tuskv(key, value, created_at, updated_at, version) values "
        "('\\x01'::bytea || 'tuskv' || '\\x00' || 'canary', 'another', now(), now(), 1), "
        "('erased', 'v', now(), now(), 1); commit");
  }
  std::string keys_stored() {
    return sql().value("select coalesce(string_agg(convert_from(key, 'UTF8'), ' ' order by key), '') from tuskv");
  }
  std::string contents() {
    return sql().value(
        "select coalesce(string_agg(convert_from(key, 'UTF8') || '=' || value::text, ' ' order by key), '') from "
        "tuskv");
  }

 private:
  std::unique_ptr<Database> database_;
  std::optional<BatchRunner> runner_;
};

constexpr const char* kDiskIsFull = "raise exception 'as the test asked' using errcode = '53100'";

/// Nor are its halves, and theirs: its callers' time is over.
TEST_F(PostgresBatchRunner, R88_ABatchThatHasRunOutOfTimeIsNotTriedAgain) {
  Caller before({Put{.key = "k", .value = "v"}});
  run(Lane::set, {&before});
  raise_on("insert", "perform pg_sleep(5)");
  std::deque<std::string> keys;
  std::vector<Command> puts;
  for (int i = 0; i < 256; ++i) puts.push_back(Put{.key = keys.emplace_back(std::to_string(i)), .value = "v"});
  Caller caller(puts);
  constexpr std::int64_t kHurriedMs = 100;
  const os::Deadline latest = os::deadline_in(kHurriedMs + 400);
  run(Lane::set, {&caller}, kHurriedMs);
  EXPECT_LT(os::deadline_in(0), latest);
  for (std::size_t i = 0; i < puts.size(); ++i) {
    ASSERT_NE(caller.unit(i).failure, nullptr);
    EXPECT_EQ(caller.unit(i).failure->code, Code::Timeout);
    EXPECT_EQ(caller.unit(i).failure->outcome, Outcome::not_applied);
  }
  EXPECT_EQ(keys_stored(), "k");
}

/// Nor is any of them told what the server has said of one: which it was, nobody has found out.
TEST_F(PostgresBatchRunner, R101_WhatIsSaidOfOneOfABatchIsNotToldToAllWhenTimeHasRunOut) {
  Caller before({Put{.key = "k", .value = "v"}});
  run(Lane::set, {&before});
  // The server's own timeout is the deadline; the answer comes a moment later.
  raise_on("insert",
           "begin perform pg_sleep(5); exception when query_canceled then " + std::string(kDiskIsFull) + "; end");
  Caller a({Put{.key = "a", .value = "v"}});
  Caller b({Put{.key = "b", .value = "v"}});
  run(Lane::set, {&a, &b}, 100);
  for (const Caller* caller : {&a, &b}) {
    ASSERT_NE(caller->unit(0).failure, nullptr);
    const Failure& failure = *caller->unit(0).failure;
    EXPECT_EQ(failure.code, Code::Timeout) << failure.message;
    EXPECT_EQ(failure.outcome, Outcome::not_applied);
    EXPECT_THAT(failure.message, testing::HasSubstr("which of the calls sent together was refused"));
    EXPECT_EQ(failure.sqlstate, "");
  }
}

TEST_F(PostgresBatchRunner, R38_EachUnitOfAFailedBatchIsToldHoweverKindsAreMixed) {
  Caller before({Put{.key = "a1", .value = "v"}, Put{.key = "b1", .value = "v"}});
  run(Lane::set, {&before});
  raise_on("insert", kDiskIsFull);
  raise_on("delete", kDiskIsFull);
  const auto mixed = [](std::string_view put, std::string_view erase, std::string_view other_put) {
    return std::vector<Command>{Put{.key = put, .value = "v"}, Erase{.key = erase},
                                Put{.key = other_put, .value = "v"}};
  };
  Caller a(mixed("a0", "a1", "a2"));
  Caller b(mixed("b0", "b1", "b2"));
  run(Lane::set, {&a, &b});
  for (const Caller* caller : {&a, &b}) {
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(sqlstate_of(caller->unit(i)), "53100") << i;
  }
  EXPECT_EQ(keys_stored(), "a1 b1");
}

/// The sets of the batch fail, and run again without the erases, which met the emptied table.
TEST_F(PostgresBatchRunner, R36_AResetIsToldWhateverElseFails) {
  open_pooled_database({.durability = Durability::unlogged});
  empty_and_refill();
  raise_on("insert", kDiskIsFull);
  Caller put({Put{.key = "put", .value = "v"}});
  Caller erase({Erase{.key = "erased"}});
  run(Lane::set, {&put, &erase});
  ASSERT_NE(put.unit(0).failure, nullptr);
  ASSERT_NE(erase.unit(0).failure, nullptr);
  EXPECT_EQ(put.unit(0).failure->outcome, Outcome::not_applied);
  EXPECT_EQ(erase.unit(0).failure->code, Code::StoreReset);
}

/// What somebody else asks of the same key in the same batch does not change an answer.
TEST_F(PostgresBatchRunner, EachReadGetsWhatItAsksForWhateverIsReadBesideIt) {
  const std::string large((std::size_t{64} << 10) + 1, 'l');
  Caller puts({Put{.key = "k", .value = "value"}, Put{.key = "large", .value = large}});
  run(Lane::set, {&puts});
  for (const Want beside : {Want::nothing, Want::meta, Want::value}) {
    for (const bool stamps : {false, true}) {
      std::string value = "before";
      std::string longer;
      std::string absent = "before";
      std::string other;
      Caller values({Read{.key = "k", .into = &value, .stamps = false},
                     Read{.key = "large", .into = &longer, .stamps = false},
                     Read{.key = "none", .into = &absent, .stamps = false}});
      Caller another({Read{.key = "k", .want = beside, .into = &other, .stamps = stamps}});
      run(Lane::read, {&values, &another});
      for (std::size_t i = 0; i < 3; ++i) ASSERT_EQ(sqlstate_of(values.unit(i)), "none");
      EXPECT_TRUE(values.command<Read>(0).seen.found);
      EXPECT_EQ(value, "value");
      EXPECT_TRUE(longer == large) << longer.size();
      EXPECT_FALSE(values.command<Read>(2).seen.found);
      EXPECT_EQ(absent, "");
      const Seen& seen = another.command<Read>(0).seen;
      EXPECT_TRUE(seen.found);
      EXPECT_TRUE(!stamps || (seen.version != 0 && seen.created_us != 0 && seen.updated_us != 0));
      EXPECT_EQ(other, beside == Want::value ? "value" : "");
    }
  }
}

/// Whoever met the emptied table may have gone by the time it is known.
TEST_F(PostgresBatchRunner, R36_AResetThatNobodyWaitedForIsToldToTheNext) {
  open_pooled_database({.durability = Durability::unlogged});
  empty_and_refill();
  raise_on("delete", "perform pg_sleep(1)");
  Caller gone({Erase{.key = "erased"}});
  std::thread batch([&] { run(Lane::set, {&gone}); });
  EXPECT_TRUE(eventually([&] {
    return sql().value(
               "select count(*) from pg_stat_activity where datname = current_database() and "
               "wait_event = 'PgSleep'") == "1";
  }));
  EXPECT_TRUE(gone.member()->give_up());
  batch.join();
  Caller next({Read{.key = "erased", .want = Want::meta}});
  run(Lane::read, {&next});
  ASSERT_NE(next.unit(0).failure, nullptr);
  EXPECT_EQ(next.unit(0).failure->code, Code::StoreReset);
}

/// A commit that was answered before its session ended has happened, and what followed it has not.
TEST_F(PostgresBatchRunner, R39_WhatWasCommittedInASessionThatThenEndedIsSaidToBe) {
  Caller before({Put{.key = "erased", .value = "v"}});
  run(Lane::set, {&before});
  raise_on("delete", "perform pg_terminate_backend(pg_backend_pid())");
  Caller put({Put{.key = "put", .value = "v"}});
  Caller erase({Erase{.key = "erased"}});
  run(Lane::set, {&put, &erase});
  EXPECT_EQ(sqlstate_of(put.unit(0)), "none");
  EXPECT_TRUE(put.command<Put>(0).applied);
  ASSERT_NE(erase.unit(0).failure, nullptr);
  EXPECT_EQ(erase.unit(0).failure->code, Code::Connection);
  EXPECT_EQ(erase.unit(0).failure->outcome, Outcome::unknown);
  EXPECT_EQ(keys_stored(), "erased put");
}

/// The answer of the erase was lost behind that of the set, which somebody else's lock had refused.
TEST_F(PostgresBatchRunner, R95_WhatWasLostBehindALockedRowIsNotSaidToHaveDoneNothing) {
  FaultProxy proxy(shared().server());
  open_database_at(proxy.address().url(database()) + "&sslmode=disable", {.pool_size = 1, .retries = 0});
  const auto restore = [&] {
    Caller entries({Put{.key = "held", .value = "v"}, Put{.key = "erased", .value = "v"}});
    run(Lane::set, {&entries});
  };
  restore();
  SqlConnection holder = other_session();
  holder.run("begin; select from tuskv where key = 'held' for update");
  const auto bytes_of_refusal = [&] {
    const std::uint64_t before = proxy.bytes(ProxyDirection::to_client);
    Caller put({Put{.key = "held", .value = "w"}});
    run(Lane::set, {&put});
    EXPECT_EQ(sqlstate_of(put.unit(0)), "55P03");
    return proxy.bytes(ProxyDirection::to_client) - before;
  };
  bytes_of_refusal();  // everything is prepared
  const std::uint64_t whole = bytes_of_refusal();
  // The error comes at once, and only then the end of the transaction, which is cut here.
  proxy.arm({.direction = ProxyDirection::to_client, .after_bytes = whole - 1});
  Caller put({Put{.key = "held", .value = "w"}});
  Caller erase({Erase{.key = "erased"}});
  run(Lane::set, {&put, &erase});
  EXPECT_EQ(proxy.faults_met(), 1u);
  EXPECT_TRUE(eventually([&] { return keys_stored() == "held"; })) << "the server goes on";
  ASSERT_NE(erase.unit(0).failure, nullptr);
  EXPECT_EQ(erase.unit(0).failure->outcome, Outcome::unknown) << erase.unit(0).failure->message;
  ASSERT_NE(put.unit(0).failure, nullptr);
  EXPECT_NE(put.unit(0).failure->outcome, Outcome::applied);
}

/// An error that comes at the end of a transaction belongs to no statement: those behind it keep their own answers.
TEST_F(PostgresBatchRunner, R40_AnErrorAtCommitMovesNoAnswer) {
  Caller before({Put{.key = "erased", .value = "what it was"}});
  run(Lane::set, {&before});
  raise_on("insert", kDiskIsFull, true);
  Caller put({Put{.key = "put", .value = "v"}});
  Caller erase({Erase{.key = "erased", .want_previous = true}});
  run(Lane::set, {&put, &erase});
  EXPECT_EQ(sqlstate_of(put.unit(0)), "53100");
  EXPECT_FALSE(put.command<Put>(0).applied);
  EXPECT_EQ(sqlstate_of(erase.unit(0)), "none");
  EXPECT_TRUE(erase.command<Erase>(0).seen.found);
  EXPECT_EQ(erase.command<Erase>(0).seen.value, "what it was");
  EXPECT_EQ(keys_stored(), "");
}

// ---- jsonb

/// What a unit came to, without stamps and versions.
std::string reply_of(const Command& command, const Unit& unit) {
  if (unit.failure != nullptr) return std::string(to_string(unit.failure->code));
  const auto seen = [](bool applied, const Seen& was) {
    return (applied ? "applied, saw " : "kept from it, saw ") + (was.found ? "'" + was.value + "'" : "nothing");
  };
  if (const auto* read = std::get_if<Read>(&command)) return seen(true, read->seen) + " and read " + *read->into;
  if (const auto* put = std::get_if<Put>(&command)) return seen(put->applied, put->seen);
  if (const auto* erase = std::get_if<Erase>(&command)) return seen(erase->applied, erase->seen);
  const auto& add = std::get<Add>(command);
  return "sum " + std::to_string(add.value);
}

class JsonCommands final {
 public:
  explicit JsonCommands(std::uint64_t seed) : random_(seed) {}

  std::vector<Command> draw(std::size_t count) {
    std::vector<Command> commands;
    for (std::size_t i = 0; i < count; ++i) commands.push_back(draw_one());
    return commands;
  }
  /// The same, with places of its own for what is read.
  std::vector<Command> copy(const std::vector<Command>& commands) {
    std::vector<Command> copied = commands;
    for (Command& command : copied) {
      if (auto* read = std::get_if<Read>(&command)) read->into = &places_.emplace_back();
    }
    return copied;
  }

 private:
  /// Documents and how the server spells them, some that it refuses, and numbers.
  std::string_view value() {
    static constexpr std::string_view kValues[] = {
        R"({"b":1,"a":2})", R"({"a": 2, "b": 1})", "[1 , 2]", "[1, 2]", " 7", "7", "1e2", "100", "{", "", "-0"};
    return kValues[random_.below(std::size(kValues))];
  }
  Condition condition() {
    switch (random_.below(4)) {
      case 0: return {.kind = Condition::Kind::equals, .bytes = value()};
      case 1: return {.kind = random_.chance(50) ? Condition::Kind::absent : Condition::Kind::present};
      default: return {};
    }
  }
  Command draw_one() {
    const std::string_view key = random_.chance(50) ? "a" : "b";
    switch (random_.below(8)) {
      case 0: return Read{.key = key};
      case 1: return Erase{.key = key, .condition = condition(), .want_previous = random_.chance(50)};
      case 2: return Add{.key = key, .magnitude = 1};
      default: return Put{.key = key, .value = value(), .condition = condition(), .want_previous = random_.chance(50)};
    }
  }

  Random random_;
  std::deque<std::string> places_;
};

TEST_F(PostgresBatchRunner, R41_ABatchAnswersAsItsCommandsOneByOneOnJsonb) {
  open_database({.value_type = ValueType::jsonb});
  const std::uint64_t seed = random_seed();
  JsonCommands random(seed);
  for (int round = 0; round < 100 && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const std::vector<Command> drawn = random.draw(8);
    std::vector<std::string> alone;
    for (const Command& command : drawn) {
      Caller caller(random.copy({command}));
      run(Lane::generic, {&caller});
      alone.push_back(reply_of(caller.command(0), caller.unit(0)));
    }
    const std::string left = contents();
    sql().run("delete from tuskv");
    Caller together(random.copy(drawn));
    run(Lane::generic, {&together});
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      EXPECT_EQ(reply_of(together.command(i), together.unit(i)), alone[i]) << "command " << i;
    }
    EXPECT_EQ(contents(), left);
    sql().run("delete from tuskv");
  }
}

TEST_F(PostgresBatchRunner, R41_ASetThatAnotherOneReplacesIsRefusedAllTheSame) {
  open_database({.value_type = ValueType::jsonb});
  Caller refused({Put{.key = "k", .value = "{"}});
  Caller stored({Put{.key = "k", .value = "1"}});
  run(Lane::set, {&refused, &stored});
  EXPECT_EQ(reply_of(refused.command(0), refused.unit(0)), "InvalidValue");
  EXPECT_EQ(sqlstate_of(stored.unit(0)), "none");
  EXPECT_EQ(contents(), "k=1");
}

/// The server does not say of which key it speaks.
TEST_F(PostgresBatchRunner, R96_ACallOfManyKeysIsToldWhoseValueIsNoJson) {
  const Store store = open("&value_type=jsonb&ttl_mode=manual");
  constexpr std::size_t kKeys = 300;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kKeys; ++i) keys.push_back("k" + std::to_string(i));
  const std::vector<std::pair<const char*, std::function<void(const std::vector<Item>&)>>> calls = {
      {"set_many", [&](const std::vector<Item>& items) { store.set_many(items); }},
      {"set_many_if_absent", [&](const std::vector<Item>& items) { store.set_many_if_absent(items); }},
      {"set_many in a transaction",
       [&](const std::vector<Item>& items) { store.transaction([&](Transaction& tx) { tx.set_many(items); }); }},
      {"set_many that is not waited for",
       [&](const std::vector<Item>& items) { store.async().set_many(items).wait(); }},
  };
  for (const auto& [name, call] : calls) {
    for (const std::size_t wrong : {std::size_t{0}, std::size_t{171}, kKeys - 1}) {
      SCOPED_TRACE(std::string(name) + ", " + keys[wrong]);
      for (const std::string document : {R"({"a":)", R"("\u0000")", "\xff"}) {
        std::vector<Item> items;
        for (const std::string& key : keys) items.push_back({.key = key, .value = R"({"a": 1})"});
        items[wrong].value = document;
        const Error error = error_of([&set = call, &items] { set(items); });
        EXPECT_EQ(error.code(), Code::InvalidValue);
        EXPECT_EQ(error.outcome(), Outcome::not_applied);
        EXPECT_THAT(error.what(), testing::HasSubstr("the value of key \"" + keys[wrong] + "\" is not JSON"));
        EXPECT_EQ(store.count(), 0u);
      }
    }
  }
  EXPECT_THAT(error_of([&] { store.set("single", "{"); }).what(), testing::HasSubstr("the value of key \"single\""));
  // What somebody else refuses is no matter of JSON.
  raise_on("insert", "raise exception 'as the test asked' using errcode = '22000'");
  const Error error = error_of([&] { store.set_many({{"a", "1"}, {"b", "2"}}); });
  EXPECT_EQ(error.code(), Code::InvalidValue);
  EXPECT_STREQ(error.what(), "PostgreSQL: as the test asked");
}

/// One exchange of two transactions that fail in different ways: what may have happened is not run again.
TEST_F(PostgresBatchRunner, R59_WhatNobodyKnowsOutweighsWhatDidNotHappen) {
  const Target target = Target::parse(url()).value();
  postgres::Route route(target);
  postgres::PreparePolicy policy(PrepareMode::automatic);
  auto connection = postgres::Connection::open(
      {.route = route, .settings = {.synchronous_commit = true, .statement_timeout_ms = 5000}, .policy = policy},
      os::deadline_in(Caller::kTimeoutMs));
  ASSERT_TRUE(connection.ok());
  const auto exchange = [&](const std::vector<std::string>& sqlstates) {
    for (const std::string& sqlstate : sqlstates) {
      connection.value()->add_text("do $$ begin raise exception 'as asked' using errcode = '" + sqlstate + "'; end $$");
      connection.value()->end_transaction();
    }
    return connection.value()->exchange(os::deadline_in(Caller::kTimeoutMs));
  };
  EXPECT_EQ(exchange({"40001", "22000"}).failure().sqlstate, "40001");
  EXPECT_EQ(exchange({"40001", "40003"}).failure().sqlstate, "40003");
  EXPECT_EQ(exchange({"40003", "40001"}).failure().outcome, Outcome::unknown);
}

/// A pooler that loses its server can say so in the server's words, and cannot know what that had done.
TEST_F(PostgresBatchRunner, R59_AnErrorThatEndsTheSessionIsCertainOnlyWhereNothingCanHaveHappened) {
  FaultProxy proxy(shared().server());
  const Store store = Store::open(proxy.address().url(database()) + "&sslmode=disable&ttl_mode=manual&retries=0");
  sql().run("create table raises (sqlstate text); insert into raises values ('');");
  raise_on("insert",
           "if (select sqlstate from raises) <> '' then raise exception 'as asked' using errcode = (select sqlstate "
           "from raises); end if");
  const auto failure_with = [&](const char* sqlstate, bool fatal) {
    sql().run("update raises set sqlstate = '" + std::string(sqlstate) + "'");
    proxy.set_behaviour({.makes_errors_fatal = fatal});
    return error_of([&] { store.set("k", "v"); });
  };
  for (const char* sqlstate : {"08006", "08003", "58000", "XX000", "53200", "57P04"}) {
    EXPECT_EQ(failure_with(sqlstate, false).outcome(), Outcome::not_applied) << sqlstate;
    EXPECT_EQ(failure_with(sqlstate, true).outcome(), Outcome::unknown) << sqlstate;
  }
  for (const char* sqlstate : {"53300", "57P03", "28000", "25P03", "25P04"}) {
    EXPECT_EQ(failure_with(sqlstate, true).outcome(), Outcome::not_applied) << sqlstate;
  }
  EXPECT_EQ(failure_with("25P04", true).code(), Code::Timeout);
}

}  // namespace
}  // namespace tuskv::test
