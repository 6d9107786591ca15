#include "crash/workload.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "support/random.h"

namespace tuskv::test {
namespace {

using Kind = Step::Kind;

constexpr std::uint64_t kKeys = 24;
constexpr std::uint64_t kBatchKeys = 6;
constexpr std::uint64_t kAccounts = 4;
constexpr std::int64_t kTtlsMs[] = {1, 20, 500, 3'600'000};
constexpr std::int64_t kAdvancesMs[] = {1, 7, 100, 1000};

/// Every value is written once only, so that no state looks like another by chance.
class Generator final {
 public:
  Generator(const Mix& mix, Durability durability, std::uint64_t seed)
      : mix_(mix), durability_(durability), random_(seed) {
    for (const Weight& weight : mix.weights) total_ += static_cast<std::uint64_t>(weight.weight);
  }

  Step next() {
    Step step{.kind = pick_kind()};
    ++generation_;
    switch (step.kind) {
      case Kind::set: fill_set(step); break;
      case Kind::erase: step.key = key(); break;
      case Kind::expire:
        step.key = key();
        step.number = pick(kTtlsMs);
        break;
      case Kind::add:
        step.key = "counter" + std::to_string(random_.below(3));
        step.number = static_cast<std::int64_t>(random_.below(1000)) - 300;
        break;
      case Kind::batch: fill_batch(step); break;
      case Kind::transfer: fill_transfer(step); break;
      case Kind::erase_prefix: fill_prefix(step); break;
      case Kind::prune: step.number = static_cast<std::int64_t>(random_.below(3)); break;
      case Kind::reopen: step.number = static_cast<std::int64_t>(next_level()); break;
      case Kind::advance: step.number = pick(kAdvancesMs); break;
      case Kind::sync:
      case Kind::snapshot:
      case Kind::sweep: break;
    }
    return step;
  }

 private:
  Kind pick_kind() {
    std::uint64_t left = random_.below(total_);
    for (const Weight& weight : mix_.weights) {
      if (left < static_cast<std::uint64_t>(weight.weight)) return weight.kind;
      left -= static_cast<std::uint64_t>(weight.weight);
    }
    return mix_.weights.front().kind;
  }

  template <std::size_t N>
  std::int64_t pick(const std::int64_t (&choices)[N]) {
    return choices[random_.below(N)];
  }

  /// Two letters in front, so that prefixes take some keys and leave others.
  std::string key() {
    const std::uint64_t index = random_.below(kKeys);
    return std::string(1, static_cast<char>('a' + index % 3)) + "/" + std::to_string(index);
  }

  std::string value() {
    std::string made = "generation " + std::to_string(generation_) + " ";
    const std::uint64_t bytes = random_.below(mix_.value_bytes_max + 1);
    while (made.size() < bytes) made += static_cast<char>('a' + random_.below(26));
    return made;
  }

  void fill_set(Step& step) {
    step.key = key();
    step.value = value();
    if (random_.chance(static_cast<std::uint64_t>(mix_.ttl_percent))) step.number = pick(kTtlsMs);
    step.asynchronous = random_.chance(20);
  }

  /// All keys of a batch carry the same generation: half a batch shows.
  void fill_batch(Step& step) {
    const std::string made = value();
    const std::uint64_t erased = random_.below(3 * kBatchKeys);
    for (std::uint64_t i = 0; i < kBatchKeys; ++i) {
      BatchItem item{.key = "batch/" + std::to_string(i)};
      if (i != erased) item.value = made;
      step.items.push_back(std::move(item));
    }
    if (random_.chance(30)) step.items.push_back({.key = key()});
  }

  void fill_transfer(Step& step) {
    const std::uint64_t from = random_.below(kAccounts);
    step.key = "account" + std::to_string(from);
    step.value = "account" + std::to_string((from + 1 + random_.below(kAccounts - 1)) % kAccounts);
    step.number = static_cast<std::int64_t>(1 + random_.below(50));
  }

  void fill_prefix(Step& step) {
    const std::uint64_t which = random_.below(8);
    if (which == 0) return;  // everything
    step.key = which == 1 ? "batch/" : std::string(1, static_cast<char>('a' + which % 3)) + "/";
    if (which == 7) step.key += "1";
  }

  Durability next_level() {
    if (mix_.changes_level) durability_ = static_cast<Durability>(random_.below(3));
    return durability_;
  }

  const Mix& mix_;
  Durability durability_;
  Random random_;
  std::uint64_t total_ = 0;
  std::uint64_t generation_ = 0;
};

/// By what is written.
std::vector<Mix> mixes_of_writes() {
  return {
      {.name = "Sets",
       .weights = {{Kind::set, 60},
                   {Kind::erase, 15},
                   {Kind::add, 12},
                   {Kind::sync, 5},
                   {Kind::reopen, 3},
                   {Kind::advance, 5}}},
      {.name = "Batches",
       .weights = {{Kind::batch, 40},
                   {Kind::transfer, 30},
                   {Kind::set, 12},
                   {Kind::sync, 4},
                   {Kind::reopen, 3},
                   {Kind::snapshot, 3},
                   {Kind::advance, 5}}},
      {.name = "Expiry",
       .weights = {{Kind::set, 45},
                   {Kind::expire, 15},
                   {Kind::add, 5},
                   {Kind::advance, 22},
                   {Kind::sweep, 5},
                   {Kind::snapshot, 3},
                   {Kind::reopen, 4}},
       .ttl_percent = 70},
      {.name = "Ranges",
       .weights = {{Kind::set, 50},
                   {Kind::batch, 15},
                   {Kind::erase_prefix, 20},
                   {Kind::sync, 4},
                   {Kind::snapshot, 4},
                   {Kind::reopen, 4}}},
  };
}

/// By what becomes of the files.
std::vector<Mix> mixes_of_files() {
  return {
      {.name = "LargeValues",
       .weights = {{Kind::set, 60},
                   {Kind::batch, 8},
                   {Kind::erase, 8},
                   {Kind::sync, 5},
                   {Kind::snapshot, 3},
                   {Kind::reopen, 4}},
       .steps = 50,
       .value_bytes_max = 6000,
       .segment_bytes_min = 4096,
       .segment_bytes_max = 16384},
      {.name = "Snapshots",
       .weights = {{Kind::set, 35},
                   {Kind::batch, 25},
                   {Kind::erase, 6},
                   {Kind::erase_prefix, 3},
                   {Kind::transfer, 6},
                   {Kind::snapshot, 14},
                   {Kind::prune, 4},
                   {Kind::reopen, 6},
                   {Kind::advance, 3}},
       .ttl_percent = 20,
       .writes_in_snapshots = true},
      {.name = "Levels",
       .weights = {{Kind::set, 40},
                   {Kind::batch, 20},
                   {Kind::erase, 8},
                   {Kind::snapshot, 5},
                   {Kind::sync, 4},
                   {Kind::reopen, 16}},
       .steps = 45,
       .changes_level = true},
      {.name = "Checkpoints",
       .weights = {{Kind::set, 60}, {Kind::batch, 20}, {Kind::erase, 10}, {Kind::sync, 3}, {Kind::reopen, 4}},
       .value_bytes_max = 300,
       .segment_bytes_min = 2048,
       .segment_bytes_max = 4096,
       .snapshot_log_bytes_min = 3000},
  };
}

}  // namespace

std::string level_name(Durability durability) {
  switch (durability) {
    case Durability::durable: return "Durable";
    case Durability::relaxed: return "Relaxed";
    case Durability::unlogged: return "Unlogged";
  }
  return "Unknown";
}

std::vector<Mix> all_mixes() {
  std::vector<Mix> mixes = mixes_of_writes();
  for (const Mix& mix : mixes_of_files()) mixes.push_back(mix);
  return mixes;
}

const Mix& mix_named(const std::vector<Mix>& mixes, const std::string& name) {
  for (const Mix& mix : mixes) {
    if (mix.name == name) return mix;
  }
  throw std::logic_error("no mix is called " + name);
}

std::vector<Step> make_workload(const Mix& mix, Durability durability, std::uint64_t seed) {
  Generator generator(mix, durability, seed);
  std::vector<Step> steps;
  while (steps.size() < mix.steps) steps.push_back(generator.next());
  return steps;
}

}  // namespace tuskv::test
