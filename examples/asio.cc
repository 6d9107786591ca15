// A store in a program that runs on Asio: coroutines of its event loop wait for calls, and for a transaction that runs
// elsewhere.
#include <tuskv/asio.h>
#include <tuskv/tuskv.h>

#include <exception>
#include <iostream>
#include <string>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

namespace {

// A function for `offload` gets what it needs as arguments; it may block.
std::int64_t pay(tuskv::Store& store, const std::string& from, const std::string& to, std::int64_t amount) {
  return store.transaction([&](tuskv::Transaction& tx) {
    tx.increment(to, amount);
    return tx.decrement(from, amount, {.min = 0});
  });
}

asio::awaitable<void> shop(tuskv::AsyncStore store) {
  co_await store.set("account:alice", "30")(asio::use_awaitable);
  const auto left = co_await store.offload(pay, "account:alice", "account:bob", 20)(asio::use_awaitable);
  const auto paid = co_await store.get("account:bob")(asio::use_awaitable);
  std::cout << "alice has " << left << ", bob " << paid.value_or("nothing") << "\n";
  try {
    co_await store.offload(pay, "account:alice", "account:bob", 20)(asio::use_awaitable);
  } catch (const tuskv::Error& error) {
    std::cout << "not again: " << to_string(error.code()) << "\n";
  }
}

}  // namespace

int main() {
  const auto store = tuskv::Store::open("memory:");
  asio::io_context context;
  asio::co_spawn(context, shop(store.async()), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  context.run();  // returns when nothing is waited for any more
}
