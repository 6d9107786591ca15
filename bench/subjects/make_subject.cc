// The list of subjects. CMakeLists.txt defines TUSKV_BENCH_HAS_… as 1 for what it found and compiled, otherwise 0.
#include <array>

#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

struct Listed {
  std::string_view name;
  bool built;
  std::string_view missing;
};

Listed listed(SubjectKind kind) {
  switch (kind) {
    case SubjectKind::tuskv_memory: return {.name = "tuskv memory:", .built = true, .missing = ""};
    case SubjectKind::tuskv: return {.name = "tuskv", .built = true, .missing = ""};
    case SubjectKind::rocksdb:
      return {.name = "RocksDB", .built = TUSKV_BENCH_HAS_ROCKSDB, .missing = "librocksdb-dev was not found"};
    case SubjectKind::lmdb:
      return {.name = "LMDB", .built = TUSKV_BENCH_HAS_LMDB, .missing = "liblmdb-dev was not found"};
    case SubjectKind::leveldb:
      return {.name = "LevelDB", .built = TUSKV_BENCH_HAS_LEVELDB, .missing = "libleveldb-dev was not found"};
    case SubjectKind::tbb:
      return {.name = "tbb::concurrent_hash_map", .built = TUSKV_BENCH_HAS_TBB, .missing = "libtbb-dev was not found"};
    case SubjectKind::persistent_kv:
      return {.name = "persistent-kv",
              .built = true,
              .missing = "its program is not built (target bench_peers; needs cargo)"};
    case SubjectKind::pgkv:
      return {.name = "pgkv", .built = true, .missing = "its program is not built (target bench_peers; needs cargo)"};
    case SubjectKind::tuskv_postgres:
      return {.name = "tuskv postgresql:", .built = TUSKV_BENCH_HAS_POSTGRES, .missing = "libpq-dev was not found"};
    case SubjectKind::libpq:
      return {.name = "libpq", .built = TUSKV_BENCH_HAS_POSTGRES, .missing = "libpq-dev was not found"};
    case SubjectKind::redis:
      return {.name = "Redis",
              .built = TUSKV_BENCH_HAS_HIREDIS,
              .missing = TUSKV_BENCH_HAS_HIREDIS ? "redis-server is not in PATH" : "libhiredis-dev was not found"};
  }
  return {};
}

}  // namespace

std::string_view subject_name(SubjectKind kind) { return listed(kind).name; }

std::string missing_reason(SubjectKind kind) { return std::string(listed(kind).missing); }

std::unique_ptr<Subject> make_subject(SubjectKind kind, const SubjectOptions& options) {
  if (kind == SubjectKind::tuskv_memory) return make_tuskv_memory();
  if (kind == SubjectKind::tuskv) return make_tuskv(options);
  if (kind == SubjectKind::persistent_kv) return make_persistent_kv(options);
  if (kind == SubjectKind::pgkv) return make_pgkv(options);
  if constexpr (TUSKV_BENCH_HAS_POSTGRES) {
    if (kind == SubjectKind::tuskv_postgres) return make_tuskv_postgres(options);
    if (kind == SubjectKind::libpq) return make_libpq(options);
  }
  if constexpr (TUSKV_BENCH_HAS_HIREDIS) {
    if (kind == SubjectKind::redis) return make_redis(options);
  }
  if constexpr (TUSKV_BENCH_HAS_ROCKSDB) {
    if (kind == SubjectKind::rocksdb) return make_rocksdb(options);
  }
  if constexpr (TUSKV_BENCH_HAS_LMDB) {
    if (kind == SubjectKind::lmdb) return make_lmdb(options);
  }
  if constexpr (TUSKV_BENCH_HAS_LEVELDB) {
    if (kind == SubjectKind::leveldb) return make_leveldb(options);
  }
  if constexpr (TUSKV_BENCH_HAS_TBB) {
    if (kind == SubjectKind::tbb) return make_tbb();
  }
  return nullptr;
}

}  // namespace tuskv::bench
