#include <chrono>

#include "bench/rows/rows.h"
#include "bench/throughput.h"

namespace tuskv::bench {
namespace {

/// Opens an empty subject and creates every entry by single calls on one thread; entries a second.
double create(Bench& bench, SubjectKind kind, const std::string& name) {
  const std::uint64_t entries = bench.scale().entries;
  const std::string directory = bench.fresh_directory(name);
  const std::unique_ptr<Subject> subject = bench.open(kind, {.directory = directory});
  double seconds = 0;
  {
    const std::unique_ptr<Session> session = dynamic_cast<LocalSubject&>(*subject).session();
    KeyWriter keys(Dataset().key_bytes);
    const ValueSource values(Dataset().value_bytes, 1);
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t n = 0; n < entries; ++n) session->set(keys.key(n), values.value(n));
    seconds = seconds_since(start);
  }
  return static_cast<double>(entries) / seconds;
}

}  // namespace

void run_create(Bench& bench) {
  struct Listed {
    SubjectKind kind;
    std::string name;
  };
  std::vector<Contestant> contestants;
  for (const Listed& listed : {Listed{SubjectKind::tuskv, "tuskv"}, Listed{SubjectKind::tuskv_memory, "tuskv memory:"},
                               Listed{SubjectKind::rocksdb, "RocksDB"}}) {
    if (bench.open(listed.kind, {.directory = bench.fresh_directory("create")}) == nullptr) continue;
    contestants.push_back({.name = listed.name, .round = [&bench, kind = listed.kind](std::uint64_t) {
                             return create(bench, kind, "create");
                           }});
  }
  Measurement result = {.row = "create",
                        .title = "create " + std::to_string(bench.scale().entries) + " new keys (relaxed), 1 thread",
                        .unit = "calls/s",
                        .series = bench.interleave(contestants, bench.rounds(bench.scale().rounds_long))};
  result.compare("tuskv", "RocksDB", std::nullopt);
  result.compare("tuskv", "tuskv memory:", std::nullopt);
  bench.add(std::move(result));
}

}  // namespace tuskv::bench
