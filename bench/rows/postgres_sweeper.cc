// Calls beside the sweeper. A table holds a million expired entries behind those that are read and written; the sweeper
// works in slices, and between them it rests, so that calls with it and without it are met at the same moments.
#include <algorithm>
#include <atomic>
#include <thread>

#include "bench/rows/postgres_entrants.h"
#include "bench/rows/postgres_rows.h"
#include "bench/throughput.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kCallers = 4;
constexpr const char* kTable = "swept";
constexpr std::size_t kSlicesMax = 200;

void add_expired(PostgresServer& server, std::uint64_t entries) {
  server.run(
      "insert into " + std::string(kTable) +
      "(key, value, expires_at, expires_bucket, created_at, updated_at, version) "
      "select '\\x00'::bytea || convert_to('expired:' || i, 'UTF8'), decode(repeat(md5(i::text), 8), 'hex'), at, "
      "(extract(epoch from at)::int8 >> 8)::int4 + 1, at, at, i "
      "from (select i, now() - interval '1 hour' - i * interval '10 ms' as at from generate_series(1, " +
      std::to_string(entries) + ") i) e");
  server.vacuum();
}

std::uint64_t expired(PostgresServer& server) {
  return std::stoull(server.value("select count(*) from " + std::string(kTable) + " where expires_at <= now()"));
}

double p99(std::vector<float>& microseconds) {
  if (microseconds.empty()) return 0;
  const auto at = microseconds.begin() + static_cast<std::ptrdiff_t>(microseconds.size() * 99 / 100);
  std::nth_element(microseconds.begin(), at, microseconds.end());
  return double{*at};
}

struct Latencies {
  std::vector<float> gets = {};
  std::vector<float> sets = {};
};

void call_until(const Store& store, const Dataset& data, Clock::time_point deadline, std::uint64_t seed,
                Latencies& latencies) {
  Random random(seed);
  KeyWriter keys(data.key_bytes);
  const ValueSource values(data.value_bytes, seed);
  std::string value;
  for (auto start = Clock::now(); start < deadline;) {
    const bool is_get = random.below(2) == 0;
    const std::string_view key = keys.key(random.below(data.entries));
    start = Clock::now();
    if (is_get) {
      store.get_into(key, value);
    } else {
      store.set(key, values.value(random.next()));
    }
    const float taken = std::chrono::duration<float, std::micro>(Clock::now() - start).count();
    (is_get ? latencies.gets : latencies.sets).push_back(taken);
  }
}

/// Everybody's latencies in a slice of time.
Latencies call_for(const Store& store, const Dataset& data, std::chrono::nanoseconds duration, std::uint64_t seed) {
  std::vector<Latencies> of_callers(kCallers);
  const auto deadline = Clock::now() + duration;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kCallers; ++i) {
      threads.emplace_back([&, i] { call_until(store, data, deadline, mix(seed) + i, of_callers[i]); });
    }
  }
  Latencies all;
  for (const Latencies& each : of_callers) {
    all.gets.insert(all.gets.end(), each.gets.begin(), each.gets.end());
    all.sets.insert(all.sets.end(), each.sets.begin(), each.sets.end());
  }
  return all;
}

}  // namespace

void run_pg_sweeper(Bench& bench) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  const Dataset data = {.entries = scale.entries_server};
  bench.open(SubjectKind::tuskv_postgres, table_options(*server, kTable, false))->load(data);
  const Store store =
      Store::open(server->url(), {.durability = Durability::unlogged, .ttl_mode = TtlMode::manual, .table = kTable});
  add_expired(*server, scale.entries_expired);
  call_for(store, data, scale.round, 1);
  Measurement result = {
      .row = "pg_sweeper",
      .title = "PostgreSQL calls (unlogged) beside the sweeper, " + callers_text(kCallers),
      .unit = "us",
      .series = {
          {.name = "get p99, sweeping"}, {.name = "get p99"}, {.name = "set p99, sweeping"}, {.name = "set p99"}}};
  double swept_for = 0;
  for (std::size_t slice = 0; expired(*server) > 0; ++slice) {
    if (slice == kSlicesMax) throw std::runtime_error("the sweeper does not come to an end");
    for (const bool sweeps : {slice % 2 == 0, slice % 2 != 0}) {
      const auto start = Clock::now();
      if (sweeps) store.start_sweeper({.interval = std::chrono::milliseconds(1)});
      Latencies found = call_for(store, data, scale.sweep_slice, slice);
      store.stop_sweeper();
      if (sweeps) swept_for += seconds_since(start);
      result.series[sweeps ? 0 : 1].values.push_back(p99(found.gets));
      result.series[sweeps ? 2 : 3].values.push_back(p99(found.sets));
    }
  }
  result.compare("get p99, sweeping", "get p99", std::nullopt);
  result.compare("set p99, sweeping", "set p99", std::nullopt);
  result.notes.push_back("all " + std::to_string(store.stats().swept) + " expired entries were gone after " +
                         std::to_string(static_cast<int>(swept_for + 0.5)) + " s of sweeping, in batches of 1000");
  bench.add(std::move(result));
  store.close();
}

}  // namespace tuskv::bench
