#include "bench/rows/postgres_entrants.h"

#include <algorithm>
#include <utility>

namespace tuskv::bench {

SubjectOptions table_options(const PostgresServer& server, const std::string& table, bool sync) {
  return {.sync = sync, .url = server.url(), .table = table};
}

void PostgresEntrants::add(const std::string& name, SubjectKind kind) {
  std::string table = name;
  std::replace(table.begin(), table.end(), ' ', '_');
  add_entrant(bench, all, name, kind, table_options(server, table, sync), data);
  server.vacuum();
}

std::vector<Series> PostgresEntrants::run(const Work& work, std::size_t rounds) {
  if (work.kind == Work::Kind::get) return interleave_work(bench, all, work, rounds);
  std::vector<Contestant> contestants;
  for (const Entrant& entrant : all) {
    contestants.push_back({.name = entrant.name, .round = [&entrant, work](std::uint64_t seed) {
                             Work round = work;
                             round.seed = seed;
                             return entrant.subject->run(round);
                           }});
  }
  return interleave_writes(bench, server, std::move(contestants), rounds);
}

std::vector<Series> interleave_writes(Bench& bench, PostgresServer& server, std::vector<Contestant> contestants,
                                      std::size_t rounds) {
  for (Contestant& contestant : contestants) {
    contestant.round = [&server, turn = std::move(contestant.round)](std::uint64_t seed) {
      const double measured = turn(seed);
      server.vacuum();
      return measured;
    };
  }
  return bench.interleave(contestants, bench.rounds(rounds));
}

std::string callers_text(std::size_t callers) {
  return std::to_string(callers) + (callers == 1 ? " caller" : " callers");
}

}  // namespace tuskv::bench
