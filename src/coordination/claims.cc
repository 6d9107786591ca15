// A claim is a record under the claimed name, and an entry that lists it under its owner. Both are written, prolonged
// and removed in one unit and with one expiry, so that either both are there or neither. (In a transaction each command
// reads the clock: the listed entry, which comes second, may outlive its claim by that much.)
#include <array>
#include <utility>

#include "backoff.h"
#include "checks.h"
#include "coordination/records.h"
#include "coordination/reserved.h"
#include "key_text.h"
#include "named_limits.h"
#include "os/deadline.h"
#include "run.h"
#include "throw.h"
#include "tuskv/store.h"

namespace tuskv {
namespace {

using namespace coordination;

constexpr const char* kClaimName = "the name of a claim";

/// A name and one who has claimed it, or wants to.
struct Claimant {
  Claimant(const View& view, Bytes name, Bytes by)
      : owner(checked_owner(by)),
        key(named_key(view, kClaimSpace, name.view(), kClaimName)),
        record(encode_claim(owner)),
        owned_key(owned_prefix(view, owner)) {
    owned_key += name.view();
    if (owned_key.size() > kStoredKeyBytesMax) {
      throw_refused(Code::InvalidKey, "a claim whose namespace, owner and name have more than " +
                                          std::to_string(kStoredKeyBytesMax) + " bytes together is too long");
    }
  }
  Condition has_it() const { return {.kind = Condition::Kind::equals, .bytes = record}; }

  std::string_view owner;
  std::string key;
  std::string record;
  std::string owned_key;
};

std::string owner_in(std::string_view record, std::string_view key) {
  auto owner = decode_claim(record);
  if (!owner) throw_unknown_record("claim", key);
  return *std::move(owner);
}

/// Nothing when the claim changed in between.
std::optional<ClaimResult> claim_once(const View& view, os::Deadline deadline, const Claimant& claimant,
                                      const Expiry& expiry) {
  std::array<Command, 2> commands = {Put{.key = claimant.key,
                                         .value = claimant.record,
                                         .condition = {.kind = Condition::Kind::absent},
                                         .expiry = expiry,
                                         .want_previous = true},
                                     Put{.key = claimant.owned_key, .value = kOwnedRecord, .expiry = expiry}};
  execute_step(view, deadline, commands, true);
  const Put& taken = std::get<Put>(commands[0]);
  if (taken.applied) return ClaimResult{.granted = true, .owner = std::string(claimant.owner)};
  std::string owner = owner_in(taken.seen.value, claimant.key);
  if (owner != claimant.owner) return ClaimResult{.owner = std::move(owner)};
  const bool unchanged = taken.seen.expires_us == 0 && expiry.kind == Expiry::Kind::never;
  if (unchanged) return ClaimResult{.granted = true, .owner = std::move(owner)};
  commands = {Touch{.key = claimant.key, .condition = claimant.has_it(), .expiry = expiry},
              Put{.key = claimant.owned_key, .value = kOwnedRecord, .expiry = expiry}};
  execute_step(view, deadline, commands, true);
  if (!std::get<Touch>(commands[0]).applied) return std::nullopt;
  return ClaimResult{.granted = true, .owner = std::move(owner)};
}

/// Nothing when the claim changed in between.
std::optional<bool> move_once(const View& view, os::Deadline deadline, const Claimant& from, const Claimant& to) {
  std::string record;
  Command read(Read{.key = from.key, .into = &record});
  execute_step(view, deadline, std::span(&read, 1));
  const Seen& seen = std::get<Read>(read).seen;
  if (!seen.found) return false;
  const std::string owner = owner_in(record, from.key);
  if (owner == to.owner) return true;
  if (owner != from.owner) return false;
  const Expiry expiry{.kind = seen.expires_us == 0 ? Expiry::Kind::never : Expiry::Kind::at, .value = seen.expires_us};
  // The version: a claim that was prolonged meanwhile has another expiry to hand on.
  std::array<Command, 3> commands = {Put{.key = from.key,
                                         .value = to.record,
                                         .condition = {.kind = Condition::Kind::version, .version = seen.version},
                                         .expiry = expiry},
                                     Put{.key = to.owned_key, .value = kOwnedRecord, .expiry = expiry},
                                     Erase{.key = from.owned_key}};
  execute_step(view, deadline, commands, true);
  if (!std::get<Put>(commands[0]).applied) return std::nullopt;
  return true;
}

/// Until others leave the claim alone for the length of an attempt.
template <class Attempt>
auto repeat(const View& view, const std::string& key, Attempt attempt) {
  const os::Deadline deadline = os::deadline_in(view.timeout_ms);
  Backoff backoff;
  for (int attempts = 0; attempts < kConflictAttempts; ++attempts) {
    if (auto done = attempt(deadline)) return *std::move(done);
    if (!backoff.pause(deadline)) {
      throw_refused(Code::Timeout, "the deadline passed while others kept changing claim " + quoted_key(key));
    }
  }
  throw_refused(Code::Conflict, "others kept changing claim " + quoted_key(key));
}

}  // namespace

inline namespace v0 {

ClaimResult KeyValue::claim(Bytes name, Bytes owner, const ClaimOptions& options) const {
  const Claimant claimant(*view(), name, owner);
  Expiry expiry;
  if (options.ttl) {
    expiry = {.kind = Expiry::Kind::after, .value = checked_span_ms(*view(), *options.ttl, "the ttl of a claim")};
  }
  return repeat(*view(), claimant.key,
                [&](os::Deadline deadline) { return claim_once(*view(), deadline, claimant, expiry); });
}

bool KeyValue::move_claim(Bytes name, Bytes from, Bytes to) const {
  const Claimant giver(*view(), name, from);
  const Claimant taker(*view(), name, to);
  return repeat(*view(), giver.key, [&](os::Deadline deadline) { return move_once(*view(), deadline, giver, taker); });
}

template <class Mode>
auto Operations<Mode>::release_claim(Bytes name, Bytes owner) const -> Reply<bool> {
  const Claimant claimant(*view_, name, owner);
  std::vector<Command> commands;
  commands.emplace_back(Erase{.key = claimant.key, .condition = claimant.has_it()});
  commands.emplace_back(Erase{.key = claimant.owned_key});
  return run_batch(Mode(), view_, std::move(commands),
                   [](BatchReply reply) { return std::get<Erase>(reply.commands.front()).applied; },
                   {.require_all = true});
}

template <class Mode>
auto Operations<Mode>::claim_owner(Bytes name) const -> Reply<std::optional<std::string>> {
  const std::string key = named_key(*view_, kClaimSpace, name.view(), kClaimName);
  return run(Mode(), view_, Read{.key = key, .stamps = false}, [](auto reply) -> std::optional<std::string> {
    if (!reply.command.seen.found) return std::nullopt;
    return owner_in(reply.value, reply.command.key);
  });
}

template <class Mode>
auto Operations<Mode>::claims_of(Bytes owner, const ClaimListOptions& options) const -> Reply<KeyPage> {
  auto owned = std::make_shared<View>(*view_);
  owned->prefix = owned_prefix(*view_, checked_owner(owner));
  return Operations(std::move(owned)).keys({.prefix = options.prefix, .after = options.after, .limit = options.limit});
}

template Blocking::Reply<bool> Operations<Blocking>::release_claim(Bytes, Bytes) const;
template Asynchronous::Reply<bool> Operations<Asynchronous>::release_claim(Bytes, Bytes) const;
template Blocking::Reply<std::optional<std::string>> Operations<Blocking>::claim_owner(Bytes) const;
template Asynchronous::Reply<std::optional<std::string>> Operations<Asynchronous>::claim_owner(Bytes) const;
template Blocking::Reply<KeyPage> Operations<Blocking>::claims_of(Bytes, const ClaimListOptions&) const;
template Asynchronous::Reply<KeyPage> Operations<Asynchronous>::claims_of(Bytes, const ClaimListOptions&) const;

}  // namespace v0
}  // namespace tuskv
