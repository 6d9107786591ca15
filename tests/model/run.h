// A run: a store and the reference side by side, through a list of steps that each are one number. Any part of the list
// is a run, too, which is how the shortest one that shows a difference is found.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "contract/contract.h"
#include "model/draw.h"
#include "model/reference.h"
#include "model/step.h"
#include "support/random.h"

namespace tuskv::test {

struct Difference {
  std::size_t step = 0;
  std::string what = {};
};

class ModelRun final {
 public:
  /// The options of the store come from `seed`. With `told_steps` every step is written down there.
  ModelRun(Backend& backend, std::uint64_t seed, std::string* told_steps = nullptr);

  /// The first difference, if there is one.
  std::optional<Difference> play(std::span<const std::uint64_t> steps);
  std::uint64_t operations() const { return told_.operations; }

 private:
  /// Nothing, or what differs.
  using Verdict = std::optional<std::string>;

  static Options options_of(std::uint64_t seed);
  static ReferenceRules reference_rules(const Options& options, const Backend& backend);
  static DrawRules draw_rules(const Options& options, const Backend& backend);

  Verdict make(std::uint64_t step);
  Verdict make_call(std::uint64_t step);
  Verdict make_upkeep(Random& random);
  Verdict compare(const std::string& what, const std::string& store, const std::string& reference);

  Verdict move_clock(Random& random);
  Verdict reopen(Random& random);
  Verdict clean_up(Random& random);
  Verdict compare_stats();
  Verdict compare_namespaces();
  Verdict compare_with_expired();
  Verdict compare_all();
  Verdict use_snapshots(Random& random);

  std::int64_t store_now_us() const { return std::max(seen_us_, backend_.now_us()); }
  void note(const std::string& text);

  Backend& backend_;
  const Options options_;
  const DrawRules rules_;
  std::string* told_steps_;
  ReferenceState state_;
  Reference reference_;
  std::optional<Store> store_;
  /// The store's time never goes back: the latest it has seen.
  std::int64_t seen_us_ = 0;
  std::string notes_;
  Side store_side_;
  Side reference_side_;
  StepContext asked_;
  StepContext told_;
};

}  // namespace tuskv::test
