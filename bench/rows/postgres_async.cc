// 256 calls in flight by a program that does not wait for each: tuskv's asynchronous store, beside a pipeline of libpq
// on one connection, with a Sync behind each statement (each a transaction of its own, as at tuskv) or one behind all
// of them (one transaction).
#include <poll.h>

#include <exception>
#include <latch>
#include <stdexcept>

#include "bench/rows/postgres_entrants.h"
#include "bench/rows/postgres_rows.h"
#include "bench/subjects/libpq.h"
#include "bench/throughput.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kInFlight = 256;

/// The end of a turn: calls start until the deadline.
struct Turn {
  Work::Kind kind;
  Dataset data;
  const ValueSource& values;
  Clock::time_point deadline;
};

/// One of the calls in flight; when it ends, the next one starts.
class Chain final {
 public:
  Chain(AsyncStore store, const Turn& turn, std::latch& ended, std::uint64_t seed)
      : store_(std::move(store)), turn_(turn), ended_(ended), random_(seed), keys_(turn.data.key_bytes) {}

  void start() {
    const std::uint64_t picked = random_.next();
    const std::string_view key = keys_.key(picked % turn_.data.entries);
    if (turn_.kind == Work::Kind::get) {
      store_.get(key).then([this](std::exception_ptr failure, std::optional<std::string> value) {
        if (!failure && !value) failure = std::make_exception_ptr(std::runtime_error("a loaded key is missing"));
        end(std::move(failure));
      });
    } else {
      store_.set(key, turn_.values.value(picked)).then([this](std::exception_ptr failure) { end(std::move(failure)); });
    }
  }
  std::uint64_t calls() const {
    if (failure_) std::rethrow_exception(failure_);
    return calls_;
  }

 private:
  void end(std::exception_ptr failure) {
    failure_ = std::move(failure);
    ++calls_;
    if (failure_ || Clock::now() >= turn_.deadline) return ended_.count_down();
    start();
  }

  AsyncStore store_;
  const Turn& turn_;
  std::latch& ended_;
  Random random_;
  KeyWriter keys_;
  std::uint64_t calls_ = 0;
  std::exception_ptr failure_;
};

double run_tuskv(const Store& store, const Turn& turn, std::uint64_t seed) {
  const auto start = Clock::now();
  std::latch ended(kInFlight);
  std::vector<std::unique_ptr<Chain>> chains;
  for (std::size_t i = 0; i < kInFlight; ++i) {
    chains.push_back(std::make_unique<Chain>(store.async(), turn, ended, mix(seed) + i));
  }
  for (const auto& chain : chains) chain->start();
  ended.wait();
  const double seconds = seconds_since(start);
  std::uint64_t calls = 0;
  for (const auto& chain : chains) calls += chain->calls();
  return static_cast<double>(calls) / seconds;
}

class Pipeline final {
 public:
  Pipeline(const PostgresServer& server, const std::string& table)
      : connection_(server.url(), false), statements_(libpq_statements(table)) {
    connection_.prepare(statements_.read_value);
    connection_.prepare(statements_.set_one);
    if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) != 1) {
      throw std::runtime_error("libpq refuses its pipeline mode");
    }
  }

  /// Sends the next call whenever one has ended.
  double run_synced_each(const Turn& turn, std::uint64_t seed) {
    Caller caller(turn, seed);
    const auto start = Clock::now();
    std::uint64_t calls = 0;
    std::size_t in_flight = 0;
    for (bool goes_on = true; goes_on || in_flight > 0;) {
      goes_on = goes_on && Clock::now() < turn.deadline;
      for (; goes_on && in_flight < kInFlight; ++in_flight) {
        send(caller);
        PQpipelineSync(connection_.get());
      }
      const std::size_t ended = receive();
      in_flight -= ended;
      calls += ended;
    }
    return static_cast<double>(calls) / seconds_since(start);
  }

  /// Sends the next 256 calls when all have ended.
  double run_synced_once(const Turn& turn, std::uint64_t seed) {
    Caller caller(turn, seed);
    const auto start = Clock::now();
    std::uint64_t calls = 0;
    while (Clock::now() < turn.deadline) {
      for (std::size_t i = 0; i < kInFlight; ++i) send(caller);
      PQpipelineSync(connection_.get());
      while (receive() == 0) {
      }
      calls += kInFlight;
    }
    return static_cast<double>(calls) / seconds_since(start);
  }

 private:
  struct Caller {
    Caller(const Turn& its_turn, std::uint64_t seed) : turn(its_turn), random(seed), keys(its_turn.data.key_bytes) {}
    const Turn& turn;
    Random random;
    KeyWriter keys;
  };

  void send(Caller& caller) {
    const std::uint64_t picked = caller.random.next();
    const LibpqParameter key = row_key_(caller.keys.key(picked % caller.turn.data.entries));
    if (caller.turn.kind == Work::Kind::get) {
      connection_.send(statements_.read_value, std::array<LibpqParameter, 1>{{key}});
    } else {
      const std::string_view value = caller.turn.values.value(picked);
      connection_.send(statements_.set_one, std::array<LibpqParameter, 3>{{key, {value.data(), value.size()}, {}}});
    }
  }

  /// Waits for answers and takes what has come; returns how many were those of a Sync.
  std::size_t receive() {
    PGconn* const session = connection_.get();
    const int unsent = PQflush(session);
    if (unsent < 0) throw std::runtime_error(PQerrorMessage(session));
    if (PQisBusy(session) != 0) {
      pollfd waited{
          .fd = PQsocket(session), .events = static_cast<short>(POLLIN | (unsent > 0 ? POLLOUT : 0)), .revents = 0};
      ::poll(&waited, 1, -1);
      if (PQconsumeInput(session) != 1) throw std::runtime_error(PQerrorMessage(session));
    }
    std::size_t synced = 0;
    for (int nulls = 0; nulls < 2 && PQisBusy(session) == 0;) {
      const LibpqResult result(PQgetResult(session));
      // A null ends the results of a statement; two in a row, that nothing is under way.
      nulls = result ? 0 : nulls + 1;
      if (!result) continue;
      connection_.check(result.get());
      synced += PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC ? 1 : 0;
    }
    return synced;
  }

  LibpqConnection connection_;
  const postgres::Statements statements_;
  RowKey row_key_;
};

}  // namespace

void run_pg_async(Bench& bench) {
  PostgresServer* const server = bench.postgres();
  if (server == nullptr) return;
  const Scale& scale = bench.scale();
  const Dataset data = {.entries = scale.entries_server};
  for (const char* table : {"tuskv", "raw"}) {
    bench.open(SubjectKind::tuskv_postgres, table_options(*server, table, false))->load(data);
  }
  server->vacuum();
  const Store store = Store::open(server->url(), {.durability = Durability::unlogged, .table = "tuskv"});
  Pipeline pipeline(*server, "raw");
  constexpr const char* kEach = "libpq's pipeline, a Sync each";
  constexpr const char* kOnce = "libpq's pipeline, one Sync";
  for (const Work::Kind kind : {Work::Kind::get, Work::Kind::set}) {
    const ValueSource values(data.value_bytes, 1);
    const auto turn = [&] {
      return Turn{.kind = kind, .data = data, .values = values, .deadline = Clock::now() + scale.round};
    };
    const std::vector<Contestant> contestants = {
        {.name = kTuskv, .round = [&](std::uint64_t seed) { return run_tuskv(store, turn(), seed); }},
        {.name = kEach, .round = [&](std::uint64_t seed) { return pipeline.run_synced_each(turn(), seed); }},
        {.name = kOnce, .round = [&](std::uint64_t seed) { return pipeline.run_synced_once(turn(), seed); }}};
    Measurement result = {.row = "pg_async",
                          .title = std::string("PostgreSQL ") + (kind == Work::Kind::get ? "get" : "set (unlogged)") +
                                   ", asynchronous, 256 in flight",
                          .unit = "calls/s",
                          .series = interleave_writes(bench, *server, contestants, scale.rounds)};
    result.compare(kTuskv, kEach, Goal{.factor = 3});
    result.compare(kTuskv, kOnce, Goal{.factor = 1.7});
    bench.add(std::move(result));
  }
  store.close();
}

}  // namespace tuskv::bench
