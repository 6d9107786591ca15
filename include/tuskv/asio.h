#pragma once

#include <exception>
#include <tuple>
#include <type_traits>
#include <utility>

#include <asio/associated_allocator.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/execution/outstanding_work.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>

#include "tuskv/async.h"

// Asynchronous calls in programs that use Asio (standalone, 1.22 or newer; CMake: tuskv::asio):
//
//   auto name = co_await store.get("name")(asio::use_awaitable);
//
// with any completion token of `void(std::exception_ptr, T)`, or of `void(std::exception_ptr)` for a call without a
// result. The call is made when Asio initiates it. Its handler runs on its associated executor, always posted: neither
// within the initiating function nor on a thread of the store. Until then the executor has outstanding work, so
// `io_context::run` does not return; the context must live until every call has ended, as it must for all that comes
// from other threads. Once `run` has returned by itself, they have. Handlers that were posted and never run go with
// their context, and so may the last handle of a store. The handles may go first: calls keep the store open. A handler
// without an executor (a plain lambda, asio::use_future) runs on a thread of Asio's system executor, which ends with
// the process: rather bind one, `asio::bind_executor(context, …)`.
//
// To initiate a write may take a while on the embedded engine: see Async (async.h).
//
// Cancellation is left out: a call ends with its true result, by its deadline at the latest, whatever its cancellation
// slot is told. `call(use_awaitable) || timer.async_wait(use_awaitable)` waits for both. Ask for less time with
// `store.with_timeout(t).async()`.
//
// clang 14 does not tell Asio 1.22 that it has coroutines: -DASIO_HAS_CO_AWAIT -DASIO_HAS_STD_COROUTINE, which
// tuskv::asio adds. With the address sanitizer it cannot assemble Asio's coroutines: use g++ for that.

namespace tuskv {
inline namespace v0 {
namespace detail {

/// What is posted to the executor of a handler.
template <class Handler, class... Results>
struct AsioCompletion {
  using allocator_type = asio::associated_allocator_t<Handler>;
  allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler); }

  void operator()() {
    std::apply([&](Results&... values) { std::move(handler)(std::move(failure), std::move(values)...); }, results);
  }

  Handler handler;
  std::exception_ptr failure;
  std::tuple<Results...> results;
};

/// The callback that Async::then is given for a handler. Its executor has work as long as this lives: longer than
/// anything else of Asio's that the thread of the store touches, so the context cannot end under it.
template <class Handler>
class AsioCallback {
 public:
  explicit AsioCallback(Handler handler)
      : work_(tracked(asio::get_associated_executor(handler))), handler_(std::move(handler)) {}

  template <class... Results>
  void operator()(std::exception_ptr failure, Results... results) {
    const auto executor = asio::get_associated_executor(handler_);
    asio::post(executor, AsioCompletion<Handler, Results...>{std::move(handler_), std::move(failure),
                                                             std::tuple<Results...>(std::move(results)...)});
  }

 private:
  static auto tracked(const asio::associated_executor_t<Handler>& executor) {
    return asio::prefer(executor, asio::execution::outstanding_work.tracked);
  }

  // First, so that it goes last. Not a guard, whose work ends before its executor does.
  decltype(tracked(std::declval<asio::associated_executor_t<Handler>>())) work_;
  Handler handler_;
};

struct AsioInitiation {
  template <class Handler, class T>
  void operator()(Handler&& handler, Async<T> call) const {
    std::move(call).then(AsioCallback<std::decay_t<Handler>>(std::forward<Handler>(handler)));
  }
};

template <class T>
struct AsioSignature {
  using Type = void(std::exception_ptr, T);
};
template <>
struct AsioSignature<void> {
  using Type = void(std::exception_ptr);
};

template <class T, class Token>
struct EndWithToken {
  // Asio 1.22 takes no const executor_binder of some tokens, so it gets a copy.
  static auto end(Async<T>&& call, std::decay_t<Token> token) {
    return asio::async_initiate<std::decay_t<Token>, typename AsioSignature<T>::Type>(AsioInitiation(), token,
                                                                                      std::move(call));
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace tuskv
