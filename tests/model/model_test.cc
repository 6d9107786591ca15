// A million random calls through the public API, each answered by the store and by the reference, with the clock moved,
// the store closed, killed and opened again in between: no difference.
//
// A failed run is cut down to few steps that still show a difference, and those are printed with all their arguments.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "model/run.h"
#include "model/running_clock_backend.h"
#include "model/simulated_backend.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv::test {
namespace {

constexpr std::size_t kStepsOfARun = 2'000;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kOperationsDivisor = 20;  // the sanitizers look for other things than differences
#else
constexpr std::uint64_t kOperationsDivisor = 1;
#endif

using Steps = std::vector<std::uint64_t>;

struct ModelCase {
  BackendKind kind = {};
  std::uint64_t operations = 0;
};

void PrintTo(const ModelCase& model_case, std::ostream* out) { *out << model_case.kind.name; }

template <Durability durability>
std::unique_ptr<Backend> make_simulated() {
  return std::make_unique<SimulatedBackend>(durability);
}

std::unique_ptr<Backend> make_with_running_clock() { return std::make_unique<RunningClockBackend>(); }

/// Stores with a directory are on a simulated disk; every other backend of the contract is taken as it is, a server's
/// with as many operations as its round trips allow.
std::vector<ModelCase> model_cases() {
  std::vector<ModelCase> cases;
  for (const BackendKind& kind : json_backend_kinds()) {
    const std::string name = kind.name;
    if (name.starts_with("file")) continue;
    cases.push_back({kind, name == "memory" ? 400'000U : 30'000U});
  }
  cases.push_back({{"memory_with_a_running_clock", &make_with_running_clock}, 30'000});
  cases.push_back({{"file_durable", &make_simulated<Durability::durable>}, 200'000});
  cases.push_back({{"file_relaxed", &make_simulated<Durability::relaxed>}, 200'000});
  cases.push_back({{"file_unlogged", &make_simulated<Durability::unlogged>}, 200'000});
  return cases;
}

Steps steps_of(std::uint64_t seed) {
  Random random(seed);
  Steps steps(kStepsOfARun);
  for (std::uint64_t& step : steps) step = random.next();
  return steps;
}

std::optional<Difference> play(const BackendKind& kind, std::uint64_t seed, const Steps& steps, std::string* told) {
  const std::unique_ptr<Backend> backend = kind.make();
  return ModelRun(*backend, seed, told).play(steps);
}

/// Fewer steps that still show a difference; gives up after a while.
Steps cut_down(const BackendKind& kind, std::uint64_t seed, Steps steps) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (std::size_t size = steps.size() / 2; size > 0; size /= 2) {
    for (std::size_t from = 0; from < steps.size() && std::chrono::steady_clock::now() < deadline;) {
      Steps fewer = steps;
      const auto first = fewer.begin() + static_cast<std::ptrdiff_t>(from);
      fewer.erase(first, first + static_cast<std::ptrdiff_t>(std::min(size, steps.size() - from)));
      const auto difference = fewer.empty() ? std::nullopt : play(kind, seed, fewer, nullptr);
      if (difference) {
        fewer.resize(difference->step + 1);
        steps = std::move(fewer);
      } else {
        from += size;
      }
    }
  }
  return steps;
}

std::string report(const BackendKind& kind, std::uint64_t seed, Steps steps, const Difference& found) {
  steps.resize(found.step + 1);
  const Steps fewer = cut_down(kind, seed, steps);
  std::string told;
  const auto difference = play(kind, seed, fewer, &told);
  return "run " + std::to_string(seed) + " differs at step " + std::to_string(found.step) + ": " + found.what +
         "\ncut down to " + std::to_string(fewer.size()) + " steps:\n" + told +
         (difference ? difference->what : "(does not differ again)");
}

class Model : public testing::TestWithParam<ModelCase> {};

TEST_P(Model, G7_TheStoreAnswersAsItsContract) {
  const auto& [kind, wanted] = GetParam();
  const std::uint64_t seed = random_seed();
  std::uint64_t operations = 0;
  for (std::uint64_t run = 0; operations < wanted / kOperationsDivisor; ++run) {
    const Steps steps = steps_of(seed + run);
    const std::unique_ptr<Backend> backend = kind.make();
    ModelRun model(*backend, seed + run);
    if (const auto difference = model.play(steps)) FAIL() << report(kind, seed + run, steps, *difference);
    operations += model.operations();
  }
  std::printf("%llu operations\n", static_cast<unsigned long long>(operations));
}

INSTANTIATE_TEST_SUITE_P(Backends, Model, testing::ValuesIn(model_cases()),
                         [](const auto& each) { return std::string(each.param.kind.name); });

}  // namespace
}  // namespace tuskv::test
