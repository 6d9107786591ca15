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
