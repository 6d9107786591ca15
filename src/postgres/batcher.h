// The adaptive batcher: who goes at once, who joins which batch, who sends it, and how everybody gets away. It knows
// nothing of SQL or connections.
//
// The rule. Each lane remembers its peak of callers: the most that were inside, less 0.2 % with every arrival. While it
// is at most `direct_callers`, a caller goes at once on a batch of its own: with few callers a batch only adds waiting.
// Above, callers join the batch that is forming, and it goes when nothing of the lane is under way, or fewer than
// `batches` and its size is `fill` of the peak: one round trip for all is what makes many callers fast, and several
// batches at once keep both sides busy. Whoever makes the condition true acts: a joiner sends its batch itself, without
// any wake-up; a leader that has finished wakes the next leader first and then its own followers with one system call.
//
// Invariants, each with a test:
//  - A command joins only a batch that is not sent. The snapshot of one under way may be older than a write that has
//    returned meanwhile.
//  - The leader of a batch is the member with the latest deadline, so it never has to hand over a half-read connection.
//    With equal timeouts that is the last joiner, which is the one awake. When it is a submission, a thread of the
//    batcher leads.
//  - Everybody returns by its deadline, but for the moments somebody has it pinned: with nothing applied, or, once the
//    executor has noted that it sends for it, with the outcome of its writes unknown. Nobody touches its memory
//    afterwards.
//  - A batch waits only while another of its lane runs, so there is always somebody who will look after it, and a lane
//    never waits for another one. Batches that lock rows are the executor's matter: it locks in key order.
//  - In Lane::held a key that is tried for the first times does not wait behind all others, and none waits for ever.
//  - A submission ends exactly once, on a thread of the batcher or inside of submit(): never on the thread of another
//    caller, which may hold locks of its own.
//  - However a run ends, its lane goes on. One that finds no memory, for the answer above all, fails its members alone.
//  - One call is one member: its units keep their order. Calls of one thread follow each other anyway.
//
// Left out. Calls of one span over several lanes at once: the engine makes one call a lane. Adapting `direct_callers`
// and `batches` to the server: options, which the engine can derive from the round trip it sees. Handing a connection
// to another member when the leader is late: it never is. Waiting a moment for a batch to grow: does not pay.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "commands.h"
#include "engine.h"
#include "os/deadline.h"
#include "postgres/batch_member.h"
#include "postgres/batch_queue.h"
#include "postgres/batch_threads.h"
#include "postgres/lane.h"
#include "status.h"

namespace tuskv::postgres {

/// Of one lane, unless it says otherwise. Counts are 1 to kLaneRunsMax.
struct BatcherOptions {
  std::uint32_t direct_callers = 4;   ///< so many callers have a batch each
  std::uint32_t batches = 4;          ///< under way at once when there are more callers
  std::uint32_t generic_batches = 1;  ///< the same for Lane::generic: its batches would only block each other on rows
  std::uint32_t held_batches = 1;     ///< Lane::held; so many keys are waited for at once
  std::uint32_t listings = 1;         ///< Lane::listing
  std::uint32_t range_erases = 1;     ///< Lane::erasing
  double fill = 0.2;                  ///< the part of the callers that makes a batch worth sending beside others
  std::size_t batch_keys = 256;       ///< a call with more, or with more bytes, is a batch of its own
  std::size_t batch_bytes = std::size_t{1} << 20;
};

/// Sends batches. Called from many threads at once.
class BatchExecutor {
 public:
  virtual ~BatchExecutor() = default;
  /// Runs the members as one batch, on a connection of its own choosing, and fills every unit's replies or failure
  /// (only while pinned), having noted with each that writes before it sends. Returns by `deadline`, the latest of the
  /// members'. Throws, with nobody pinned, where memory runs out: then all members fail, whatever they were answered.
  virtual void run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) = 0;
};

/// Thread-safe.
class Batcher final {
 public:
  Batcher(BatchExecutor& executor, const BatcherOptions& options);
  /// Closes. Nobody may be inside execute() or submit(), and the thread must not be one of the batcher's own.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Runs units that belong to one lane as one member of a batch. Blocks until they have ended, which is when the
  /// shortest of their timeouts is over at the latest. `held_since`, for Lane::held: how long their key is waited for.
  /// Where there is no memory for joining a batch, some hundred bytes, the process ends: others may be in it already.
  void execute(Lane lane, std::span<Unit> units, std::optional<os::Deadline> held_since = {}) noexcept;
  /// Runs one unit without blocking the caller. Where memory runs out the process ends: nobody could say any more
  /// whether the unit is under way.
  void submit(Lane lane, Submission& submission, std::optional<os::Deadline> held_since = {}) noexcept;
  /// Refuses new members, ends waiting ones, both with Closed, and returns when no batch runs any more. Idempotent; may
  /// be called inside of a submission's `done`.
  void close();

  /// Members in batches that are not sent.
  std::size_t waiting(Lane lane) { return queue_of(lane).waiting(); }
  /// Batches under way.
  std::size_t running(Lane lane) { return queue_of(lane).load().running(); }

 private:
  BatchQueue& queue_of(Lane lane) { return queues_[static_cast<std::size_t>(lane)]; }

  void run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) noexcept;
  void run_directly(Lane lane, std::span<Unit> units, os::Deadline deadline);
  void run_in_batch(Lane lane, const BatchQueue::Joiner& joiner);
  void lead(Lane lane, const BatchPointer& batch) noexcept;
  void lead_as_member(Lane lane, const BatchPointer& batch);
  void follow(Lane lane, const BatchQueue::Place& place);
  void leave_late(Lane lane, const BatchQueue::Place& place);
  void call(Lane lane, const std::vector<BatchCall>& calls);

  void lead_for_submissions(const BatchThreads::Job& job);
  void end_submissions(Lane lane, Batch& batch);
  os::Deadline expire_submissions(os::Deadline now);

  BatchExecutor& executor_;
  std::array<BatchQueue, kLanes> queues_;
  BatchThreads threads_;
};

}  // namespace tuskv::postgres
