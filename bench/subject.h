// What is measured: tuskv and its peers behind one interface. A peer is one file under subjects/ and a line in
// subjects/make_subject.cc.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bench/dataset.h"

namespace tuskv::bench {

/// Random accesses to the entries of a dataset, by `threads` threads for about `duration`.
struct Work {
  enum class Kind {
    get,
    set,
    mixed,  ///< four gets for each set, at random; not at every subject
  };
  Kind kind = Kind::get;
  Dataset data = {};
  std::size_t threads = 1;
  std::chrono::nanoseconds duration = std::chrono::milliseconds(200);
  std::uint64_t seed = 1;
  /// Calls between two looks at the clock; 1 where a call takes long.
  std::uint64_t calls_per_look = 64;
};

class Subject {
 public:
  virtual ~Subject() = default;
  /// Creates the entries, in the fastest way the subject offers at its durability, and leaves it ready to be read.
  virtual void load(const Dataset& data) = 0;
  /// Does the work and returns calls per second.
  virtual double run(const Work& work) = 0;
  /// Reads every entry once, in the subject's own order (nothing to do when opening has already brought all of them
  /// into memory); returns how many there are.
  virtual std::uint64_t read_all() = 0;
  /// The version of the library or server, as it names itself.
  virtual std::string version() const = 0;
};

/// What one thread uses.
class Session {
 public:
  virtual ~Session() = default;
  virtual void set(std::string_view key, std::string_view value) = 0;
  /// Copies the value into `value`, reusing its memory; false when there is none.
  virtual bool get(std::string_view key, std::string& value) = 0;
};

/// A subject in this process.
class LocalSubject : public Subject {
 public:
  virtual std::unique_ptr<Session> session() = 0;
  double run(const Work& work) override;
};

struct SubjectOptions {
  /// Of the subject alone; created, or reopened when it holds data. Unused by those without files.
  std::string directory = {};
  /// A write is answered once it survives a crash of the machine; otherwise once it survives one of the process.
  bool sync = false;
  /// Peers with a block cache: everything fits into it, nothing is compressed, a Bloom filter is kept, and loading ends
  /// with a compaction of everything. Otherwise as they come.
  bool all_in_cache = false;
  /// For those that are reached through PostgreSQL: the server, and a table of their own; `sync` makes it a logged one,
  /// otherwise it is UNLOGGED.
  std::string url = {};
  std::string table = {};
};

enum class SubjectKind {
  tuskv_memory,
  tuskv,
  rocksdb,
  lmdb,
  leveldb,
  tbb,
  persistent_kv,
  tuskv_postgres,
  libpq,
  redis,
  pgkv
};

/// The subject, opened. Null when this build, or this machine, does not have it; missing_reason says why.
std::unique_ptr<Subject> make_subject(SubjectKind kind, const SubjectOptions& options);
std::string missing_reason(SubjectKind kind);
std::string_view subject_name(SubjectKind kind);

}  // namespace tuskv::bench
