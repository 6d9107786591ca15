#include "contract/coordination_histories.h"

#include <mutex>
#include <utility>

namespace tuskv::test {
namespace {

const std::string kLock = "lock";
const std::string kClaim = "claim";
const std::string kWindow = "window";
/// An entry that is written together with a claim, or by the holder of the lock.
const std::string kData = "data";
constexpr std::int64_t kLimit = 6;

/// What a lease, an owner or a count says of the state when the store said that it fits, or that it does not.
Sighting judged(const std::string& key, const std::string& value, bool fits) {
  return {.key = key, .kind = fits ? Sighting::Kind::equals : Sighting::Kind::is_not, .value = value};
}

/// The state of a window that has granted so much.
Sighting granted(std::int64_t hits) {
  return saw(kWindow, hits == 0 ? std::nullopt : std::optional(std::to_string(hits)));
}

}  // namespace

void CoordinationClient::take_lock(Call& call) {
  std::optional<Lease> lease = store_.try_lock(kLock, {.ttl = kHistorySpan});
  if (!lease) {
    call.seen = {{.key = kLock, .kind = Sighting::Kind::present}};
    return;
  }
  const std::string token = std::to_string(lease->token);
  call.seen = {saw(kLock, std::nullopt)};
  call.done = {{kLock, token}};
  lease_ = std::move(lease);
}

/// Refused when the lock is gone: what a late holder writes must not get in.
void CoordinationClient::write_under_lock(Call& call) {
  const std::string token = std::to_string(lease_->token);
  std::optional<std::string> before;
  const bool written = store_.transaction([&](Transaction& tx) {
    if (!tx.renew(*lease_)) return false;
    before = tx.get(kData);
    tx.set(kData, token);
    return true;
  });
  call.seen = {judged(kLock, token, written)};
  if (!written) return;
  call.seen.push_back(saw(kData, before));
  call.done = {{kData, token}};
}

void CoordinationClient::call_lock(Call& call) {
  const std::uint64_t choice = random_.below(100);
  if (!lease_ || choice < 35) return take_lock(call);
  const std::string token = std::to_string(lease_->token);
  if (choice < 55) return write_under_lock(call);
  if (choice < 65) {
    call.seen = {judged(kLock, token, store_.renew(*lease_, kHistorySpan))};
  } else if (choice < 85) {
    const bool unlocked = store_.unlock(*lease_);
    call.seen = {judged(kLock, token, unlocked)};
    if (unlocked) call.done = {{kLock, std::nullopt}};
  } else {
    const std::optional<LockHolder> holder = store_.lock_holder(kLock);
    call.seen = {saw(kLock, holder ? std::optional(std::to_string(holder->token)) : std::nullopt)};
  }
}

/// An owner that nobody has been: granted means that nobody had the name.
void CoordinationClient::take_claim(Call& call) {
  std::string owner = fresh_owner();
  const bool with_data = random_.chance(50);
  ClaimResult result;
  if (with_data) {
    result = store_.transaction([&](Transaction& tx) {
      ClaimResult claimed = tx.claim(kClaim, owner, {.ttl = kHistorySpan});
      if (claimed) tx.set(kData, owner);
      return claimed;
    });
  } else {
    result = store_.claim(kClaim, owner, {.ttl = kHistorySpan});
  }
  call.seen = {saw(kClaim, result ? std::nullopt : std::optional(result.owner))};
  if (!result) return;
  call.done = {{kClaim, owner}};
  if (with_data) call.done.push_back({kData, owner});
  owner_ = std::move(owner);
}

void CoordinationClient::call_claim(Call& call) {
  const std::uint64_t choice = random_.below(100);
  if (choice < 40) {
    take_claim(call);
  } else if (choice < 60) {
    const bool released = store_.release_claim(kClaim, owner_);
    call.seen = {judged(kClaim, owner_, released)};
    if (released) call.done = {{kClaim, std::nullopt}};
  } else if (choice < 75) {
    std::string heir = fresh_owner();
    const bool moved = store_.move_claim(kClaim, owner_, heir);
    call.seen = {judged(kClaim, owner_, moved)};
    if (!moved) return;
    call.done = {{kClaim, heir}};
    owner_ = std::move(heir);
  } else {
    call.seen = {saw(kClaim, store_.claim_owner(kClaim))};
  }
}

void CoordinationClient::call_limit(Call& call) {
  const std::uint64_t choice = random_.below(100);
  if (choice < 70) {
    const auto cost = static_cast<std::int64_t>(1 + random_.below(3));
    const RateLimitResult hit = store_.rate_limit(kWindow, {.limit = kLimit, .window = kHistorySpan, .cost = cost});
    const std::int64_t after = kLimit - hit.remaining;
    call.seen = {granted(hit ? after - cost : after)};
    if (hit) call.done = {{kWindow, std::to_string(after)}};
  } else if (choice < 90) {
    call.seen = {granted(store_.peek_rate_limit(kWindow).granted)};
  } else {
    const bool was_running = store_.reset_rate_limit(kWindow);
    call.seen = {{.key = kWindow, .kind = was_running ? Sighting::Kind::present : Sighting::Kind::absent}};
    call.done = {{kWindow, std::nullopt}};
  }
}

void CoordinationClient::pass_time() {
  const std::unique_lock<std::shared_mutex> alone(time_.passing);
  recorder_.record([&](Call& call) {
    time_.pass_span();
    call.done = {{kLock, std::nullopt}, {kClaim, std::nullopt}, {kWindow, std::nullopt}};
  });
}

void CoordinationClient::call_any() {
  const std::uint64_t choice = random_.below(100);
  if (choice >= 95) return pass_time();
  const std::shared_lock<std::shared_mutex> together(time_.passing);
  const std::uint64_t token_before = lease_ ? lease_->token : 0;
  recorder_.record([&](Call& call) {
    if (choice < 40) {
      call_lock(call);
    } else if (choice < 70) {
      call_claim(call);
    } else {
      call_limit(call);
    }
  });
  if (!lease_ || lease_->token == token_before) return;
  taken_.push_back({.token = lease_->token, .called = calls().back().called, .returned = calls().back().returned});
}

}  // namespace tuskv::test
