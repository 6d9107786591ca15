// What one caller asked for, in a batch, and who may touch its memory. A caller lends its units and may leave at its
// deadline while another thread runs the batch; a member is therefore pinned for the moments in which that thread reads
// or writes the caller's memory, and nobody touches it once the caller has given it up.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "commands.h"
#include "os/wait_word.h"

namespace tuskv::postgres {

class BatchMember final {
 public:
  /// `wakes` is advanced when the caller waits for a pin to end; without it the caller runs the batch itself and cannot
  /// give up, so that pins cost nothing.
  BatchMember(std::span<Unit> units, os::Deadline deadline, os::WaitWord* wakes = nullptr)
      : units_(units), deadline_(deadline), wakes_(wakes) {}
  BatchMember(const BatchMember&) = delete;
  BatchMember& operator=(const BatchMember&) = delete;

  /// False when the caller has given up: skip the member, whatever has been sent for it. Otherwise its caller stays
  /// until unpin(), so pin for encoding or decoding, never while waiting for the server. Not recursive.
  [[nodiscard]] bool pin() {
    if (wakes_ == nullptr) return true;
    State expected = State::live;
    return state_.compare_exchange_strong(expected, State::pinned, std::memory_order_acquire);
  }
  void unpin() {
    if (wakes_ == nullptr) return;
    if (state_.exchange(State::live, std::memory_order_release) == State::pinned_and_wanted) wakes_->advance();
  }

  /// To be touched while pinned; how many there are may be asked at any time. Units that touch the same key take effect
  /// in their order.
  std::span<Unit> units() const { return units_; }
  /// While pinned: what can take effect is about to be sent.
  void note_sent() { sent_ = true; }
  /// Once given up: it was noted, so that nobody knows what became of it.
  bool sent() const { return sent_; }
  /// At any time.
  os::Deadline deadline() const { return deadline_; }

  /// The caller's side: afterwards nobody touches the units. False when that has happened before, or while somebody has
  /// it pinned, who then advances `wakes`.
  [[nodiscard]] bool give_up() {
    State expected = State::live;
    if (state_.compare_exchange_strong(expected, State::gone, std::memory_order_acq_rel)) return true;
    if (expected == State::pinned) state_.compare_exchange_strong(expected, State::pinned_and_wanted);
    return false;
  }

 private:
  enum class State : std::uint8_t { live, pinned, pinned_and_wanted, gone };

  const std::span<Unit> units_;
  const os::Deadline deadline_;
  os::WaitWord* const wakes_;
  bool sent_ = false;
  std::atomic<State> state_ = State::live;
};

}  // namespace tuskv::postgres
