#include <algorithm>
#include <chrono>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "checks.h"
#include "coordination/lease_keeper.h"
#include "coordination/lock_attempt.h"
#include "coordination/records.h"
#include "coordination/reserved.h"
#include "key_text.h"
#include "named_limits.h"
#include "os/deadline.h"
#include "run.h"
#include "throw.h"

namespace tuskv {
namespace {

using namespace coordination;

/// A lease as the bytes it stands for, checked: it may be one that the caller made.
struct StoredLease {
  StoredLease(const View& view, const Lease& lease)
      : key(named_key(view, kLockSpace, lease.name, "the name of a lock")),
        record(encode_lock(lease.token, checked_owner(lease.owner))) {}
  Condition is_held() const { return {.kind = Condition::Kind::equals, .bytes = record}; }

  std::string key;
  std::string record;
};

LockHolder holder_of(const Read& read, const std::string& record) {
  auto decoded = decode_lock(record);
  if (!decoded) throw_unknown_record("lock", read.key);
  return {.owner = std::move(decoded->owner),
          .token = decoded->token,
          .expires_at = TimePoint(std::chrono::microseconds(read.seen.expires_us))};
}

std::int64_t checked_wait_ms(const View& view, std::optional<Duration> wait) {
  if (!wait) return view.timeout_ms;
  const std::int64_t ms = wait->milliseconds();
  if (ms < 0 || ms > kTimeoutMsMax) throw_refused(Code::InvalidArgument, "the wait for a lock must be 0 to 1 day");
  return ms;
}

/// The pause of one who waits: random, so that contenders come apart, and longer each time.
class WaitPause final {
 public:
  /// False when there is no time left to wait.
  bool sleep(os::Deadline deadline) {
    const std::chrono::microseconds left = os::time_left(deadline);
    if (left.count() == 0) return false;
    const std::chrono::microseconds pause(
        std::uniform_int_distribution<std::int64_t>(longest_us_ / 2, longest_us_)(random_));
    longest_us_ = std::min(longest_us_ * 2, kLockPauseUsMax);
    std::this_thread::sleep_for(std::min(pause, left));
    return true;
  }

 private:
  std::int64_t longest_us_ = 500;
  std::minstd_rand random_{std::random_device{}()};
};

/// With the thread that renews it; a lock that cannot have one is given back.
std::unique_ptr<LeaseKeeper> keep_renewed(std::unique_ptr<LeaseKeeper> keeper) {
  try {
    keeper->start();
  } catch (const std::system_error&) {
    keeper->unlock();
    throw_refused(Code::Io, "the system has no thread to renew a lock with");
  }
  return keeper;
}

}  // namespace

inline namespace v0 {

// ---- on stores and in transactions

template <class Mode>
auto Operations<Mode>::renew(const Lease& lease, std::optional<Duration> ttl) const -> Reply<bool> {
  const StoredLease stored(*view_, lease);
  const Expiry expiry{.kind = Expiry::Kind::at_least,
                      .value = checked_span_ms(*view_, ttl.value_or(lease.ttl), "the ttl of a lock")};
  return run(Mode(), view_, Touch{.key = stored.key, .condition = stored.is_held(), .expiry = expiry},
             [](auto reply) { return reply.command.applied; });
}

template <class Mode>
auto Operations<Mode>::unlock(const Lease& lease) const -> Reply<bool> {
  const StoredLease stored(*view_, lease);
  return run(Mode(), view_, Erase{.key = stored.key, .condition = stored.is_held()},
             [](auto reply) { return reply.command.applied; });
}

template <class Mode>
auto Operations<Mode>::lock_holder(Bytes name) const -> Reply<std::optional<LockHolder>> {
  const std::string key = named_key(*view_, kLockSpace, name.view(), "the name of a lock");
  return run(Mode(), view_, Read{.key = key}, [](auto reply) -> std::optional<LockHolder> {
    if (!reply.command.seen.found) return std::nullopt;
    return holder_of(reply.command, reply.value);
  });
}

template Blocking::Reply<bool> Operations<Blocking>::renew(const Lease&, std::optional<Duration>) const;
template Asynchronous::Reply<bool> Operations<Asynchronous>::renew(const Lease&, std::optional<Duration>) const;
template Blocking::Reply<bool> Operations<Blocking>::unlock(const Lease&) const;
template Asynchronous::Reply<bool> Operations<Asynchronous>::unlock(const Lease&) const;
template Blocking::Reply<std::optional<LockHolder>> Operations<Blocking>::lock_holder(Bytes) const;
template Asynchronous::Reply<std::optional<LockHolder>> Operations<Asynchronous>::lock_holder(Bytes) const;

std::optional<Lease> KeyValue::try_lock(Bytes name, const TryLockOptions& options) const {
  return attempt_lock(*view(), LockRequest(*view(), name, options.ttl, options.owner)).lease;
}

// ---- waiting, and holding

Lock Store::lock(Bytes name, const LockOptions& options) const {
  const LockRequest request(*view(), name, options.ttl, options.owner);
  const std::int64_t wait_ms = checked_wait_ms(*view(), options.wait);
  const os::Deadline patience = os::deadline_in(wait_ms);
  WaitPause pause;
  while (true) {
    const os::Deadline end = os::deadline_in(request.ttl_ms);
    LockAttempt attempt = attempt_lock(*view(), request);
    if (attempt.lease) {
      auto keeper = std::make_unique<LeaseKeeper>(*this, view()->timeout_ms, view()->fork_guard, *attempt.lease,
                                                  request.ttl_ms, end);
      if (options.auto_renew) keeper = keep_renewed(std::move(keeper));
      return Lock(*std::move(attempt.lease), std::move(keeper));
    }
    if (!pause.sleep(patience)) {
      throw_refused(Code::Timeout, "the lock " + quoted_key(request.key) + " was not free within " +
                                       std::to_string(wait_ms) + " ms: " + quoted_key('\0' + attempt.holder) +
                                       " holds it");
    }
  }
}

Lock::Lock(Lease lease, std::unique_ptr<LeaseKeeper> keeper) noexcept
    : lease_(std::move(lease)), keeper_(std::move(keeper)) {}

Lock::Lock(Lock&&) noexcept = default;

Lock& Lock::operator=(Lock&& other) noexcept {
  Lock taken(std::move(other));
  std::swap(lease_, taken.lease_);
  std::swap(keeper_, taken.keeper_);
  return *this;  // what was held before is unlocked with `taken`
}

Lock::~Lock() {
  if (keeper_ == nullptr) return;
  if (keeper_->in_child()) {
    // The thread that renews is not in this process, and the lock is the parent's.
    static_cast<void>(keeper_.release());
    return;
  }
  try {
    keeper_->unlock();
  } catch (...) {
    return;  // whatever it is, want of memory too: it ends with its TTL
  }
}

bool Lock::held() const noexcept { return keeper_ != nullptr && keeper_->held(); }

bool Lock::renew() { return keeper_ != nullptr && keeper_->renew(); }

bool Lock::unlock() { return keeper_ != nullptr && keeper_->unlock(); }

}  // namespace v0
}  // namespace tuskv
