// What the way from the API to the map costs: the same reads of a table so small that it stays in the cache, made on
// the map itself (hash, lock, look-up, copy), as a unit of one command on the engine, and by get_into.
#include "bench/rows/engine_calls.h"
#include "bench/rows/rows.h"
#include "bench/throughput.h"
#include "embedded/keyspace.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

constexpr std::uint64_t kHotEntries = 100;

/// Keys made once: writing them would be a large part of what is measured here.
std::vector<std::string> hot_keys() {
  std::vector<std::string> keys;
  KeyWriter writer(Dataset().key_bytes);
  for (std::uint64_t n = 0; n < kHotEntries; ++n) keys.push_back(stored_key(writer.key(n)));
  return keys;
}

double nanoseconds_a_call(const Bench& bench, const std::function<void(std::uint64_t n)>& call) {
  std::vector<Worker> workers = {[&, n = std::uint64_t{0}](std::uint64_t calls) mutable {
    for (std::uint64_t i = 0; i < calls; ++i) call(n++ % kHotEntries);
  }};
  return 1e9 / throughput(workers, bench.scale().round, 1024);
}

bool read_direct(embedded::Keyspace& keyspace, std::string_view key, std::string& value) {
  const std::uint64_t hash = keyspace.hash(key);
  embedded::Shard& shard = keyspace.shard(keyspace.shard_index(hash));
  const os::ReaderLock lock(shard.map);
  const embedded::StoredEntry* entry = shard.find(hash, key);
  if (entry == nullptr) return false;
  value.assign(entry->value());
  return true;
}

}  // namespace

void run_command_path(Bench& bench) {
  const std::vector<std::string> keys = hot_keys();
  const ValueSource values(Dataset().value_bytes, 1);
  embedded::Keyspace keyspace(embedded::default_shard_count(), 1);
  const os::SystemClock clock;
  const std::unique_ptr<os::FileSystem> files = os::make_posix_file_system();
  const std::unique_ptr<Engine> engine = open_engine({}, *files, clock);
  const Store store = Store::open("memory:");
  for (std::uint64_t n = 0; n < kHotEntries; ++n) {
    keyspace.load_entry(keyspace.hash(keys[n]), {.key = keys[n], .value = values.value(n)}, n + 1);
    put(*engine, keys[n], values.value(n));
    store.set(keys[n].substr(1), values.value(n));
  }
  for (std::size_t shard = 0; shard < keyspace.shard_count(); ++shard) keyspace.finish_loading(shard);

  std::string value;
  const std::vector<Contestant> contestants = {
      {.name = "on the map",
       .round =
           [&](std::uint64_t) {
             return nanoseconds_a_call(bench, [&](std::uint64_t n) { keep(read_direct(keyspace, keys[n], value)); });
           }},
      {.name = "on the engine",
       .round =
           [&](std::uint64_t) {
             return nanoseconds_a_call(bench, [&](std::uint64_t n) { keep(read_into(*engine, keys[n], value)); });
           }},
      {.name = "get_into", .round = [&](std::uint64_t) {
         return nanoseconds_a_call(
             bench, [&](std::uint64_t n) { keep(store.get_into(std::string_view(keys[n]).substr(1), value)); });
       }}};
  Measurement result = {.row = "command_path",
                        .title = "get of 100 hot keys: cost of the way to the map",
                        .unit = "ns a call",
                        .series = bench.interleave(contestants, bench.rounds(bench.scale().rounds))};
  result.compare("on the engine", "on the map", std::nullopt);
  result.compare("get_into", "on the map", std::nullopt);
  bench.add(std::move(result));
}

}  // namespace tuskv::bench
