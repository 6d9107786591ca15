// The connections of a store. A caller gets its own last one when that is free, which keeps client and backend on one
// processor; otherwise any free one; otherwise a new one up to the limit; otherwise it stands in line. When the server
// cannot be reached all callers together try at growing, random intervals until their deadlines.
//
// A caller connects itself, which costs no thread. But to connect may take longer than a call has, and meanwhile other
// connections may come back. So an attempt that was cut short, and each one after a failure while others are lent, is
// made by a thread of the pool, one at a time and with time of its own; callers then wait in line for whatever comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "os/deadline.h"
#include "os/mutex.h"
#include "postgres/connection.h"
#include "postgres/growing_pause.h"
#include "postgres/limits.h"
#include "postgres/waiting_line.h"
#include "status.h"

namespace tuskv::postgres {

class Pool;

/// A connection lent from the pool; goes back at the end of the scope, or is closed when it is broken or not idle.
class Lease final {
 public:
  Lease(Pool& pool, std::size_t slot, Connection& connection) : pool_(&pool), slot_(slot), connection_(&connection) {}
  Lease(Lease&& other) noexcept : pool_(other.pool_), slot_(other.slot_), connection_(other.connection_) {
    other.pool_ = nullptr;
  }
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  Connection& operator*() const { return *connection_; }
  Connection* operator->() const { return connection_; }

 private:
  Pool* pool_;
  std::size_t slot_;
  Connection* connection_;
};

/// Thread-safe.
class Pool final {
 public:
  using Connect = std::function<Result<std::unique_ptr<Connection>>(os::Deadline deadline)>;
  /// `connect` makes a connection that is ready for use; called from many threads at once.
  Pool(std::size_t size, Connect connect);
  ~Pool() { close(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Timeout when none became free, or the failure of the last attempt to connect; in both cases nothing was sent. Of
  /// an idle connection it looks first whether the server has left it, unless its last answer came a moment ago: a call
  /// takes about as long, so a look adds next to nothing to what is known.
  Result<Lease> acquire(os::Deadline deadline) TUSKV_EXCLUDES(mutex_);
  /// From now on the pool's thread connects. Not before the store is open: whoever gives up opening must not wait for
  /// it.
  void connect_on() TUSKV_EXCLUDES(mutex_);
  /// Waits for the connections that are lent or being made, closes all, and refuses later calls with Closed.
  /// Idempotent.
  void close() TUSKV_EXCLUDES(mutex_);

 private:
  friend class Lease;
  struct Slot {
    enum class State : std::uint8_t { empty, idle, lent };  ///< lent: also while its connection is made
    State state = State::empty;
    std::unique_ptr<Connection> connection;
    os::Deadline fresh_until = {};  ///< idle: its last answer came a moment ago
  };

  std::size_t find_slot(std::size_t preferred) const TUSKV_REQUIRES(mutex_);
  /// Whether nothing that is at work or waited for can give this caller a connection in time.
  bool is_hopeless(os::Deadline deadline) const TUSKV_REQUIRES(mutex_);
  /// A caller's own attempt. Nothing when it was cut short and the pool's thread goes on, or may be tried again.
  /// Where memory runs out the slot is given back.
  std::optional<Result<Lease>> connect_in(std::size_t slot, os::Deadline attempt_until) TUSKV_EXCLUDES(mutex_);
  /// The same, but that the slot then stays lent.
  std::optional<Result<Lease>> try_to_connect(std::size_t slot, os::Deadline attempt_until) TUSKV_EXCLUDES(mutex_);
  /// The slot is lent; it goes to the pool's thread.
  void connect_behind(std::size_t slot) noexcept TUSKV_REQUIRES(mutex_);
  void run_behind(std::size_t slot) TUSKV_EXCLUDES(mutex_);
  void note_connected(std::size_t slot, std::unique_ptr<Connection> connection) TUSKV_REQUIRES(mutex_);
  /// Gives the slot up.
  void note_failed(std::size_t slot, const Failure& failure) TUSKV_REQUIRES(mutex_);
  void put_back(std::size_t slot) TUSKV_EXCLUDES(mutex_);
  void end_loan(std::size_t slot, Slot::State state) TUSKV_REQUIRES(mutex_);
  void postpone_attempts() TUSKV_REQUIRES(mutex_);
  Status late() const TUSKV_REQUIRES(mutex_);

  const Connect connect_;
  const std::uint64_t id_;  ///< tells the pools of a thread's affinity apart
  os::Mutex mutex_;
  os::CondVar returned_;  ///< after closing: a connection has come back
  std::vector<Slot> slots_ TUSKV_GUARDED_BY(mutex_);
  std::size_t lent_ TUSKV_GUARDED_BY(mutex_) = 0;
  WaitingLine line_ TUSKV_GUARDED_BY(mutex_);
  bool closed_ TUSKV_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Failure> last_failure_ TUSKV_GUARDED_BY(mutex_);  ///< of attempts to connect in a row; null: none
  GrowingPause pause_ TUSKV_GUARDED_BY(mutex_){kReconnectMsFirst, kReconnectMsMax};
  os::Deadline next_attempt_ TUSKV_GUARDED_BY(mutex_) = {};
  bool may_connect_behind_ TUSKV_GUARDED_BY(mutex_) = false;
  bool connects_behind_ TUSKV_GUARDED_BY(mutex_) = false;  ///< the pool's thread is at work
  std::thread behind_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
