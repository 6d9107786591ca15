// The batches of one lane that wait for their turn. All decisions of the rule (batcher.h) are made here; nothing here
// runs a batch or sleeps but wait_until_idle().
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "os/mutex.h"
#include "postgres/batch.h"
#include "postgres/lane_load.h"

namespace tuskv::postgres {

using BatchPointer = std::shared_ptr<Batch>;

/// A batch whose turn has come. `leader` is to be woken; null: one of the batcher's threads leads.
struct BatchCall {
  BatchPointer batch = {};
  Batch::Seat* leader = nullptr;
};

/// Thread-safe.
class alignas(64) BatchQueue final {
 public:
  struct Joiner {
    std::span<Unit> units = {};
    os::Deadline deadline = {};
    Submission* submission = nullptr;  ///< null: a thread waits
    /// Of a batch for a key: since when the key is waited for, from turn to turn; nothing: from now on.
    std::optional<os::Deadline> held_since = {};
  };
  struct Place {
    BatchPointer batch = {};  ///< null: the queue is closed
    Batch::Seat* seat = nullptr;
    bool leads = false;  ///< the batch is `sent`: run it, now
  };
  struct Expired {
    Submission* submission = nullptr;
    bool sent = false;
  };

  struct Rule {
    LaneLoad::Rule load = {};
    BatchWeight cap = {};
    bool by_key = false;  ///< a batch is for one key: those who want others have batches of their own
  };

  explicit BatchQueue(const Rule& rule) : load_(rule.load), cap_(rule.cap), by_key_(rule.by_key) {}

  LaneLoad& load() { return load_; }

  // Each of these appends to `calls` the batches whose turn has come; the caller passes the calls on, holding no lock.
  Place join(const Joiner& joiner, std::vector<BatchCall>& calls) TUSKV_EXCLUDES(mutex_);
  /// Takes a seat out of a batch that is not sent; false when it is, or has ended.
  bool withdraw(const BatchPointer& batch, Batch::Seat& seat, std::vector<BatchCall>& calls) TUSKV_EXCLUDES(mutex_);
  /// A batch has run.
  void finish(const BatchPointer& batch, std::vector<BatchCall>& calls) TUSKV_EXCLUDES(mutex_);
  /// A direct run has ended that somebody waited for.
  void look_after(std::vector<BatchCall>& calls) TUSKV_EXCLUDES(mutex_);
  /// Takes out the submissions that are late; gives the earliest deadline of those that are left.
  os::Deadline expire(os::Deadline now, std::vector<Expired>& expired, std::vector<BatchCall>& calls)
      TUSKV_EXCLUDES(mutex_);

  /// True for the one who was called: the batch is `sent`, run it. Null: one of the batcher's threads.
  bool take(const BatchPointer& batch, const Batch::Seat* leader) TUSKV_EXCLUDES(mutex_);

  /// Lets nobody in any more; gives the batches that were not sent, which are `closed` now.
  std::vector<BatchPointer> close() TUSKV_EXCLUDES(mutex_);
  void wait_until_idle() TUSKV_EXCLUDES(mutex_);
  std::size_t waiting() TUSKV_EXCLUDES(mutex_);

 private:
  BatchPointer find_batch(std::span<const Unit> units, os::Deadline deadline, bool waits) const TUSKV_REQUIRES(mutex_);
  bool admits(const Batch& batch, const BatchWeight& weight, os::Deadline deadline, bool waits) const
      TUSKV_REQUIRES(mutex_);
  /// Whose turn is next; null: nobody's.
  BatchPointer next() const TUSKV_REQUIRES(mutex_);
  void call_ready(std::vector<BatchCall>& calls) TUSKV_REQUIRES(mutex_);
  void after_removal(const BatchPointer& batch, std::vector<BatchCall>& calls) TUSKV_REQUIRES(mutex_);
  void start(const BatchPointer& batch) TUSKV_REQUIRES(mutex_);
  void expire_waiting(const BatchPointer& batch, os::Deadline now, std::vector<Expired>& expired,
                      std::vector<BatchCall>& calls) TUSKV_REQUIRES(mutex_);
  void expire_sent(Batch& batch, os::Deadline now, std::vector<Expired>& expired) TUSKV_REQUIRES(mutex_);
  void drop(const BatchPointer& batch) TUSKV_REQUIRES(mutex_);

  LaneLoad load_;
  const BatchWeight cap_;
  const bool by_key_;
  os::Mutex mutex_;
  os::CondVar idle_;  ///< after closing: a run has ended
  std::deque<BatchPointer> queue_ TUSKV_GUARDED_BY(mutex_);
  std::vector<BatchPointer> sent_ TUSKV_GUARDED_BY(mutex_);  ///< those under way that hold submissions
};

}  // namespace tuskv::postgres
