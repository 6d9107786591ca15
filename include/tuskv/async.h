#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "tuskv/export.h"

namespace tuskv {
inline namespace v0 {
namespace detail {

/// The body of Async::operator(), defined by tuskv/asio.h.
template <class T, class Token>
struct EndWithToken;
template <class T, class Token>
concept KnowsTokens = requires { sizeof(EndWithToken<T, Token>); };

/// One asynchronous operation: its unit of commands, the bytes it owns, and its completion. Defined in src/operation.h.
class Operation;
struct TUSKV_API OperationDeleter {
  void operator()(Operation* operation) const noexcept;
};
using OperationHandle = std::unique_ptr<Operation, OperationDeleter>;

/// Called once, when the operation has ended, on the thread that ended it.
struct Completion {
  void (*resume)(void* context) = nullptr;
  void* context = nullptr;
};

/// Submits the operation. False: it ended inline and `completion` will not be called. An exception, std::bad_alloc,
/// says that it was not submitted.
TUSKV_API bool start(Operation& operation, Completion completion);
/// Submits the operation and blocks until it has ended.
TUSKV_API void run_and_wait(Operation& operation);
/// Throws InvalidArgument: this call was ended before, or moved from.
[[noreturn]] TUSKV_API void throw_ended_call();
/// Gives up a submitted operation: its reply is dropped when it comes.
TUSKV_API void forget(OperationHandle operation) noexcept;

}  // namespace detail

/// A call that has not been made yet: lazy, move-only, owning its bytes. End it once, as an rvalue: `co_await` it in
/// any C++20 coroutine (which resumes on the thread that completes it: do not block there), `wait()` for it, give
/// `then` a callback, or, with tuskv/asio.h, call it with a completion token of Asio. One that is never ended does
/// nothing; ending it again is InvalidArgument. As a value it is for one thread at a time.
///
/// g++ 12 takes no braced list inside a co_await expression ("array used as initializer", reported at the end of the
/// coroutine): put the call in a statement of its own, `auto call = store.get_many({"a", "b"}); co_await
/// std::move(call);`.
///
/// On the embedded engine the thread that starts a call makes it, and only the sync is waited for without that thread.
/// A read never waits for the disk, but a write waits for another that has its key or the log, up to the timeout, and
/// until its own bytes are written, as long as the disk takes. Where that matters, start writes on a thread that may
/// wait.
///
/// The store lives as long as the call, at most until its result is told: who learns it may drop the last handle, and
/// open the directory again. On the thread that tells it the store is not closed by then (see ~Store) and the directory
/// Busy: open it on another.
///
/// A coroutine may be destroyed while it waits only where it is certain that the call does not end meanwhile: the
/// thread that ends it resumes the coroutine, and nobody else can see that coming. (Coroutines that have to go away at
/// any time are resumed through an executor, as with tuskv/asio.h.) That gives up the reply, not the call: the embedded
/// engine has made it by then, and a write that was started takes effect.
template <class T>
class [[nodiscard("an Async does nothing until it is awaited, waited for or given a callback")]] Async {
 public:
  /// Takes the reply out of an operation that has ended, or throws its Error.
  using Decode = T (*)(detail::Operation&);

  Async(detail::OperationHandle operation, Decode decode) noexcept
      : operation_(std::move(operation)), decode_(decode) {}
  Async(Async&&) noexcept = default;
  Async& operator=(Async&&) noexcept = default;

  /// Makes the call and returns its result.
  T wait() && {
    const detail::OperationHandle operation = take_operation();
    detail::run_and_wait(*operation);
    return decode_(*operation);
  }
  T wait() & = delete;  // std::move(call).wait()

  /// Makes the call; `callback(std::exception_ptr, T)` (without T for void) runs when it has ended, possibly before
  /// `then` returns. T must be default-constructible. The callback must not throw. Where memory runs out, `then` throws
  /// std::bad_alloc: the call was not made, and the callback is gone.
  template <class F>
  void then(F callback) &&;

  /// Makes the call as Asio does, for any completion token of `void(std::exception_ptr, T)` (without T for void):
  /// `co_await store.get("k")(asio::use_awaitable)`. See tuskv/asio.h.
  template <class Token>
  auto operator()(Token&& token) && {
    static_assert(detail::KnowsTokens<T, Token>, "tuskv: include tuskv/asio.h to give a call a completion token");
    if constexpr (detail::KnowsTokens<T, Token>) {
      return detail::EndWithToken<T, Token>::end(Async(take_operation(), decode_), std::forward<Token>(token));
    }
  }

  class Awaiter {
   public:
    explicit Awaiter(Async&& async) : operation_(async.take_operation()), decode_(async.decode_) {}
    Awaiter(Awaiter&&) = delete;
    ~Awaiter() {
      if (suspended_) detail::forget(std::move(operation_));  // the coroutine was destroyed while it waited
    }
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
      suspended_ = true;  // before the start: the coroutine may already run elsewhere when start returns
      return detail::start(*operation_, {.resume = &resume_coroutine, .context = coroutine.address()});
    }
    T await_resume() {
      suspended_ = false;
      const detail::OperationHandle operation = std::move(operation_);
      return decode_(*operation);
    }

   private:
    static void resume_coroutine(void* address) { std::coroutine_handle<>::from_address(address).resume(); }

    detail::OperationHandle operation_;
    Decode decode_;
    bool suspended_ = false;
  };

  Awaiter operator co_await() && { return Awaiter(std::move(*this)); }

 private:
  template <class F>
  struct Pending {
    detail::OperationHandle operation;
    Decode decode;
    F callback;

    static void finish(void* context) {
      std::unique_ptr<Pending> pending(static_cast<Pending*>(context));
      pending->call();
    }
    void call() {
      std::exception_ptr failure;
      if constexpr (std::is_void_v<T>) {
        try {
          take();
        } catch (...) {
          failure = std::current_exception();
        }
        callback(std::move(failure));  // nothing of it stays here: it may be let go on another thread
      } else {
        T result{};
        try {
          result = take();
        } catch (...) {
          failure = std::current_exception();
        }
        callback(std::move(failure), std::move(result));
      }
    }
    T take() {
      const detail::OperationHandle ended = std::move(operation);
      return decode(*ended);
    }
  };

  /// Gives the operation away, once.
  detail::OperationHandle take_operation() {
    if (operation_ == nullptr) detail::throw_ended_call();
    return std::move(operation_);
  }

  detail::OperationHandle operation_;
  Decode decode_;
};

template <class T>
template <class F>
void Async<T>::then(F callback) && {
  if constexpr (std::is_void_v<T>) {
    static_assert(std::is_invocable_v<F&, std::exception_ptr>, "tuskv: the callback takes (std::exception_ptr)");
  } else {
    static_assert(std::is_invocable_v<F&, std::exception_ptr, T>, "tuskv: the callback takes (std::exception_ptr, T)");
    static_assert(std::is_default_constructible_v<T>, "tuskv: a callback is given a default T beside an exception");
  }
  auto pending = std::make_unique<Pending<F>>(Pending<F>{take_operation(), decode_, std::move(callback)});
  const bool under_way = detail::start(*pending->operation, {.resume = &Pending<F>::finish, .context = pending.get()});
  Pending<F>* const ended = pending.release();  // under way it is the completion's, and may be gone already
  if (!under_way) Pending<F>::finish(ended);
}

}  // namespace v0
}  // namespace tuskv
