// Which units an engine can run on values that it cannot read, and how the others are run: as a small optimistic
// transaction over the decrypting engine. The session plans with the same function as every engine, on plaintext, so
// that no rule is written twice; what it writes goes back encrypted.
//
// A unit also needs plaintext when it shows the value of an entry that it changes (get_and_set): a value that cannot be
// decrypted has to stop it before it has changed anything.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "engine.h"
#include "os/deadline.h"
#include "os/mutex.h"

namespace tuskv::encryption {

/// True when the engine can run the unit on encrypted values: nothing is judged by a value, and none is shown that the
/// unit changes.
bool passes_sealed(const Unit& unit);

/// Thread-safe.
class PlaintextUnits final {
 public:
  /// `engine` decrypts what it is asked for and outlives this.
  PlaintextUnits(Engine& engine, bool expiry_disabled) : engine_(engine), expiry_disabled_(expiry_disabled) {}

  /// Runs it again while others change what it has read, until its deadline.
  void run(Unit& unit);
  /// How often one had to run again.
  std::uint64_t conflicts() const { return conflicts_.load(std::memory_order_relaxed); }

 private:
  Status run_in_turn(Unit& unit, os::Deadline deadline);
  Status attempt(Unit& unit, os::Deadline deadline);
  os::TimedMutex& turn_of(const Unit& unit);

  Engine& engine_;
  const bool expiry_disabled_;
  std::atomic<std::uint64_t> conflicts_ = 0;
  /// Units of this process that begin with the same key take turns: each other's conflicts would cost them far more.
  /// Chosen by a hash of that key; held over I/O, waited for until the deadline.
  std::array<os::TimedMutex, 64> turns_;
};

}  // namespace tuskv::encryption
