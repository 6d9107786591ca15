// The end of an engine. Engines join their threads when they are destroyed, and the last handle may die where that
// would wait for ever: on one of those threads, in a callback or coroutine that it resumed, or in a child of fork,
// where the threads do not exist.
#pragma once

#include <memory>

#include "engine.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "os/fork_guard.h"
#include "submission_threads.h"

namespace tuskv {

/// An engine between what it needs as long as it lives, which is destroyed after it, and what calls it, which is
/// destroyed before. File system and clock may be null when something else owns them.
struct EngineParts {
  std::unique_ptr<os::FileSystem> file_system = {};
  std::unique_ptr<os::Clock> clock = {};
  std::unique_ptr<Engine> engine = {};
  std::unique_ptr<SubmissionThreads> offload = {};
};

/// Destroys the parts with the last handle: at once, except on a thread of the engine, where a thread made for it does
/// so (closing_engines.h), and in a child of fork, where nothing is touched.
std::shared_ptr<Engine> share_engine(EngineParts parts, std::shared_ptr<const os::ForkGuard> fork_guard);

}  // namespace tuskv
