#include "coordination/lock_attempt.h"

#include <array>
#include <random>

#include "backoff.h"
#include "coordination/reserved.h"
#include "key_text.h"
#include "named_limits.h"
#include "os/deadline.h"
#include "run.h"
#include "throw.h"

namespace tuskv::coordination {
namespace {

/// 128 random bits: nobody else has the same.
std::string random_owner() {
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr int kWords = 4;
  std::random_device random;
  std::string owner;
  for (int word = 0; word < kWords; ++word) {
    std::uint32_t bits = random();
    for (int digit = 0; digit < 8; ++digit, bits >>= 4) owner += kHex[bits & 15];
  }
  return owner;
}

/// Record and counter at one instant.
struct LockState {
  bool is_held = false;
  std::string record = {};
  bool is_counted = false;
  std::string counter = {};
};

LockState read_state(const View& view, os::Deadline deadline, const LockRequest& request) {
  LockState state;
  std::array<Command, 2> commands = {Read{.key = request.key, .into = &state.record, .stamps = false},
                                     Read{.key = request.counter_key, .into = &state.counter, .stamps = false}};
  execute_step(view, deadline, commands);
  state.is_held = std::get<Read>(commands[0]).seen.found;
  state.is_counted = std::get<Read>(commands[1]).seen.found;
  return state;
}

/// Prolongs the record as it was read; false when it is gone by now. Never shortens it: somebody else with the same
/// owner counts on the time that he was given.
bool prolong(const View& view, os::Deadline deadline, const LockRequest& request, std::string_view record) {
  Command command(Touch{.key = request.key,
                        .condition = {.kind = Condition::Kind::equals, .bytes = record},
                        .expiry = {.kind = Expiry::Kind::at_least, .value = request.ttl_ms}});
  execute_step(view, deadline, std::span(&command, 1));
  return std::get<Touch>(command).applied;
}

/// Writes record and counter if nothing has changed since the state was read.
bool take(const View& view, os::Deadline deadline, const LockRequest& request, const LockState& state,
          std::uint64_t token) {
  const std::string record = encode_lock(token, request.owner);
  const std::string counter = std::to_string(token);
  const Condition unchanged = state.is_counted ? Condition{.kind = Condition::Kind::equals, .bytes = state.counter}
                                               : Condition{.kind = Condition::Kind::absent};
  std::array<Command, 2> commands = {Put{.key = request.key,
                                         .value = record,
                                         .condition = {.kind = Condition::Kind::absent},
                                         .expiry = {.kind = Expiry::Kind::after, .value = request.ttl_ms}},
                                     Put{.key = request.counter_key, .value = counter, .condition = unchanged}};
  execute_step(view, deadline, commands, true);
  return std::get<Put>(commands[0]).applied && std::get<Put>(commands[1]).applied;
}

/// Nothing when others came in between.
std::optional<LockAttempt> attempt_once(const View& view, os::Deadline deadline, const LockRequest& request) {
  const LockState state = read_state(view, deadline, request);
  if (state.is_held) {
    const auto holder = decode_lock(state.record);
    if (!holder) throw_unknown_record("lock", request.key);
    if (holder->owner != request.owner) return LockAttempt{.holder = holder->owner};
    if (!prolong(view, deadline, request, state.record)) return std::nullopt;
    return LockAttempt{
        .lease = Lease{request.name, request.owner, holder->token, std::chrono::milliseconds(request.ttl_ms)}};
  }
  const auto last = state.is_counted ? decode_number(state.counter) : std::optional<std::int64_t>(0);
  if (!last) throw_unknown_record("token of lock", request.key);
  const std::uint64_t token = static_cast<std::uint64_t>(*last) + 1;
  if (!take(view, deadline, request, state, token)) return std::nullopt;
  return LockAttempt{.lease = Lease{request.name, request.owner, token, std::chrono::milliseconds(request.ttl_ms)}};
}

}  // namespace

LockRequest::LockRequest(const View& view, Bytes lock_name, Duration ttl, std::optional<Bytes> lock_owner)
    : name(lock_name.view()),
      key(named_key(view, kLockSpace, name, "the name of a lock")),
      counter_key(token_key(view, name)),
      owner(lock_owner ? std::string(checked_owner(*lock_owner)) : random_owner()),
      ttl_ms(checked_span_ms(view, ttl, "the ttl of a lock")) {}

LockAttempt attempt_lock(const View& view, const LockRequest& request) {
  const os::Deadline deadline = os::deadline_in(view.timeout_ms);
  Backoff backoff;
  for (int attempt = 0; attempt < kConflictAttempts; ++attempt) {
    if (auto attempted = attempt_once(view, deadline, request)) return *std::move(attempted);
    if (!backoff.pause(deadline)) {
      throw_refused(Code::Timeout, "the deadline passed while other locks kept changing the tokens");
    }
  }
  throw_refused(Code::Conflict, "other locks kept changing the token of lock " + quoted_key(request.key));
}

}  // namespace tuskv::coordination
