// One asynchronous operation, in one place: commands, the bytes they name, room for their replies, and who is to be
// told; or, instead of commands, a function of the user's that the threads for it run. Its life: made by run()
// (src/run.h); started at most once; ended by the engine, on the starting thread or on another; then decoded. A
// coroutine destroyed while it waits forgets its operation, which then outlives it until the engine has ended it: the
// engine writes replies into it.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "commands.h"
#include "engine.h"
#include "tuskv/async.h"
#include "view.h"

namespace tuskv {

/// True while this thread, one of an engine's own, tells somebody that an operation has ended. An engine destroyed now
/// would wait for itself.
bool in_completion() noexcept;

inline namespace v0 {
namespace detail {

class Operation final : private Submission {
 public:
  Operation(std::shared_ptr<const View> view, std::vector<Command> commands);
  Operation(std::shared_ptr<const View> view, std::unique_ptr<OffloadedFunction> function);
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  void require_all() { unit.require_all = true; }

  std::span<Command> commands() { return commands_; }
  std::span<std::string> values() { return values_; }
  const View& view() const { return *view_; }
  void throw_if_failed() const;
  /// After throw_if_failed. Null: there are commands.
  OffloadedFunction* function() const { return function_.get(); }

  /// See async.h.
  bool start(Completion completion);
  void run();
  /// True when it has ended, so that its owner may destroy it; otherwise it destroys itself when it ends.
  bool forget();
  /// Runs the function of one that was posted to threads for it.
  static void run_function(Submission& submission) noexcept;

  /// Makes the operation own everything its commands point to; `value`, when given, becomes that of the only Put.
  void own_bytes(std::string* value);

 private:
  enum class State : std::uint8_t { idle, submitting, pending, forgotten, ended };

  static void on_done(Submission& submission) noexcept;
  bool refuse();

  std::shared_ptr<const View> view_;
  std::vector<Command> commands_;
  std::vector<std::string> values_;  ///< where the values of Reads go
  std::string value_;
  std::unique_ptr<char[]> bytes_;
  std::unique_ptr<OffloadedFunction> function_;
  std::exception_ptr thrown_;  ///< by the function
  Completion completion_ = {};
  std::atomic<State> state_ = State::idle;
};

/// An operation that owns its bytes.
OperationHandle make_operation(std::shared_ptr<const View> view, std::vector<Command> commands,
                               std::string* value = nullptr);
OperationHandle make_operation(std::shared_ptr<const View> view, std::unique_ptr<OffloadedFunction> function);

}  // namespace detail
}  // namespace v0
}  // namespace tuskv
