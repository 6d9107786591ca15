#include "postgres/pool.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "postgres/limits.h"

namespace tuskv::postgres {
namespace {

constexpr std::size_t kNoSlot = SIZE_MAX;

/// The connection this thread used last, of the pool it used last.
struct Affinity {
  std::uint64_t pool = 0;
  std::size_t slot = 0;
};

Affinity& affinity() {
  thread_local Affinity last;
  return last;
}

std::uint64_t next_pool_id() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

Status none_free() { return Status(Code::Timeout, "the deadline passed before a connection became free (pool_size)"); }

/// Trying again cannot help: what is wrong is the request.
bool is_final(const Failure& failure) { return failure.code != Code::Connection && failure.code != Code::Timeout; }

}  // namespace

Lease::~Lease() {
  if (pool_ != nullptr) pool_->put_back(slot_);
}

Pool::Pool(std::size_t size, Connect connect)
    : connect_(std::move(connect)), id_(next_pool_id()), slots_(size), random_(std::random_device{}()) {}

std::size_t Pool::find_slot(std::size_t preferred) const {
  const auto is_idle = [](const Slot& slot) { return slot.state == Slot::State::idle; };
  if (preferred < slots_.size() && is_idle(slots_[preferred])) return preferred;
  auto found = std::find_if(slots_.begin(), slots_.end(), is_idle);
  if (found == slots_.end()) {
    found =
        std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.state == Slot::State::empty; });
  }
  return found == slots_.end() ? kNoSlot : static_cast<std::size_t>(found - slots_.begin());
}

Result<Lease> Pool::acquire(os::Deadline deadline, Look look) {
  Affinity& last = affinity();
  os::MutexLock lock(mutex_);
  WaitingLine::Place place(line_);
  for (;;) {
    if (closed_) return closed_status();
    const std::size_t found = place.is_first() ? find_slot(last.pool == id_ ? last.slot : kNoSlot) : kNoSlot;
    // An empty slot is worth nothing while the server could not be reached a moment ago.
    const bool must_pause =
        found != kNoSlot && slots_[found].state == Slot::State::empty && os::time_left(next_attempt_).count() > 0;
    if (found == kNoSlot || must_pause) {
      if (os::time_left(deadline).count() == 0 || (must_pause && next_attempt_ >= deadline)) return late();
      place.wait_until(mutex_, must_pause ? next_attempt_ : deadline);
      continue;
    }
    Slot& slot = slots_[found];
    const bool is_idle = slot.state == Slot::State::idle;
    const bool is_fresh = look == Look::unless_fresh && os::time_left(slot.fresh_until).count() > 0;
    slot.state = Slot::State::lent;
    ++lent_;
    last = {.pool = id_, .slot = found};
    place.leave();
    if (!line_.empty() && find_slot(kNoSlot) != kNoSlot) line_.wake_first();
    if (is_idle) {
      // One poll, a fortieth of a call.
      Connection& connection = *slot.connection;
      if (is_fresh || !connection.looks_dead()) return Lease(*this, found, connection);
      slot.connection.reset();
    }
    lock.unlock();
    Result<Lease> connected = connect_in(found, deadline);
    if (connected.ok() || is_final(connected.failure())) return connected;
    lock.lock();
  }
}

Result<Lease> Pool::connect_in(std::size_t slot, os::Deadline deadline) {
  Result<std::unique_ptr<Connection>> made = connect_(deadline);
  os::MutexLock lock(mutex_);
  if (made.ok()) {
    failures_ = 0;
    last_failure_.reset();
    next_attempt_ = {};
    line_.wake_first();  // it may have paused
    slots_[slot].connection = std::move(made).value();
    return Lease(*this, slot, *slots_[slot].connection);
  }
  slots_[slot].state = Slot::State::empty;
  --lent_;
  if (!is_final(made.failure())) note_failure(made.failure(), deadline);
  closed_ ? returned_.notify_all() : line_.wake_first();
  return std::move(made).status();
}

void Pool::note_failure(const Failure& failure, os::Deadline deadline) {
  // An attempt that its deadline has cut short says less than the one before.
  const bool is_cut_short = os::time_left(deadline).count() == 0;
  if (!is_cut_short || last_failure_ == nullptr) last_failure_ = std::make_unique<Failure>(failure);
  constexpr int kDoublingsMax = 16;
  const std::int64_t longest_ms = std::min(kReconnectMsMax, kReconnectMsFirst << std::min(failures_++, kDoublingsMax));
  // At least half of it: with no pause at all the first ones would come in a burst.
  std::uniform_int_distribution<std::int64_t> pause_ms(longest_ms / 2, longest_ms);
  next_attempt_ = std::max(next_attempt_, os::deadline_in(pause_ms(random_)));
}

/// Why a caller got no connection by its deadline.
Status Pool::late() const {
  return last_failure_ == nullptr ? none_free() : Status(std::make_unique<Failure>(*last_failure_));
}

void Pool::put_back(std::size_t index) {
  std::unique_ptr<Connection> broken;  // closed outside the lock
  os::MutexLock lock(mutex_);
  Slot& slot = slots_[index];
  if (slot.connection->broken() || slot.connection->in_transaction()) {
    broken = std::move(slot.connection);
    slot.state = Slot::State::empty;
  } else {
    slot.state = Slot::State::idle;
    slot.fresh_until = os::deadline_in(0) + std::chrono::microseconds(kFreshUs);
  }
  --lent_;
  closed_ ? returned_.notify_all() : line_.wake_first();
}

void Pool::close() {
  std::vector<std::unique_ptr<Connection>> ended;
  os::MutexLock lock(mutex_);
  closed_ = true;
  line_.wake_all();
  while (lent_ > 0) returned_.wait(mutex_);
  for (Slot& slot : slots_) {
    if (slot.connection) ended.push_back(std::move(slot.connection));
    slot.state = Slot::State::empty;
  }
}

}  // namespace tuskv::postgres
