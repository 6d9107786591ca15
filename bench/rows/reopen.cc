#include <chrono>
#include <stdexcept>

#include "bench/rows/rows.h"
#include "bench/throughput.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

/// A closed directory of tuskv: everything in one snapshot, or everything in the log.
std::string prepare_tuskv(Bench& bench, const std::string& name, bool snapshot) {
  const std::string directory = bench.fresh_directory(name);
  const Dataset data = {.entries = bench.scale().entries};
  KeyWriter keys(data.key_bytes);
  const ValueSource values(data.value_bytes, 1);
  const Store store = Store::open(
      "file:" + directory,
      {.durability = Durability::relaxed, .snapshot_log_bytes_min = std::size_t{1} << 40, .keep_snapshots = 0});
  for (std::uint64_t n = 0; n < data.entries; ++n) store.set(keys.key(n), values.value(n));
  if (snapshot) store.snapshot();
  const bool in_log = store.snapshots().empty();
  store.close();
  if (in_log == snapshot) throw std::runtime_error("the directory is not what the row wants");
  return directory;
}

std::string prepare_peer(Bench& bench, SubjectKind kind, const std::string& name) {
  const std::string directory = bench.fresh_directory(name);
  const std::unique_ptr<Subject> subject = bench.open(kind, {.directory = directory});
  if (subject == nullptr) return {};
  subject->load({.entries = bench.scale().entries});
  bench.settle();
  return directory;
}

/// Seconds until every entry has been read.
double reopen(SubjectKind kind, const std::string& directory, std::uint64_t entries) {
  const auto start = std::chrono::steady_clock::now();
  const std::unique_ptr<Subject> subject = make_subject(kind, {.directory = directory});
  const std::uint64_t found = subject->read_all();
  const double seconds = seconds_since(start);
  if (found != entries) throw std::runtime_error("reopened with " + std::to_string(found) + " entries");
  return seconds;
}

}  // namespace

void run_reopen(Bench& bench) {
  struct Listed {
    SubjectKind kind;
    std::string name;
    std::string directory;
  };
  const Listed all[] = {
      {SubjectKind::tuskv, "tuskv, from a snapshot", prepare_tuskv(bench, "reopen_snapshot", true)},
      {SubjectKind::tuskv, "tuskv, from the log alone", prepare_tuskv(bench, "reopen_log", false)},
      {SubjectKind::rocksdb, "RocksDB, open and scan", prepare_peer(bench, SubjectKind::rocksdb, "reopen_rocksdb")},
      {SubjectKind::persistent_kv, "persistent-kv, from its log",
       prepare_peer(bench, SubjectKind::persistent_kv, "reopen_persistent_kv")}};
  std::vector<Contestant> contestants;
  for (const Listed& listed : all) {
    if (listed.directory.empty()) continue;
    contestants.push_back({.name = listed.name, .round = [&listed, &bench](std::uint64_t) {
                             return reopen(listed.kind, listed.directory, bench.scale().entries);
                           }});
  }
  Measurement result = {.row = "reopen",
                        .title = "reopen " + std::to_string(bench.scale().entries) + " entries",
                        .unit = "s",
                        .series = bench.interleave(contestants, bench.rounds(bench.scale().rounds))};
  result.compare_inverse("tuskv, from a snapshot", "RocksDB, open and scan", Goal{.factor = 1.5});
  result.compare_inverse("tuskv, from the log alone", "RocksDB, open and scan", Goal{.factor = 0.6});
  result.compare_inverse("tuskv, from the log alone", "persistent-kv, from its log", std::nullopt);
  bench.add(std::move(result));
}

}  // namespace tuskv::bench
