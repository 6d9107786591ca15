#include "plan.h"

#include <charconv>
#include <limits>
#include <string>
#include <system_error>
#include <variant>

#include "key_text.h"

namespace tuskv {
namespace {

using ChangeKind = PlannedChange::Kind;

void fill_seen(const EntryState& state, bool with_value, Seen& seen) {
  seen.found = state.found;
  seen.version = state.found ? state.version : 0;
  seen.expires_us = state.found ? state.expires_us : 0;
  seen.created_us = state.found ? state.created_us : 0;
  seen.updated_us = state.found ? state.updated_us : 0;
  if (state.found && with_value) {
    seen.value.assign(state.value);
  } else {
    seen.value.clear();  // a command may be planned again, after another write came in between
  }
}

bool holds(const Condition& condition, const EntryState& state) {
  switch (condition.kind) {
    case Condition::Kind::always: return true;
    case Condition::Kind::absent: return !state.found;
    case Condition::Kind::present: return state.found;
    case Condition::Kind::equals: return state.found && state.value == condition.bytes;
    case Condition::Kind::version: return state.found && state.version == condition.version;
  }
  return false;
}

/// What the caller of a failed comparison is shown: the value that was there.
bool shows_mismatch(const Condition& condition, bool held) {
  return !held && (condition.kind == Condition::Kind::equals || condition.kind == Condition::Kind::version);
}

/// The instant in `expires_us`, or false: it has passed.
bool resolve_expiry(const Expiry& expiry, const EntryState& state, std::int64_t now_us, std::int64_t& expires_us) {
  switch (expiry.kind) {
    case Expiry::Kind::never: expires_us = 0; return true;
    case Expiry::Kind::keep: expires_us = state.found ? state.expires_us : 0; return true;
    case Expiry::Kind::after:
    case Expiry::Kind::at_least: {
      std::int64_t left_us = 0;
      if (__builtin_mul_overflow(expiry.value, std::int64_t{1000}, &left_us) ||
          __builtin_add_overflow(now_us, left_us, &expires_us)) {
        expires_us =
            expiry.value < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
      }
      break;
    }
    case Expiry::Kind::at: expires_us = expiry.value; break;
  }
  if (expiry.kind == Expiry::Kind::at_least && state.found &&
      (state.expires_us == 0 || state.expires_us > expires_us)) {
    expires_us = state.expires_us;
    return true;
  }
  if (expires_us <= now_us) return false;
  if (expires_us == 0) expires_us = 1;  // 0 means never; reached by clocks before 1970 alone
  return true;
}

void plan_put(const EntryState& state, std::string_view value, std::int64_t expires_us, std::int64_t now_us,
              PlannedChange& change) {
  change.kind = ChangeKind::put;
  change.value = value;
  change.expires_us = expires_us;
  change.created_us = state.found ? state.created_us : now_us;
  change.updated_us = now_us > change.created_us ? now_us : change.created_us;
}

void plan_erase(const EntryState& state, PlannedChange& change) {
  if (state.found) change.kind = ChangeKind::erase;
}

void plan_read(const EntryState& state, Read& read) {
  fill_seen(state, false, read.seen);
  if (read.want != Want::value) return;
  if (state.found) {
    read.into->assign(state.value);
  } else {
    read.into->clear();
  }
}

void plan_write(const EntryState& state, Put& put, std::int64_t now_us, PlannedChange& change) {
  put.applied = holds(put.condition, state);
  fill_seen(state, put.want_previous || shows_mismatch(put.condition, put.applied), put.seen);
  if (!put.applied) return;
  std::int64_t expires_us = 0;
  put.erased = !resolve_expiry(put.expiry, state, now_us, expires_us);
  if (put.erased) {
    plan_erase(state, change);
  } else {
    plan_put(state, put.value, expires_us, now_us, change);
  }
}

void plan_removal(const EntryState& state, Erase& erase, PlannedChange& change) {
  erase.applied = holds(erase.condition, state);
  fill_seen(state, erase.want_previous || shows_mismatch(erase.condition, erase.applied), erase.seen);
  if (erase.applied) plan_erase(state, change);
}

void plan_touch(const EntryState& state, Touch& touch, std::int64_t now_us, PlannedChange& change) {
  const bool held = holds(touch.condition, state);
  touch.applied = state.found && held;
  fill_seen(state, touch.want == Want::value || shows_mismatch(touch.condition, held), touch.seen);
  if (!touch.applied) return;
  std::int64_t expires_us = 0;
  if (!resolve_expiry(touch.expiry, state, now_us, expires_us)) {
    plan_erase(state, change);
  } else if (expires_us != state.expires_us) {  // otherwise nothing to write
    change.kind = ChangeKind::touch;
    change.expires_us = expires_us;
    change.created_us = state.created_us;
    change.updated_us = now_us > state.created_us ? now_us : state.created_us;
  }
}

Status plan_add(const EntryState& state, Add& add, std::int64_t now_us, PlannedChange& change) {
  add.applied = false;
  std::int64_t present = 0;
  if (state.found && !parse_counter(state.value, present)) {
    return {Code::NotAnInteger, "the value of key " + quoted_key(add.key) +
                                    " is not an integer: a counter is an optional minus and digits, without leading "
                                    "zeros, within 64 bits"};
  }
  add.value = present;
  add.expires_us = state.found ? state.expires_us : 0;
  const __int128 step = add.magnitude;
  const __int128 sum = add.negative ? present - step : present + step;
  if (sum < std::numeric_limits<std::int64_t>::min() || sum > std::numeric_limits<std::int64_t>::max()) {
    return {Code::Overflow, "the counter of key " + quoted_key(add.key) + " would leave the 64-bit range"};
  }
  if (sum < add.min || sum > add.max) return {};
  add.applied = true;
  add.value = static_cast<std::int64_t>(sum);
  std::int64_t expires_us = state.expires_us;
  if (!state.found && !resolve_expiry(add.if_created, state, now_us, expires_us)) return {};  // created and gone
  const auto [end, error] = std::to_chars(add.digits, add.digits + sizeof(add.digits), add.value);
  add.expires_us = expires_us;
  plan_put(state, {add.digits, static_cast<std::size_t>(end - add.digits)}, expires_us, now_us, change);
  return {};
}

}  // namespace

Status plan(const EntryState& state, Command& command, std::int64_t now_us, PlannedChange& change) {
  change = {};
  if (auto* read = std::get_if<Read>(&command)) {
    plan_read(state, *read);
  } else if (auto* put = std::get_if<Put>(&command)) {
    plan_write(state, *put, now_us, change);
  } else if (auto* erase = std::get_if<Erase>(&command)) {
    plan_removal(state, *erase, change);
  } else if (auto* add = std::get_if<Add>(&command)) {
    return plan_add(state, *add, now_us, change);
  } else if (auto* touch = std::get_if<Touch>(&command)) {
    plan_touch(state, *touch, now_us, change);
  } else {
    return {Code::Internal, "plan: only commands on one key can be planned"};
  }
  return {};
}

std::string_view command_key(const Command& command) {
  return std::visit(
      [](const auto& keyed) -> std::string_view {
        if constexpr (requires { keyed.key; }) {
          return keyed.key;
        } else {
          return {};
        }
      },
      command);
}

bool is_keyed_write(const Command& command) {
  return std::holds_alternative<Put>(command) || std::holds_alternative<Erase>(command) ||
         std::holds_alternative<Touch>(command) || std::holds_alternative<Add>(command);
}

bool is_applied(const Command& command) {
  return std::visit(
      [](const auto& keyed) {
        if constexpr (requires { keyed.applied; }) {
          return keyed.applied;
        } else {
          return true;
        }
      },
      command);
}

void clear_applied(Command& command) {
  std::visit(
      [](auto& keyed) {
        if constexpr (requires { keyed.applied; }) keyed.applied = false;
      },
      command);
}

void set_version(Command& command, std::uint64_t version) {
  if (auto* put = std::get_if<Put>(&command)) {
    put->version = put->erased ? 0 : version;
  } else if (auto* add = std::get_if<Add>(&command)) {
    add->version = version;
  }
}

bool parse_counter(std::string_view text, std::int64_t& value) {
  if (text.empty()) return false;
  const bool negative = text.front() == '-';
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.front() < '0' || digits.front() > '9') return false;
  if (digits.front() == '0' && (negative || digits.size() > 1)) return false;
  std::int64_t parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  value = parsed;
  return true;
}

}  // namespace tuskv
