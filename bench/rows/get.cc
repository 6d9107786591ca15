#include "bench/rows/point_access.h"
#include "bench/rows/rows.h"

namespace tuskv::bench {

void run_get(Bench& bench) {
  const Dataset data = {.entries = bench.scale().entries};
  std::vector<Entrant> entrants;
  add_entrant(bench, entrants, "tuskv", SubjectKind::tuskv, {.sync = true}, data);
  add_entrant(bench, entrants, "RocksDB", SubjectKind::rocksdb, {}, data);
  add_entrant(bench, entrants, "RocksDB, all in cache", SubjectKind::rocksdb, {.all_in_cache = true}, data);
  add_entrant(bench, entrants, "LMDB", SubjectKind::lmdb, {}, data);
  add_entrant(bench, entrants, "LevelDB, all in cache", SubjectKind::leveldb, {.all_in_cache = true}, data);
  add_entrant(bench, entrants, "tbb::concurrent_hash_map", SubjectKind::tbb, {}, data);
  add_entrant(bench, entrants, "persistent-kv", SubjectKind::persistent_kv, {}, data);
  for (const std::size_t threads : {1, 2}) {
    const Work work = {.kind = Work::Kind::get, .data = data, .threads = threads, .duration = bench.scale().round};
    Measurement result = {.row = "get",
                          .title = "get, " + threads_text(threads),
                          .unit = "calls/s",
                          .series = interleave_work(bench, entrants, work, bench.scale().rounds)};
    result.compare("tuskv", "RocksDB", Goal{.factor = 8});
    result.compare("tuskv", "RocksDB, all in cache", std::nullopt);
    result.compare("tuskv", "LMDB", Goal{.factor = 2});
    result.compare("tuskv", "LevelDB, all in cache", std::nullopt);
    result.compare("tuskv", "tbb::concurrent_hash_map", Goal{.factor = 1.2});
    result.compare("tuskv", "persistent-kv", std::nullopt);
    bench.add(std::move(result));
  }
}

}  // namespace tuskv::bench
