#include "bench/rows/point_access.h"
#include "bench/rows/rows.h"

namespace tuskv::bench {

void run_set_relaxed(Bench& bench) {
  const Dataset data = {.entries = bench.scale().entries};
  std::vector<Entrant> entrants;
  add_entrant(bench, entrants, "tuskv", SubjectKind::tuskv, {}, data);
  add_entrant(bench, entrants, "tuskv memory:", SubjectKind::tuskv_memory, {}, data);
  add_entrant(bench, entrants, "RocksDB", SubjectKind::rocksdb, {}, data);
  add_entrant(bench, entrants, "persistent-kv", SubjectKind::persistent_kv, {}, data);
  for (const std::size_t threads : {1, 2}) {
    const Work work = {.kind = Work::Kind::set, .data = data, .threads = threads, .duration = bench.scale().round};
    Measurement result = {.row = "set_relaxed",
                          .title = "set (relaxed), overwrite, " + threads_text(threads),
                          .unit = "calls/s",
                          .series = interleave_work(bench, entrants, work, bench.scale().rounds)};
    result.compare("tuskv", "RocksDB", Goal{.factor = 5});
    result.compare("tuskv", "persistent-kv", Goal{.factor = 1});
    result.compare("tuskv", "tuskv memory:", Goal{.factor = 0.4});
    bench.add(std::move(result));
  }
}

void run_set_durable(Bench& bench) {
  const Dataset data = {.entries = bench.scale().entries};
  std::vector<Entrant> entrants;
  add_entrant(bench, entrants, "tuskv", SubjectKind::tuskv, {.sync = true}, data);
  add_entrant(bench, entrants, "RocksDB", SubjectKind::rocksdb, {.sync = true}, data);
  // It can load only with a sync for each entry, so it gets fewer: that is no disadvantage to it.
  const Dataset few = {.entries = data.entries / 1000};
  add_entrant(bench, entrants, "persistent-kv", SubjectKind::persistent_kv, {.sync = true}, few);
  for (const std::size_t threads : {1, 64}) {
    const Work work = {.kind = Work::Kind::set,
                       .data = data,
                       .threads = threads,
                       .duration = bench.scale().round_durable,
                       .calls_per_look = 1};
    Measurement result = {.row = "set_durable",
                          .title = "set (durable), overwrite, " + threads_text(threads),
                          .unit = "calls/s",
                          .series = interleave_work(bench, entrants, work, bench.scale().rounds)};
    const bool many = threads == 64;
    result.compare("tuskv", "RocksDB", many ? std::optional(Goal{.factor = 2}) : std::nullopt);
    result.compare("tuskv", "persistent-kv", many ? std::optional(Goal{.factor = 4}) : std::nullopt);
    bench.add(std::move(result));
  }
}

}  // namespace tuskv::bench
