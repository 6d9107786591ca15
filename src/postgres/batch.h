// One batch, from its first member to the reply. It lives on the heap, held by everyone who waits for it, so that a
// member that gives up leaves nothing behind that another thread could miss.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "engine.h"
#include "os/wait_word.h"
#include "postgres/batch_member.h"

namespace tuskv::postgres {

/// What a statement is charged for.
struct BatchWeight {
  std::size_t keys = 0;
  std::size_t bytes = 0;
};
BatchWeight weight_of(std::span<const Unit> units);

struct Batch {
  enum class Phase : std::uint8_t {
    forming,
    called,  ///< its turn has come and its leader has been woken; members may still join
    sent,
    done,
    closed,  ///< ended with nothing sent
  };
  struct Seat {
    Seat(std::span<Unit> units, os::Deadline deadline, os::WaitWord* wakes) : member(units, deadline, wakes) {}

    BatchMember member;
    Submission* submission = nullptr;  ///< null: a thread waits
    std::uint32_t waits_as = 0;        ///< its bit in `word`
    bool taken = true;
  };

  os::WaitWord word;  ///< moves when the phase does, for the leader alone until it is `done` or `closed`
  std::atomic<Phase> phase = Phase::forming;

  // Guarded by the mutex of the queue it is in; what it holds once sent does not change but for members' own states.
  std::string key = {};            ///< in Lane::held, of a batch that others who want the key may join
  os::Deadline queued_since = {};  ///< in Lane::held
  os::Deadline held_since = {};    ///< in Lane::held: the key is waited for, from turn to turn
  std::deque<Seat> seats = {};
  std::size_t taken = 0;  ///< seats
  BatchWeight weight = {};
  os::Deadline latest = os::Deadline::min();
  bool has_submissions = false;
  os::Deadline earliest_submission = os::Deadline::max();
  /// The one with the latest deadline; null when that is a submission, so that one of the batcher's threads leads.
  Seat* leader = nullptr;
  bool called_thread = false;  ///< when called: one of the batcher's threads, not the leader above
  std::vector<BatchMember*> sent = {};

  Seat& add(std::span<Unit> units, os::Deadline deadline, Submission* submission);
  /// Of a batch not sent.
  void remove(Seat& seat);

 private:
  void count(Seat& seat);
};

}  // namespace tuskv::postgres
