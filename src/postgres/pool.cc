#include "postgres/pool.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "os/thread.h"
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

Pool::Pool(std::size_t size, Connect connect) : connect_(std::move(connect)), id_(next_pool_id()), slots_(size) {}

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

Result<Lease> Pool::acquire(os::Deadline deadline) {
  Affinity& last = affinity();
  os::MutexLock lock(mutex_);
  WaitingLine::Place place(line_);
  for (;;) {
    if (closed_) return closed_status();
    const std::size_t found = place.is_first() ? find_slot(last.pool == id_ ? last.slot : kNoSlot) : kNoSlot;
    const bool is_idle = found != kNoSlot && slots_[found].state == Slot::State::idle;
    if (!is_idle) {
      // An empty slot is worth nothing while the server could not be reached a moment ago, or the pool's thread tries.
      const bool must_pause = os::time_left(next_attempt_).count() > 0;
      const bool is_late = os::time_left(deadline).count() == 0;
      if (is_late || (found != kNoSlot && is_hopeless(deadline))) return late();
      if (found == kNoSlot || must_pause || connects_behind_) {
        place.wait_until(mutex_, must_pause ? std::min(next_attempt_, deadline) : deadline);
        continue;
      }
    }
    Slot& slot = slots_[found];
    slot.state = Slot::State::lent;
    ++lent_;
    if (!is_idle && may_connect_behind_ && last_failure_ != nullptr && lent_ > 1) {
      connect_behind(found);
      continue;
    }
    std::unique_ptr<Connection> given_up;  // closed outside the lock
    last = {.pool = id_, .slot = found};
    place.leave();
    if (!line_.empty() && find_slot(kNoSlot) != kNoSlot) line_.wake_first();
    if (is_idle) {
      Connection& connection = *slot.connection;  // nobody else's, now that it is lent
      const os::Deadline fresh_until = slot.fresh_until;
      lock.unlock();
      const bool is_dead = os::time_left(fresh_until).count() == 0 && connection.looks_dead();
      if (!is_dead && !connection.is_outdated()) return Lease(*this, found, connection);
      lock.lock();
      given_up = std::move(slot.connection);
    }
    const bool may_be_cut_short = may_connect_behind_ && lent_ > 1;
    lock.unlock();
    given_up.reset();  // before the next is made: the server may allow no more
    std::optional<Result<Lease>> connected =
        connect_in(found, may_be_cut_short ? std::min(deadline, os::deadline_in(kOwnAttemptMsMax)) : deadline);
    if (connected) return *std::move(connected);
    lock.lock();
  }
}

bool Pool::is_hopeless(os::Deadline deadline) const { return lent_ == 0 && next_attempt_ >= deadline; }

std::optional<Result<Lease>> Pool::connect_in(std::size_t index, os::Deadline attempt_until) {
  struct Loan {
    Pool& pool;
    const std::size_t slot;
    bool is_settled = false;
    ~Loan() {
      if (is_settled) return;
      os::MutexLock lock(pool.mutex_);
      pool.end_loan(slot, Slot::State::empty);
    }
  } loan{.pool = *this, .slot = index};
  std::optional<Result<Lease>> connected = try_to_connect(index, attempt_until);
  loan.is_settled = true;
  return connected;
}

std::optional<Result<Lease>> Pool::try_to_connect(std::size_t index, os::Deadline attempt_until) {
  Result<std::unique_ptr<Connection>> made = connect_(attempt_until);
  os::MutexLock lock(mutex_);
  if (made.ok()) {
    note_connected(index, std::move(made).value());
    line_.wake_first();  // it may have paused
    return Lease(*this, index, *slots_[index].connection);
  }
  const bool is_cut_short = os::time_left(attempt_until).count() == 0;
  if (is_cut_short && !closed_ && !is_final(made.failure())) {
    // Says less than one that has ended by itself.
    if (last_failure_ == nullptr) last_failure_ = std::make_unique<Failure>(made.failure());
    if (may_connect_behind_ && !connects_behind_) {
      connect_behind(index);
    } else {
      end_loan(index, Slot::State::empty);
    }
    return std::nullopt;
  }
  note_failed(index, made.failure());
  if (is_final(made.failure())) return std::move(made).status();
  return std::nullopt;
}

void Pool::connect_on() {
  os::MutexLock lock(mutex_);
  may_connect_behind_ = true;
}

void Pool::connect_behind(std::size_t slot) noexcept {
  if (behind_.joinable()) behind_.join();  // it has nothing more to do
  connects_behind_ = os::start_thread(behind_, "connects", [this, slot] { run_behind(slot); }).ok();
  if (connects_behind_) return;
  // The system gives no thread: callers try again themselves.
  end_loan(slot, Slot::State::empty);
  postpone_attempts();
}

void Pool::run_behind(std::size_t slot) {
  Result<std::unique_ptr<Connection>> made = connect_(os::deadline_in(kAttemptBehindMs));
  os::MutexLock lock(mutex_);
  connects_behind_ = false;
  if (made.ok()) {
    note_connected(slot, std::move(made).value());
    end_loan(slot, Slot::State::idle);
  } else {
    note_failed(slot, made.failure());
  }
}

void Pool::note_connected(std::size_t slot, std::unique_ptr<Connection> connection) {
  pause_.start_over();
  last_failure_.reset();
  next_attempt_ = {};
  slots_[slot].connection = std::move(connection);
}

void Pool::note_failed(std::size_t slot, const Failure& failure) {
  if (!is_final(failure)) {
    last_failure_ = std::make_unique<Failure>(failure);
    postpone_attempts();
  }
  end_loan(slot, Slot::State::empty);
}

void Pool::postpone_attempts() { next_attempt_ = std::max(next_attempt_, os::deadline_in(pause_.next_ms())); }

/// Why a caller got no connection by its deadline.
Status Pool::late() const {
  return last_failure_ == nullptr ? none_free() : Status(std::make_unique<Failure>(*last_failure_));
}

void Pool::put_back(std::size_t index) {
  std::unique_ptr<Connection> broken;  // closed outside the lock
  const os::Deadline fresh_until = os::deadline_in(0) + std::chrono::microseconds(kFreshUs);
  os::MutexLock lock(mutex_);
  Slot& slot = slots_[index];
  if (slot.connection->broken() || slot.connection->in_transaction()) {
    broken = std::move(slot.connection);
    end_loan(index, Slot::State::empty);
  } else {
    slot.fresh_until = fresh_until;
    end_loan(index, Slot::State::idle);
  }
}

void Pool::end_loan(std::size_t slot, Slot::State state) {
  slots_[slot].state = state;
  --lent_;
  closed_ ? returned_.notify_all() : line_.wake_first();
}

void Pool::close() {
  std::vector<std::unique_ptr<Connection>> ended;
  std::thread behind;
  {
    os::MutexLock lock(mutex_);
    closed_ = true;
    line_.wake_all();
    while (lent_ > 0) returned_.wait(mutex_);
    for (Slot& slot : slots_) {
      if (slot.connection) ended.push_back(std::move(slot.connection));
      slot.state = Slot::State::empty;
    }
    behind = std::move(behind_);
  }
  if (behind.joinable()) behind.join();
}

}  // namespace tuskv::postgres
