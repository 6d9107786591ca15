// What the PostgreSQL rows share: who takes part, and how their turns go.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/postgres_server.h"
#include "bench/rows/point_access.h"

namespace tuskv::bench {

/// The names of the series.
inline constexpr const char* kTuskv = "tuskv";
inline constexpr const char* kLibpq = "raw libpq";
inline constexpr const char* kRedis = "Redis";
inline constexpr const char* kPgkv = "pgkv";

struct PostgresEntrants {
  Bench& bench;
  PostgresServer& server;
  Dataset data = {};
  bool sync = false;
  std::vector<Entrant> all = {};

  /// Each gets a table of its own, loaded.
  void add(const std::string& name, SubjectKind kind);
  /// Interleaves `work`; after each turn that writes, the tables are vacuumed.
  std::vector<Series> run(const Work& work, std::size_t rounds);
};

/// A table of the server's that a subject can use.
SubjectOptions table_options(const PostgresServer& server, const std::string& table, bool sync);

/// Interleaves turns that write: after each, the tables are vacuumed.
std::vector<Series> interleave_writes(Bench& bench, PostgresServer& server, std::vector<Contestant> contestants,
                                      std::size_t rounds);

std::string callers_text(std::size_t callers);

}  // namespace tuskv::bench
