// Many entries in one call, beside one statement of libpq's with the same arrays.
#include <algorithm>

#include "bench/rows/postgres_entrants.h"
#include "bench/rows/postgres_rows.h"
#include "bench/subjects/libpq.h"
#include "bench/subjects/peer_program.h"
#include "bench/throughput.h"
#include "postgres/parameters.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

/// The entries of one call. Their keys follow each other from a random one, so that none is named twice.
class Entries final {
 public:
  Entries(const Dataset& data, std::size_t count) : data_(data), values_(data.value_bytes, 1), keys_(count) {}

  void pick(Random& random) {
    const std::uint64_t first = random.below(data_.entries);
    KeyWriter writer(data_.key_bytes);
    for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = writer.key((first + i) % data_.entries);
  }
  std::vector<Item> items() const {
    std::vector<Item> items;
    items.reserve(keys_.size());
    for (std::size_t i = 0; i < keys_.size(); ++i) items.push_back({.key = keys_[i], .value = values_.value(i)});
    return items;
  }
  /// The parameters of the statement, in the order of the keys, which is that of all who write.
  postgres::Parameters arrays() {
    std::sort(keys_.begin(), keys_.end());
    postgres::Parameters parameters;
    parameters.begin_array(postgres::kBytea, keys_.size());
    RowKey row_key;
    for (const std::string& key : keys_) {
      const LibpqParameter as_stored = row_key(key);
      parameters.element({as_stored.data, as_stored.size});
    }
    parameters.end_array();
    parameters.begin_array(postgres::kBytea, keys_.size());
    for (std::size_t i = 0; i < keys_.size(); ++i) parameters.element(values_.value(i));
    parameters.end_array();
    parameters.begin_array(postgres::kInt8, keys_.size());
    for (std::size_t i = 0; i < keys_.size(); ++i) parameters.element_null();
    parameters.end_array();
    parameters.add_null();
    return parameters;
  }

 private:
  const Dataset data_;
  const ValueSource values_;
  std::vector<std::string> keys_;
};

/// Entries a second, of one caller.
double run_turn(const Dataset& data, std::size_t count, std::chrono::nanoseconds duration, std::uint64_t seed,
                const std::function<void(Entries&)>& set) {
  Random random(seed);
  Entries entries(data, count);
  std::vector<Worker> workers = {[&](std::uint64_t calls) {
    for (std::uint64_t i = 0; i < calls; ++i) {
      entries.pick(random);
      set(entries);
    }
  }};
  return throughput(workers, duration, 1) * static_cast<double>(count);
}

}  // namespace

void run_pg_set_many(Bench& bench) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  const Dataset data = {.entries = scale.entries_server};
  for (const char* table : {"tuskv", "raw"}) {
    bench.open(SubjectKind::tuskv_postgres, table_options(*server, table, false))->load(data);
  }
  const Store store = Store::open(server->url(), {.durability = Durability::unlogged, .table = "tuskv"});
  const postgres::Statements statements = libpq_statements("raw");
  LibpqConnection connection(server->url(), false);
  connection.prepare(statements.set_many);
  const auto set_by_libpq = [&](Entries& entries) {
    const postgres::Parameters parameters = entries.arrays();
    std::array<const char*, postgres::kParametersMax> pointers = {};
    std::array<int, postgres::kParametersMax> lengths = {};
    parameters.point(pointers, lengths);
    std::array<LibpqParameter, 4> arrays;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      arrays[i] = {.data = pointers[i], .size = static_cast<std::size_t>(lengths[i])};
    }
    connection.run(statements.set_many, arrays);
  };
  const std::unique_ptr<Subject> pgkv = bench.open(SubjectKind::pgkv, table_options(*server, "pgkv", false));
  if (pgkv != nullptr) pgkv->load(data);
  server->vacuum();
  for (const std::size_t count : {10, 100, 1000}) {
    std::vector<Contestant> contestants = {
        {.name = kTuskv,
         .round =
             [&, count](std::uint64_t seed) {
               return run_turn(data, count, scale.round, seed,
                               [&](Entries& entries) { store.set_many(entries.items()); });
             }},
        {.name = kLibpq,
         .round = [&, count](std::uint64_t seed) { return run_turn(data, count, scale.round, seed, set_by_libpq); }}};
    if (pgkv != nullptr) {
      contestants.push_back({.name = kPgkv, .round = [&, count](std::uint64_t seed) {
                               return dynamic_cast<PeerProgram&>(*pgkv).run_set_many(data, count, scale.round, seed);
                             }});
    }
    Measurement result = {.row = "pg_set_many",
                          .title = "PostgreSQL set_many (unlogged) of " + std::to_string(count) + ", 1 caller",
                          .unit = "entries/s",
                          .series = interleave_writes(bench, *server, contestants, scale.rounds_long)};
    result.compare(kTuskv, kLibpq, std::nullopt);
    result.compare(kTuskv, kPgkv, count == 1000 ? std::optional(Goal{.factor = 6}) : std::nullopt);
    bench.add(std::move(result));
  }
  store.close();
}

}  // namespace tuskv::bench
