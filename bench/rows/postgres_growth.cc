// A cached plan made for a table of 20 rows must be good when it has grown. Two stores on the table, one opened when it
// was young and used in every way, one opened afterwards, make the same calls.
#include "bench/rows/postgres_entrants.h"
#include "bench/rows/postgres_rows.h"
#include "bench/throughput.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

constexpr std::uint64_t kYoungEntries = 20;
constexpr std::size_t kManyKeys = 64;

/// Every shape of statement once.
void call_in_every_way(const Store& store, KeyWriter& keys, const ValueSource& values, Random& random,
                       std::uint64_t entries) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kManyKeys; ++i) names.emplace_back(keys.key(random.below(entries)));
  const std::string& name = names.front();
  const std::string_view value = values.value(random.next());
  store.set(name, value);
  keep(store.get(name));
  keep(store.get_many(names));
  keep(store.set_if_absent(name, value));
  keep(store.compare_and_swap(name, Bytes(value), value));
  keep(store.get_and_set(name, value));
  store.set_many({{.key = names[1], .value = value}, {.key = names[2], .value = value}});
  store.increment("counter");
  keep(store.erase("absent"));
  keep(store.expire("absent", std::chrono::hours(1)));
  keep(store.scan({.after = name, .limit = 10}));
}

double run_turn(const Store& store, std::uint64_t entries, std::chrono::nanoseconds duration, std::uint64_t seed) {
  Random random(seed);
  KeyWriter keys(Dataset().key_bytes);
  const ValueSource values(Dataset().value_bytes, 1);
  std::vector<Worker> workers = {[&](std::uint64_t calls) {
    for (std::uint64_t i = 0; i < calls; ++i) call_in_every_way(store, keys, values, random, entries);
  }};
  return 1e6 / throughput(workers, duration, 1);
}

}  // namespace

void run_pg_growth(Bench& bench) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  const SubjectOptions table = table_options(*server, "grows", false);
  const auto open = [&] {
    return Store::open(server->url(), {.durability = Durability::unlogged, .table = table.table, .pool_size = 1});
  };
  bench.open(SubjectKind::tuskv_postgres, table)->load({.entries = kYoungEntries});
  const Store young = open();
  run_turn(young, kYoungEntries, scale.round, 1);
  bench.open(SubjectKind::tuskv_postgres, table)->load({.entries = scale.entries_grown});
  const Store grown = open();
  const auto turn = [&scale](const Store& store) {
    return [&scale, &store](std::uint64_t seed) { return run_turn(store, scale.entries_grown, scale.round, seed); };
  };
  constexpr const char* kYoung = "prepared on 20 rows";
  constexpr const char* kGrown = "prepared afterwards";
  const std::vector<Contestant> contestants = {{.name = kYoung, .round = turn(young)},
                                               {.name = kGrown, .round = turn(grown)}};
  Measurement result = {
      .row = "pg_growth",
      .title = "PostgreSQL, 11 calls of every kind on " + std::to_string(scale.entries_grown / 1000) + " k rows",
      .unit = "us",
      .series = interleave_writes(bench, *server, contestants, scale.rounds_long)};
  result.compare(kYoung, kGrown, Goal{.factor = 1.1, .better = Better::less});
  bench.add(std::move(result));
  young.close();
  grown.close();
}

}  // namespace tuskv::bench
