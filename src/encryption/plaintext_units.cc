#include "encryption/plaintext_units.h"

#include <functional>
#include <utility>

#include "backoff.h"
#include "plan.h"
#include "session.h"

namespace tuskv::encryption {
namespace {

/// What a keyed write has to do with the present value.
struct ValueUse {
  bool judged = false;         ///< it is compared or computed with
  bool shown = false;          ///< it is in the reply although the entry is changed
  bool shown_refused = false;  ///< it is in the reply when nothing is changed
};

ValueUse use_of(const Condition& condition, bool wanted) {
  return {.judged = condition.kind == Condition::Kind::equals,
          .shown = wanted && condition.kind != Condition::Kind::absent,
          .shown_refused = wanted || condition.kind == Condition::Kind::version};
}

ValueUse use_of(const Command& command) {
  if (const auto* put = std::get_if<Put>(&command)) return use_of(put->condition, put->want_previous);
  if (const auto* erase = std::get_if<Erase>(&command)) return use_of(erase->condition, erase->want_previous);
  if (const auto* touch = std::get_if<Touch>(&command)) return use_of(touch->condition, touch->want == Want::value);
  return {.judged = std::holds_alternative<Add>(command)};
}

bool reads_value(const Command& command) {
  const auto* read = std::get_if<Read>(&command);
  return read != nullptr && read->want == Want::value;
}

Status late() {
  return Status(Code::Timeout, "the deadline passed while other writes kept changing what was compared or added to");
}

}  // namespace

bool passes_sealed(const Unit& unit) {
  bool judged = false;
  bool shown = false;
  bool shown_refused = false;
  bool writes = false;
  for (const Command& command : unit.commands) {
    const ValueUse use = use_of(command);
    judged = judged || use.judged;
    shown = shown || use.shown;
    shown_refused = shown_refused || use.shown_refused || reads_value(command);
    writes = writes || is_keyed_write(command);
  }
  if (judged || shown) return false;
  // What one command shows must not come out unreadable after another has changed something.
  return unit.commands.size() == 1 || !writes || !shown_refused;
}

void PlaintextUnits::run(Unit& unit) {
  const os::Deadline deadline = os::deadline_in(unit.timeout_ms);
  os::TimedMutex& turn = turn_of(unit);
  Status status;
  if (turn.lock_within(unit.timeout_ms)) {
    const os::AdoptedLock lock(turn);
    status = run_in_turn(unit, deadline);
  } else {
    status = late();
  }
  if (status.ok()) return;
  for (Command& command : unit.commands) clear_applied(command);
  unit.failure = std::move(status).take();
}

Status PlaintextUnits::run_in_turn(Unit& unit, os::Deadline deadline) {
  Backoff backoff;
  for (bool has_met_others = false;; has_met_others = true) {
    Status status = attempt(unit, deadline);
    if (status.ok()) return status;
    const Failure& failure = status.failure();
    if (failure.code == Code::Timeout && failure.outcome == Outcome::not_applied && has_met_others) return late();
    if (failure.code != Code::Conflict) return status;
    if (!backoff.pause(deadline)) return late();
    conflicts_.fetch_add(1, std::memory_order_relaxed);
  }
}

Status PlaintextUnits::attempt(Unit& unit, os::Deadline deadline) {
  Session session(engine_, {.expiry_disabled = expiry_disabled_, .deadline = deadline});
  Unit inside{.commands = unit.commands, .require_all = unit.require_all, .timeout_ms = os::time_left_ms(deadline)};
  session.execute(std::span(&inside, 1));
  if (inside.failure != nullptr) return Status(std::move(inside.failure));
  if (os::time_left_ms(deadline) == 0) return late();
  TUSKV_RETURN_IF_ERROR(session.commit());
  // Those of the session were for the session.
  for (Command& command : unit.commands) set_version(command, session.committed_version(command_key(command)));
  return {};
}

os::TimedMutex& PlaintextUnits::turn_of(const Unit& unit) {
  const std::string_view key = unit.commands.empty() ? std::string_view() : command_key(unit.commands.front());
  return turns_[std::hash<std::string_view>()(key) % turns_.size()];
}

}  // namespace tuskv::encryption
