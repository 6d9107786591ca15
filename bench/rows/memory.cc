#include <malloc.h>

#include <optional>

#include "bench/redis_server.h"
#include "bench/rows/rows.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

/// Bytes this process has allocated and not freed, the allocator's own per block included; freed memory that the
/// allocator keeps does not count, as it does not in used_memory.
double allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

double beyond(double before, double after, const Dataset& data) {
  return (after - before) / static_cast<double>(data.entries) - static_cast<double>(data.key_bytes + data.value_bytes);
}

double tuskv_beyond(const Dataset& data) {
  const double before = allocated_bytes();
  const Store store = Store::open("memory:");
  KeyWriter keys(data.key_bytes);
  const ValueSource values(data.value_bytes, 1);
  for (std::uint64_t n = 0; n < data.entries; ++n) store.set(keys.key(n), values.value(n));
  const double after = allocated_bytes();
  store.close();
  return beyond(before, after, data);
}

double redis_beyond(RedisServer& redis, const Dataset& data) {
  redis.flush_all();
  const double before = std::stod(redis.info("used_memory"));
  KeyWriter keys(data.key_bytes);
  const ValueSource values(data.value_bytes, 1);
  for (std::uint64_t n = 0; n < data.entries; ++n) redis.set(keys.key(n), values.value(n));
  redis.finish_sets();
  return beyond(before, std::stod(redis.info("used_memory")), data);
}

}  // namespace

void run_memory(Bench& bench) {
  std::optional<RedisServer> redis;
  if (RedisServer::available()) {
    redis.emplace(bench.fresh_directory("redis"));
    bench.note_version("Redis", redis->info("redis_version"));
  } else {
    bench.say_left_out("Redis", "redis-server is not in PATH");
  }
  for (const std::size_t value_bytes : {8, 64, 128, 256}) {
    const Dataset data = {.entries = bench.scale().entries, .value_bytes = value_bytes};
    Measurement result = {.row = "memory",
                          .title = "memory beyond key and value, values of " + std::to_string(value_bytes) + " B",
                          .unit = "bytes an entry"};
    result.series.push_back({.name = "tuskv memory:", .values = {tuskv_beyond(data)}});
    if (redis) result.series.push_back({.name = "Redis", .values = {redis_beyond(*redis, data)}});
    result.compare("tuskv memory:", "Redis", Goal{.factor = 0.9, .better = Better::less});
    bench.add(std::move(result));
  }
}

}  // namespace tuskv::bench
