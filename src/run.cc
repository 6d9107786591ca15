#include "run.h"

#include "active_transaction.h"
#include "throw.h"

namespace tuskv {
namespace {

bool is_admitted(const View& view) {
  return !view.fork_guard->in_child() && (view.session != nullptr || !ActiveTransaction::runs_on(*view.engine));
}

void execute_within(const View& view, std::int64_t timeout_ms, std::span<Command> commands, bool require_all) {
  if (!is_admitted(view)) throw_if_refused(view);
  Unit unit{.commands = commands, .require_all = require_all, .timeout_ms = timeout_ms};
  view.executor->execute(std::span(&unit, 1));
  if (unit.failure != nullptr) throw_failure(*unit.failure);
}

}  // namespace

std::unique_ptr<Failure> refusal(const View& view) {
  if (is_admitted(view)) return nullptr;
  if (view.fork_guard->in_child()) {
    return std::make_unique<Failure>(
        Failure{.code = Code::Unsupported,
                .message = "the store was opened before fork: open another one in the child process"});
  }
  return std::make_unique<Failure>(
      Failure{.code = Code::InvalidArgument,
              .message = "this thread runs a transaction on the store: use the Transaction, not the store"});
}

void throw_if_refused(const View& view) {
  if (const std::unique_ptr<Failure> failure = refusal(view)) throw_failure(*failure);
}

void execute(const View& view, std::span<Command> commands, bool require_all) {
  execute_within(view, view.timeout_ms, commands, require_all);
}

void execute_step(const View& view, os::Deadline deadline, std::span<Command> commands, bool require_all) {
  const std::int64_t left_ms = os::time_left_ms(deadline);
  // Begun without any time left, a write could end without anybody knowing how.
  if (left_ms == 0) throw_refused(Code::Timeout, "the deadline passed between the steps of a call");
  execute_within(view, left_ms, commands, require_all);
}

void place_values(std::span<Command> commands, std::vector<std::string>& values) {
  const auto wanting = [](Command& command) {
    Read* read = std::get_if<Read>(&command);
    return read != nullptr && read->want == Want::value ? read : nullptr;
  };
  std::size_t count = 0;
  for (Command& command : commands) count += wanting(command) != nullptr ? 1 : 0;
  values.resize(count);
  std::size_t next = 0;
  for (Command& command : commands) {
    if (Read* read = wanting(command)) read->into = &values[next++];
  }
}

}  // namespace tuskv
