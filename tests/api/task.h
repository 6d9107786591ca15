#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <semaphore>
#include <utility>

namespace tuskv::test {

/// A coroutine that starts at once and is destroyed by its owner.
class Task final {
 public:
  struct promise_type {  // NOLINT(readability-identifier-naming): the language's name
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      // Told only once it is suspended: the owner may destroy it at once.
      struct Tell {
        std::shared_ptr<std::binary_semaphore> done;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<>) noexcept {
          const std::shared_ptr<std::binary_semaphore> kept = std::move(done);
          kept->release();
        }
        void await_resume() const noexcept {}
      };
      return Tell{done};
    }
    void return_void() {}
    void unhandled_exception() { failure = std::current_exception(); }

    std::shared_ptr<std::binary_semaphore> done = std::make_shared<std::binary_semaphore>(0);
    std::exception_ptr failure;
  };

  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  /// Waits for the end; throws what the coroutine threw.
  void finish() {
    coroutine_.promise().done->acquire();
    if (coroutine_.promise().failure) std::rethrow_exception(coroutine_.promise().failure);
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

}  // namespace tuskv::test
