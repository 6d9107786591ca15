#include "operation.h"

#include <cstring>
#include <utility>

#include "run.h"
#include "store_access.h"
#include "submission_threads.h"
#include "throw.h"

namespace tuskv {
namespace {

constinit thread_local int completions_running = 0;

/// Calls `visit` with every view of lent bytes of a command.
template <class Visit>
void visit_bytes(Command& command, Visit visit) {
  std::visit(
      [&]<class C>(C& c) {
        if constexpr (requires { c.key; }) visit(c.key);
        if constexpr (requires { c.condition; }) visit(c.condition.bytes);
        if constexpr (requires { c.filter; }) {
          visit(c.filter.pattern);
          visit(c.filter.value);
        }
        if constexpr (requires { c.after; }) visit(c.after);
        if constexpr (std::is_same_v<C, Put>) visit(c.value);
        if constexpr (requires { c.range; }) {
          visit(c.range.from);
          visit(c.range.to);
        }
      },
      command);
}

}  // namespace

bool in_completion() noexcept { return completions_running != 0; }

inline namespace v0 {
namespace detail {

void throw_ended_call() {
  throw_refused(Code::InvalidArgument,
                "this call was ended before: an Async is awaited, waited for or given a callback once");
}

Operation::Operation(std::shared_ptr<const View> view, std::vector<Command> commands)
    : view_(std::move(view)), commands_(std::move(commands)) {
  unit.commands = commands_;
  unit.timeout_ms = view_->timeout_ms;
  done = &on_done;
}

Operation::Operation(std::shared_ptr<const View> view, std::unique_ptr<OffloadedFunction> function)
    : view_(std::move(view)), function_(std::move(function)) {
  done = &on_done;
}

void Operation::own_bytes(std::string* value) {
  Put* put = value == nullptr ? nullptr : std::get_if<Put>(&commands_.front());
  if (put != nullptr) put->value = {};
  std::size_t size = 0;
  for (Command& command : commands_) visit_bytes(command, [&](std::string_view& bytes) { size += bytes.size(); });
  bytes_ = std::make_unique_for_overwrite<char[]>(size);
  char* end = bytes_.get();
  for (Command& command : commands_) {
    visit_bytes(command, [&](std::string_view& bytes) {
      if (bytes.empty()) return;
      std::memcpy(end, bytes.data(), bytes.size());
      bytes = {end, bytes.size()};
      end += bytes.size();
    });
  }
  if (put != nullptr) {
    value_ = std::move(*value);
    put->value = value_;
  }
  place_values(commands_, values_);
}

void Operation::throw_if_failed() const {
  if (unit.failure != nullptr) throw_failure(*unit.failure);
  if (thrown_ != nullptr) std::rethrow_exception(thrown_);
}

bool Operation::refuse() {
  unit.failure = refusal(*view_);
  if (unit.failure == nullptr) return false;
  state_.store(State::ended);
  return true;
}

bool Operation::start(Completion completion) {
  if (refuse()) return false;
  completion_ = completion;
  state_.store(State::submitting);
  if (function_ != nullptr) {
    view_->offload->post(*this);
  } else {
    view_->engine->submit(*this);
  }
  State expected = State::submitting;
  // Once this has succeeded the completion owns the operation: it may be gone already.
  return state_.compare_exchange_strong(expected, State::pending);
}

void Operation::run() {
  if (refuse()) return;
  if (function_ == nullptr) {
    view_->executor->execute(std::span(&unit, 1));
  } else {
    // Who waits has a thread for it. To wait for one of ours, on one of them, could be for ever.
    unit.failure = view_->offload->check_open().take();
    if (unit.failure == nullptr) run_function(*this);
  }
  state_.store(State::ended);
}

void Operation::run_function(Submission& submission) noexcept {
  auto& operation = static_cast<Operation&>(submission);
  try {
    Store store = StoreAccess::make(operation.view_);
    operation.function_->run(store);
  } catch (...) {
    operation.thrown_ = std::current_exception();
  }
}

bool Operation::forget() { return state_.exchange(State::forgotten) != State::pending; }

void Operation::on_done(Submission& submission) noexcept {
  auto& operation = static_cast<Operation&>(submission);
  const Completion completion = operation.completion_;
  switch (operation.state_.exchange(State::ended)) {
    case State::pending:
      ++completions_running;
      completion.resume(completion.context);
      --completions_running;
      break;
    case State::forgotten:
      ++completions_running;
      OperationDeleter()(&operation);
      --completions_running;
      break;
    default: break;  // `start` has not returned yet: it will report the end, and owns the operation
  }
}

OperationHandle make_operation(std::shared_ptr<const View> view, std::vector<Command> commands, std::string* value) {
  OperationHandle operation(new Operation(std::move(view), std::move(commands)));
  operation->own_bytes(value);
  return operation;
}

OperationHandle make_operation(std::shared_ptr<const View> view, std::unique_ptr<OffloadedFunction> function) {
  return OperationHandle(new Operation(std::move(view), std::move(function)));
}

OffloadedFunction& function_of(Operation& operation) {
  operation.throw_if_failed();
  return *operation.function();
}

void OperationDeleter::operator()(Operation* operation) const noexcept { delete operation; }

bool start(Operation& operation, Completion completion) { return operation.start(completion); }

void run_and_wait(Operation& operation) { operation.run(); }

void forget(OperationHandle operation) noexcept {
  Operation* const given = operation.release();
  if (given->forget()) operation.reset(given);
}

}  // namespace detail
}  // namespace v0
}  // namespace tuskv
