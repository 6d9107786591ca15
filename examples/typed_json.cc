// Structs as values, kept as JSON: nlohmann::json says how a struct is written, tuskv does the rest.
#include <tuskv/json.h>
#include <tuskv/tuskv.h>

#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace shop {

struct User {
  std::string name = {};
  int age = 0;
  std::vector<std::string> tags = {};
};
// Fields that are missing in an older document get their default.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(User, name, age, tags)

}  // namespace shop

int main() {
  const auto store = tuskv::Store::open("memory:");
  const auto users = store.typed<shop::User>("user:");

  users.set("alice", {.name = "Alice", .age = 30, .tags = {"admin"}});
  users.set_many({{"bob", {.name = "Bob", .age = 40}}, {"carol", {.name = "Carol", .age = 50}}});
  if (const auto user = users.get("alice")) std::cout << user->name << " is " << user->age << "\n";

  // Read, change and write back in one atomic step.
  users.update("alice", [](std::optional<shop::User> user) -> tuskv::TypedChange<shop::User> {
    if (!user) return std::nullopt;
    ++user->age;
    return *user;
  });
  // It is JSON in the store, for everybody who reads it.
  std::cout << store.get_or_throw("user:alice") << "\n";

  // What cannot be decoded is reported where it stands, and harms nothing else.
  store.set("user:broken", R"({"age": "old"})");
  for (const auto& entry : users.entries()) {
    if (entry.value) {
      std::cout << entry.key << ": " << entry.value->name << ", " << entry.value->age << "\n";
    } else {
      std::cout << entry.key << " is no user\n";
    }
  }
  try {
    users.get_and_erase("broken");
  } catch (const tuskv::Error& error) {
    std::cout << to_string(error.code()) << ", and it is still there: " << users.exists("broken") << "\n";
  }

  // Keys that are numbers are listed in the order of the numbers. The whole API works in transactions, too.
  store.transaction([](tuskv::Transaction& tx) {
    const auto events = tx.typed<nlohmann::json, std::int64_t>("event:");
    for (const int at : {1000, -5, 20}) events.set(at, {{"at", at}});
  });
  for (const auto& event : store.typed<nlohmann::json, std::int64_t>("event:").entries()) {
    std::cout << event.key << " " << event.value->dump() << "\n";
  }
}
