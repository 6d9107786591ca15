// How an operation is run in each mode. Operations build commands that point to lent bytes and give a decoder without
// captures; what differs is here alone: Blocking executes at once on the stack, Asynchronous takes everything into one
// operation for later.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "commands.h"
#include "operation.h"
#include "os/deadline.h"
#include "tuskv/operations.h"
#include "view.h"

namespace tuskv {

/// Why no call can be made on this view: in a child of fork, or on the store itself inside its transaction. Null when
/// one can.
std::unique_ptr<Failure> refusal(const View& view);
/// For calls that are not commands.
void throw_if_refused(const View& view);

/// Runs a unit with the deadline of the view; throws its failure.
void execute(const View& view, std::span<Command> commands, bool require_all = false);
/// The same for a call of several steps, with what is left of its deadline; Timeout when that is nothing.
void execute_step(const View& view, os::Deadline deadline, std::span<Command> commands, bool require_all = false);
/// Points every Read that wants a value to its place; `values` is sized for it.
void place_values(std::span<Command> commands, std::vector<std::string>& values);

/// The reply to a single command, for its decoder.
template <class C>
struct CommandReply {
  C& command;
  std::string& value;  ///< of a Read that wanted it
  const View& view;
};

/// The replies to several, aligned with them.
struct BatchReply {
  std::span<Command> commands;
  std::span<std::string> values;
};

template <class C, class Decode>
auto run(Blocking, const std::shared_ptr<const View>& view, C&& command, Decode decode, Bytes = {}) {
  Command slot(std::forward<C>(command));
  C& own = *std::get_if<C>(&slot);
  std::string value;
  if constexpr (std::is_same_v<C, Read>) {
    if (own.want == Want::value) own.into = &value;
  }
  execute(*view, std::span(&slot, 1));
  return decode(CommandReply<C>{own, value, *view});
}

/// `value`: the one the Put of this call names.
template <class C, class Decode>
auto run(Asynchronous, const std::shared_ptr<const View>& view, C&& command, Decode, OwnedBytes value = std::string()) {
  using T = std::invoke_result_t<Decode, CommandReply<C>>;
  std::string owned = std::move(value).take();
  std::vector<Command> commands;
  commands.emplace_back(std::forward<C>(command));
  return Async<T>(detail::make_operation(view, std::move(commands), std::is_same_v<C, Put> ? &owned : nullptr),
                  [](detail::Operation& operation) -> T {
                    operation.throw_if_failed();
                    std::string none;
                    return Decode()(CommandReply<C>{std::get<C>(operation.commands().front()),
                                                    operation.values().empty() ? none : operation.values().front(),
                                                    operation.view()});
                  });
}

struct BatchOptions {
  bool require_all = false;
};

template <class Decode>
auto run_batch(Blocking, const std::shared_ptr<const View>& view, std::vector<Command> commands, Decode decode,
               const BatchOptions& options = {}) {
  std::vector<std::string> values;
  place_values(commands, values);
  execute(*view, commands, options.require_all);
  return decode(BatchReply{commands, values});
}

template <class Decode>
auto run_batch(Asynchronous, const std::shared_ptr<const View>& view, std::vector<Command> commands, Decode,
               const BatchOptions& options = {}) {
  using T = std::invoke_result_t<Decode, BatchReply>;
  detail::OperationHandle operation = detail::make_operation(view, std::move(commands));
  if (options.require_all) operation->require_all();
  return Async<T>(std::move(operation), [](detail::Operation& ended) -> T {
    ended.throw_if_failed();
    return Decode()(BatchReply{ended.commands(), ended.values()});
  });
}

}  // namespace tuskv
