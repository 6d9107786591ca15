#include "engine_owner.h"

#include <utility>

#include "closing_engines.h"
#include "operation.h"

namespace tuskv {
namespace {

class EngineOwner final {
 public:
  EngineOwner(EngineParts parts, std::shared_ptr<const os::ForkGuard> fork_guard)
      : parts_(std::make_unique<EngineParts>(std::move(parts))), fork_guard_(std::move(fork_guard)) {}
  EngineOwner(const EngineOwner&) = delete;
  EngineOwner& operator=(const EngineOwner&) = delete;
  ~EngineOwner() {
    if (fork_guard_->in_child()) {
      static_cast<void>(parts_.release());
    } else if (in_completion()) {
      destroy_elsewhere();
    }
  }

  Engine* engine() const { return parts_->engine.get(); }

 private:
  void destroy_elsewhere() {
    EngineParts* const parts = parts_.release();
    // Without a thread to be had the engine lives until the process ends, which a store survives as it does a crash.
    const auto close = [parts] { std::unique_ptr<EngineParts>(parts).reset(); };
    static_cast<void>(ClosingEngines::of_this_process().close_elsewhere(close));
  }

  std::unique_ptr<EngineParts> parts_;
  std::shared_ptr<const os::ForkGuard> fork_guard_;
};

}  // namespace

std::shared_ptr<Engine> share_engine(EngineParts parts, std::shared_ptr<const os::ForkGuard> fork_guard) {
  auto owner = std::make_shared<EngineOwner>(std::move(parts), std::move(fork_guard));
  Engine* const engine = owner->engine();
  return {std::move(owner), engine};
}

}  // namespace tuskv
