// Rows that run the same random work on several subjects.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/bench.h"

namespace tuskv::bench {

struct Entrant {
  std::string name = {};
  std::unique_ptr<Subject> subject = {};
};

/// Opens a subject in a directory of its own, loads it, reads everything once and adds it; nothing when it is left out.
void add_entrant(Bench& bench, std::vector<Entrant>& entrants, const std::string& name, SubjectKind kind,
                 SubjectOptions options, const Dataset& data);

/// Interleaves `work` over all of them.
std::vector<Series> interleave_work(Bench& bench, const std::vector<Entrant>& entrants, const Work& work,
                                    std::size_t rounds);

std::string threads_text(std::size_t threads);

}  // namespace tuskv::bench
