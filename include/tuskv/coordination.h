#pragma once

// Locks, claims and rate limits: the types. The calls are members of stores and transactions (operations.h, store.h).
// What they keep lies in spaces of the store that no key reaches: each namespace has its own, listings and counts do
// not show it, `clear` leaves it alone, and copies and exports of entries do not carry it. The store's clock decides
// when something ends, never that of the calling process. With `memory:` and `file:` all of it reaches as far as the
// one process that has the store open; with PostgreSQL as far as the table.
//
// What a lock cannot promise. A lock here ends after its TTL unless it is renewed: otherwise a holder that has died
// would keep it for ever. But a holder that only stood still (a page fault, a debugger, a suspended machine) does not
// know that its time is over, and nothing can stop what it does next. So a lock keeps others from *starting* the same
// work; it cannot keep a late holder from *finishing* it. Where two workers at once do harm, the place that is written
// to has to refuse the late one, by the token, a number that is higher each time the lock changes hands:
//
//   auto lock = store.lock("report");
//   storage.write(report, lock.token());     // refuses a token lower than the highest it has seen
//
// For data in the same store that refusal is at hand: renew the lock in the transaction that writes.
//
//   store.transaction([&](tuskv::Transaction& tx) {
//     if (!tx.renew(lock.lease())) throw LockLost();
//     tx.set("report", report);              // commits only if the lock is held at that moment
//   });

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "tuskv/bytes.h"
#include "tuskv/export.h"
#include "tuskv/time.h"

namespace tuskv {

class LeaseKeeper;  // internal

inline namespace v0 {

class Store;

/// A lock as its holder knows it: what renew and unlock are told. It is a value: copy it, store it, hand it on.
struct Lease {
  std::string name = {};
  std::string owner = {};
  /// The fencing token: higher with every change of hands, over releases, restarts and crashes, as far as the store
  /// keeps what it was told (Options::durability; a `memory:` store starts again).
  std::uint64_t token = 0;
  /// What it was taken for; what renew gives it again.
  Duration ttl = std::chrono::seconds(30);
};

/// Who holds a lock.
struct LockHolder {
  std::string owner = {};
  std::uint64_t token = 0;
  TimePoint expires_at = {};
};

struct TryLockOptions {
  /// The lock ends this long from now unless it is renewed: 1 ms to 1000 years.
  Duration ttl = std::chrono::seconds(30);
  /// Who asks, 1 to 255 bytes. A holder that asks again gets its lease back with the same token, and the lock then ends
  /// `ttl` from now, or when it would have anyway if that is later. Nothing is counted: the first unlock, or the first
  /// Lock that dies, releases it for all of that owner. Lent until the call ends. Default: a random text that nobody
  /// else has, so that no call is taken for a repeated one.
  std::optional<Bytes> owner = {};
};

struct LockOptions {
  /// As for try_lock.
  Duration ttl = std::chrono::seconds(30);
  /// How long to wait for it, 0 to 1 day. Default: the timeout of the store. Each time it is asked for is a call of its
  /// own, so the last one may take the store's timeout on top.
  std::optional<Duration> wait = {};
  /// Renews it in the background, three times in each `ttl`, by a thread of its own, as long as the Lock lives. Such a
  /// renewal is given up after a quarter of `ttl`, and soon tried again. Without, the lock ends with its TTL.
  bool auto_renew = true;
  /// As for try_lock.
  std::optional<Bytes> owner = {};
};

/// Holds a lock as long as it lives, and keeps the store open. Movable; one thread at a time, but for held(), which any
/// may ask.
class TUSKV_API Lock {
 public:
  Lock(Lock&&) noexcept;
  Lock& operator=(Lock&&) noexcept;
  /// Unlocks, which ends the thread that renews and may take up to the store's timeout. Problems are not
  /// reported: at worst the lock ends with its TTL. Call unlock() to see them.
  ~Lock();

  const Lease& lease() const& noexcept { return lease_; }
  std::uint64_t token() const& noexcept { return lease_.token; }
  // A lock that is not kept has been unlocked before either can be used.
  const Lease& lease() const&& = delete;
  std::uint64_t token() const&& = delete;
  /// False once it is known, or has to be feared, that the lock is gone: it was unlocked, a renewal was refused, or
  /// none has come through for a whole TTL; and in a child of fork: the lock is the parent's. A cheap look before each
  /// step of long work; no guarantee (see above). An unlock by somebody else with the same owner, or lease, is noticed
  /// by the next renewal.
  bool held() const noexcept;
  /// Lets it live for its TTL from now at least; false when it is gone.
  bool renew();
  /// True when it was held until now. Idempotent: false once it has succeeded; after an error call it again.
  bool unlock();

 private:
  friend class Store;
  Lock(Lease lease, std::unique_ptr<LeaseKeeper> keeper) noexcept;

  Lease lease_;
  std::unique_ptr<LeaseKeeper> keeper_;  ///< null once it was moved from
};

struct ClaimOptions {
  /// The claim ends this long from now. Default: it stays until it is released (the default TTL of a view is for
  /// entries).
  std::optional<Duration> ttl = {};
};

/// What became of a claim; true when the caller's owner has it.
struct ClaimResult {
  bool granted = false;
  std::string owner = {};  ///< who has it now
  explicit operator bool() const noexcept { return granted; }
};

/// Which claims of an owner. Names come in bytewise order.
struct ClaimListOptions {
  /// Only names that start with these bytes.
  Bytes prefix = {};
  /// Continue behind this name; usually the `next` of the last page.
  Bytes after = {};
  /// 1 to 10000 names a page.
  std::size_t limit = 100;
};

struct RateLimitOptions {
  /// What one window grants, 0 (nothing) to 10^15. Has to be given.
  std::int64_t limit = -1;
  /// How long a window lasts, from its first granted hit. Has to be given. A window that runs keeps its end.
  Duration window = std::chrono::milliseconds(0);
  /// What this hit counts: 1 to 10^15. One that costs more than remains is denied and counts nothing.
  std::int64_t cost = 1;
};

/// The answer to a hit; true when it was granted.
struct RateLimitResult {
  bool allowed = false;
  std::int64_t remaining = 0;                  ///< of the limit, in this window
  std::chrono::milliseconds reset_after = {};  ///< until the window ends, rounded up; 0: none is running
  explicit operator bool() const noexcept { return allowed; }
};

/// The window of a rate limit that is running, if one is.
struct RateLimitWindow {
  std::int64_t granted = 0;                    ///< so far
  std::chrono::milliseconds reset_after = {};  ///< until it ends, rounded up; 0: none is running
};

static_assert(std::is_trivially_destructible_v<TryLockOptions> && std::is_trivially_destructible_v<LockOptions> &&
              std::is_trivially_destructible_v<ClaimOptions> && std::is_trivially_destructible_v<ClaimListOptions> &&
              std::is_trivially_destructible_v<RateLimitOptions>);

}  // namespace v0
}  // namespace tuskv
