// One hot counter: what batching does for a single row, which single statements can only lock one after the other.
#include "bench/rows/postgres_entrants.h"
#include "bench/rows/postgres_rows.h"
#include "bench/subjects/libpq.h"
#include "bench/throughput.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

constexpr std::size_t kCallers = 64;
constexpr const char* kCounter = "counter";

class SingleStatements final {
 public:
  SingleStatements(const PostgresServer& server, const std::string& table) : statements_(libpq_statements(table)) {
    for (std::size_t i = 0; i < kCallers; ++i) {
      connections_.push_back(std::make_unique<LibpqConnection>(server.url(), false));
      connections_.back()->prepare(statements_.increment);
    }
  }

  double run(std::chrono::nanoseconds duration) {
    std::vector<Worker> workers;
    for (const auto& connection : connections_) {
      workers.emplace_back([this, &connection](std::uint64_t calls) {
        for (std::uint64_t i = 0; i < calls; ++i) increment(*connection);
      });
    }
    return throughput(workers, duration, 1);
  }

 private:
  void increment(LibpqConnection& connection) const {
    constexpr std::array<char, 8> kOne = {0, 0, 0, 0, 0, 0, 0, 1};
    const std::array<LibpqParameter, 3> parameters = {
        {{kCounter, std::char_traits<char>::length(kCounter)}, {kOne.data(), kOne.size()}, {}}};
    connection.run(statements_.increment, parameters);
  }

  const postgres::Statements statements_;
  std::vector<std::unique_ptr<LibpqConnection>> connections_;
};

double increment_by_tuskv(const Store& store, std::chrono::nanoseconds duration) {
  std::vector<Worker> workers(kCallers, [&store](std::uint64_t calls) {
    for (std::uint64_t i = 0; i < calls; ++i) store.increment(kCounter);
  });
  return throughput(workers, duration, 1);
}

}  // namespace

void run_pg_counter(Bench& bench) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  const auto open = [&](const std::string& table) {
    return Store::open(server->url(), {.durability = Durability::unlogged, .table = table});
  };
  const Store store = open("tuskv");
  open("single").close();
  SingleStatements single(*server, "single");
  const std::vector<Contestant> contestants = {
      {.name = kTuskv, .round = [&](std::uint64_t) { return increment_by_tuskv(store, scale.round); }},
      {.name = "single statements", .round = [&](std::uint64_t) { return single.run(scale.round); }}};
  Measurement result = {.row = "pg_counter",
                        .title = "PostgreSQL increment (unlogged) of one counter, " + callers_text(kCallers),
                        .unit = "calls/s",
                        .series = interleave_writes(bench, *server, contestants, scale.rounds)};
  result.compare(kTuskv, "single statements", Goal{.factor = 8});
  bench.add(std::move(result));
  store.close();
}

}  // namespace tuskv::bench
