// The subjects that a build may lack, each in the file of its name. Called only when the build has them.
#pragma once

#include <memory>

#include "bench/subject.h"

namespace tuskv::bench {

std::unique_ptr<Subject> make_rocksdb(const SubjectOptions& options);
std::unique_ptr<Subject> make_lmdb(const SubjectOptions& options);
std::unique_ptr<Subject> make_leveldb(const SubjectOptions& options);
std::unique_ptr<Subject> make_tbb();
std::unique_ptr<Subject> make_tuskv(const SubjectOptions& options);
std::unique_ptr<Subject> make_tuskv_memory();
std::unique_ptr<Subject> make_tuskv_postgres(const SubjectOptions& options);
std::unique_ptr<Subject> make_libpq(const SubjectOptions& options);
/// Null when there is no redis-server.
std::unique_ptr<Subject> make_redis(const SubjectOptions& options);
/// Null when their programs have not been built.
std::unique_ptr<Subject> make_persistent_kv(const SubjectOptions& options);
std::unique_ptr<Subject> make_pgkv(const SubjectOptions& options);

}  // namespace tuskv::bench
