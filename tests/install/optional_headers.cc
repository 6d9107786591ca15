// The headers that need another library, built against an installed tuskv beside those libraries.
#include <tuskv/json.h>
#include <tuskv/protobuf.h>
#include <tuskv/tuskv.h>

#include <cstdlib>
#include <vector>

#include <google/protobuf/wrappers.pb.h>

int main() {
  const auto store = tuskv::Store::open("memory:");
  const auto lists = store.typed<std::vector<int>>("list:");
  lists.set("a", {1, 2});
  const auto messages = store.typed<google::protobuf::Int64Value>("message:");
  messages.set("default", {});
  return lists.get("a") == std::vector<int>{1, 2} && messages.get("default") ? EXIT_SUCCESS : EXIT_FAILURE;
}
