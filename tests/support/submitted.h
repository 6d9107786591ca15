#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "tuskv/async.h"
#include "tuskv/error.h"

namespace tuskv::test {

/// The result of a call that goes through Engine::submit, which wait() does not. A failure is thrown as a copy: those
/// of two threads would share a counter that the thread sanitizer does not see.
template <class T>
T submitted(Async<T> call) {
  std::mutex mutex;
  std::condition_variable ended;
  bool has_ended = false;
  std::optional<Error> failure;
  std::conditional_t<std::is_void_v<T>, std::monostate, T> value{};
  const auto end = [&](const std::exception_ptr& failed) {
    try {
      if (failed) std::rethrow_exception(failed);
    } catch (const Error& error) {
      failure.emplace(error.code(), error.outcome(), std::string(error.what()), std::string(error.sqlstate()));
    }
    has_ended = true;
    ended.notify_one();
  };
  if constexpr (std::is_void_v<T>) {
    std::move(call).then([&](std::exception_ptr failed) {
      const std::lock_guard lock(mutex);
      end(failed);
    });
  } else {
    std::move(call).then([&](std::exception_ptr failed, T result) {
      const std::lock_guard lock(mutex);
      value = std::move(result);
      end(failed);
    });
  }
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return has_ended; });
  if (failure) throw Error(*failure);
  if constexpr (!std::is_void_v<T>) return value;
}

}  // namespace tuskv::test
