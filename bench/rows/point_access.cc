#include "bench/rows/point_access.h"

#include <algorithm>

namespace tuskv::bench {

void add_entrant(Bench& bench, std::vector<Entrant>& entrants, const std::string& name, SubjectKind kind,
                 SubjectOptions options, const Dataset& data) {
  std::string directory = name;
  std::replace_if(
      directory.begin(), directory.end(), [](char c) { return c == ' ' || c == ':' || c == ','; }, '_');
  options.directory = bench.fresh_directory(directory);
  std::unique_ptr<Subject> subject = bench.open(kind, options);
  if (subject == nullptr) return;
  subject->load(data);
  subject->read_all();  // what has a cache has it filled
  bench.settle();
  entrants.push_back({.name = name, .subject = std::move(subject)});
}

std::vector<Series> interleave_work(Bench& bench, const std::vector<Entrant>& entrants, const Work& work,
                                    std::size_t rounds) {
  std::vector<Contestant> contestants;
  for (const Entrant& entrant : entrants) {
    contestants.push_back({.name = entrant.name, .round = [&entrant, work](std::uint64_t seed) {
                             Work round = work;
                             round.seed = seed;
                             return entrant.subject->run(round);
                           }});
  }
  return bench.interleave(contestants, bench.rounds(rounds));
}

std::string threads_text(std::size_t threads) {
  return std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

}  // namespace tuskv::bench
