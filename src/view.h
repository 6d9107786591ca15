// What a handle is: where its commands go, under which namespace, with which deadline. Store, namespaced store and
// transaction differ in nothing else.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine.h"
#include "os/fork_guard.h"

namespace tuskv {

/// Limits on arguments, fixed at open.
struct ArgumentLimits {
  std::size_t key_bytes_max = 1024;
  std::size_t value_bytes_max = std::size_t{100} << 20;
};

class Reencryption;
class Session;
class SubmissionThreads;

/// Immutable and shared by handles; making another one is how with_namespace and with_timeout work.
class View {
 public:
  std::shared_ptr<Engine> engine = {};
  std::shared_ptr<const os::ForkGuard> fork_guard = {};
  /// The engine, or the session. Owned by one of its neighbours.
  Executor* executor = nullptr;
  std::shared_ptr<Session> session = {};      ///< null outside transactions
  Reencryption* reencryption = nullptr;       ///< a side of the engine; null: the store is not encrypted
  SubmissionThreads* offload = nullptr;       ///< for functions of the user's; a neighbour of the engine
  std::string prefix = std::string(1, '\0');  ///< namespace and NUL: what a stored key starts with
  std::int64_t timeout_ms = 5000;
  std::optional<std::int64_t> default_ttl_ms = {};
  ArgumentLimits limits = {};
  EngineSweeperOptions sweeper = {};
  bool expiry_disabled = false;  ///< TtlMode::disabled
  /// Stats::conflicts of the store, which all its views share.
  std::shared_ptr<std::atomic<std::uint64_t>> conflicts = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace tuskv
