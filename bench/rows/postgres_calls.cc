// Single calls: get and set by few and by many callers.
#include <optional>

#include "bench/rows/postgres_entrants.h"
#include "bench/rows/postgres_rows.h"

namespace tuskv::bench {
namespace {

/// What is promised for 64 callers and more.
struct ManyGoals {
  std::optional<Goal> libpq = {};
  std::optional<Goal> redis = {};
  std::optional<Goal> pgkv = {};
};

constexpr std::size_t kCallers[] = {1, 4, 10, 32, 64, 128};
constexpr std::size_t kFewCallersMax = 10;
constexpr std::size_t kManyCallersMin = 64;

Measurement measure(PostgresEntrants& entrants, const Work& work, std::size_t rounds, const ManyGoals& many) {
  Measurement result = {.unit = "calls/s", .series = entrants.run(work, rounds)};
  if (work.threads == 1) {
    result.unit = "us a call";
    for (Series& series : result.series) {
      for (double& value : series.values) value = 1e6 / value;
    }
    result.compare(kTuskv, kLibpq, Goal{.factor = 1.05, .better = Better::less});
    result.compare(kTuskv, kRedis, std::nullopt);
    return result;
  }
  const bool is_few = work.threads <= kFewCallersMax;
  const bool is_many = work.threads >= kManyCallersMin;
  result.compare(kTuskv, kLibpq, is_few ? std::optional(Goal{.factor = 1}) : is_many ? many.libpq : std::nullopt);
  result.compare(kTuskv, kRedis, is_many ? many.redis : std::nullopt);
  result.compare(kTuskv, kPgkv, many.pgkv);
  return result;
}

struct CallsRow {
  const char* row = "";
  const char* what = "";
  Work::Kind kind = Work::Kind::get;
  bool sync = false;
  ManyGoals many = {};
};

void run_calls(Bench& bench, const CallsRow& row) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  PostgresEntrants entrants{
      .bench = bench, .server = *server, .data = {.entries = scale.entries_server}, .sync = row.sync};
  entrants.add(kTuskv, SubjectKind::tuskv_postgres);
  entrants.add(kLibpq, SubjectKind::libpq);
  if (!row.sync) entrants.add(kRedis, SubjectKind::redis);
  for (const std::size_t callers : kCallers) {
    // Nothing is promised against it for fewer, and it would lengthen every round.
    if (callers == kManyCallersMin) entrants.add(kPgkv, SubjectKind::pgkv);
    const Work work = {.kind = row.kind,
                       .data = entrants.data,
                       .threads = callers,
                       .duration = row.sync ? scale.round_durable : scale.round,
                       .calls_per_look = 1};
    const std::size_t rounds = callers <= kFewCallersMax ? scale.rounds_few
                               : row.sync                ? scale.rounds_long
                                                         : scale.rounds;
    Measurement result = measure(entrants, work, rounds, row.many);
    result.row = row.row;
    result.title = std::string(row.what) + ", " + callers_text(callers);
    if (row.sync && callers == 1) result.notes.push_back("the server's files are on " + server->file_system());
    bench.add(std::move(result));
  }
}

}  // namespace

void run_pg_get(Bench& bench) {
  run_calls(bench, {.row = "pg_get",
                    .what = "PostgreSQL get",
                    .many = {.libpq = Goal{.factor = 3}, .redis = Goal{.factor = 1.8}, .pgkv = Goal{.factor = 8}}});
}

void run_pg_set(Bench& bench) {
  run_calls(bench, {.row = "pg_set",
                    .what = "PostgreSQL set (unlogged)",
                    .kind = Work::Kind::set,
                    .many = {.libpq = Goal{.factor = 2.7}, .redis = Goal{.factor = 1.3}, .pgkv = Goal{.factor = 5}}});
}

void run_pg_set_durable(Bench& bench) {
  run_calls(bench, {.row = "pg_set_durable",
                    .what = "PostgreSQL set (durable)",
                    .kind = Work::Kind::set,
                    .sync = true,
                    .many = {.pgkv = Goal{.factor = 4}}});
}

void run_pg_mixed(Bench& bench) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  PostgresEntrants entrants{.bench = bench, .server = *server, .data = {.entries = scale.entries_server}};
  entrants.add(kTuskv, SubjectKind::tuskv_postgres);
  entrants.add(kLibpq, SubjectKind::libpq);
  entrants.add(kRedis, SubjectKind::redis);
  constexpr std::size_t kMixedCallers = 64;
  const Work work = {.kind = Work::Kind::mixed,
                     .data = entrants.data,
                     .threads = kMixedCallers,
                     .duration = scale.round,
                     .calls_per_look = 1};
  Measurement result = {.row = "pg_mixed",
                        .title = "PostgreSQL, four gets for each set (unlogged), " + callers_text(kMixedCallers),
                        .unit = "calls/s",
                        .series = entrants.run(work, scale.rounds)};
  result.compare(kTuskv, kLibpq, std::nullopt);
  result.compare(kTuskv, kRedis, std::nullopt);
  bench.add(std::move(result));
}

void run_pg_large_values(Bench& bench) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  constexpr std::size_t kLargeValueBytes = std::size_t{64} << 10;
  PostgresEntrants entrants{.bench = bench,
                            .server = *server,
                            .data = {.entries = scale.entries_server / 100, .value_bytes = kLargeValueBytes}};
  entrants.add(kTuskv, SubjectKind::tuskv_postgres);
  entrants.add(kLibpq, SubjectKind::libpq);
  entrants.add(kRedis, SubjectKind::redis);
  constexpr std::size_t kLargeValueCallers = 10;
  for (const Work::Kind kind : {Work::Kind::get, Work::Kind::set}) {
    const Work work = {.kind = kind,
                       .data = entrants.data,
                       .threads = kLargeValueCallers,
                       .duration = scale.round,
                       .calls_per_look = 1};
    Measurement result = {.row = "pg_large_values",
                          .title = std::string("PostgreSQL ") + (kind == Work::Kind::get ? "get" : "set (unlogged)") +
                                   ", values of 64 KiB, " + callers_text(kLargeValueCallers),
                          .unit = "calls/s",
                          .series = entrants.run(work, scale.rounds_long)};
    result.compare(kTuskv, kLibpq, std::nullopt);
    result.compare(kTuskv, kRedis, std::nullopt);
    bench.add(std::move(result));
  }
}

void run_pg_key_length(Bench& bench) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  constexpr std::size_t kKeyLengthCallers = 64;
  std::vector<Entrant> entrants;
  std::vector<Contestant> contestants;
  for (const std::size_t key_bytes : {16, 64, 256, 1000}) {
    const Dataset data = {.entries = scale.entries_server, .key_bytes = key_bytes};
    const std::string name = std::to_string(key_bytes) + " B";
    add_entrant(bench, entrants, name, SubjectKind::tuskv_postgres,
                table_options(*server, "keys_" + std::to_string(key_bytes), false), data);
    contestants.push_back(
        {.name = name, .round = [&scale, data, subject = entrants.back().subject.get()](std::uint64_t seed) {
           return subject->run({.data = data,
                                .threads = kKeyLengthCallers,
                                .duration = scale.round,
                                .seed = seed,
                                .calls_per_look = 1});
         }});
  }
  server->vacuum();
  Measurement result = {.row = "pg_key_length",
                        .title = "PostgreSQL get by length of the key, " + callers_text(kKeyLengthCallers),
                        .unit = "calls/s",
                        .series = bench.interleave(contestants, bench.rounds(scale.rounds_long))};
  result.compare("64 B", "16 B", std::nullopt);
  result.compare("1000 B", "16 B", std::nullopt);
  bench.add(std::move(result));
}

}  // namespace tuskv::bench
