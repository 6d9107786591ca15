// The headers that need another library, built against an installed tuskv beside those libraries.
#include <tuskv/asio.h>
#include <tuskv/json.h>
#include <tuskv/protobuf.h>
#include <tuskv/tuskv.h>

#include <cstdlib>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <google/protobuf/wrappers.pb.h>

int main() {
  const auto store = tuskv::Store::open("memory:");
  const auto lists = store.typed<std::vector<int>>("list:");
  lists.set("a", {1, 2});
  const auto messages = store.typed<google::protobuf::Int64Value>("message:");
  messages.set("default", {});
  asio::io_context context;
  bool exists = false;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> { exists = co_await store.async().exists("list:a")(asio::use_awaitable); },
      asio::detached);
  context.run();
  return exists && lists.get("a") == std::vector<int>{1, 2} && messages.get("default") ? EXIT_SUCCESS : EXIT_FAILURE;
}
