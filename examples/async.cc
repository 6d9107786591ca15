// Calls that do not wait: awaited in a coroutine, or given a callback.
#include <tuskv/tuskv.h>

#include <exception>
#include <future>
#include <iostream>
#include <string>

namespace {

/// A coroutine that starts at once and sets a promise at its end. An event loop brings its own.
struct Task {
  struct promise_type {
    std::promise<std::string> result = {};
    Task get_return_object() { return {result.get_future()}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_value(std::string value) { result.set_value(std::move(value)); }
    void unhandled_exception() { result.set_exception(std::current_exception()); }
  };
  std::future<std::string> future;
};

Task greet(tuskv::AsyncStore store) {
  co_await store.set("name", "Alice");
  const auto visits = co_await store.increment("visits");
  const auto name = co_await store.get("name");
  co_return "hello " + *name + ", visit " + std::to_string(visits);
}

}  // namespace

int main() {
  const auto store = tuskv::Store::open("memory:");
  const auto async = store.async();

  Task task = greet(async);
  std::cout << task.future.get() << "\n";

  // A braced list stands in a statement of its own: g++ 12 takes none inside a co_await expression.
  // The callback runs on the thread that completed the call; do not block there.
  std::promise<std::string> done;
  async.get_many({"name", "nothing"})
      .then([&done](std::exception_ptr failure, std::vector<std::optional<std::string>> values) {
        if (failure) {
          done.set_exception(failure);
        } else {
          done.set_value(values[0].value_or("?") + ", " + values[1].value_or("nothing"));
        }
      });
  std::cout << done.get_future().get() << "\n";

  // Or simply wait.
  std::cout << std::move(async.exists("name")).wait() << "\n";
}
