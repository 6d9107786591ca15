// The first five minutes: set, get, count, change, list. Nothing to install and no server to start.
#include <tuskv/tuskv.h>

#include <iostream>

int main() {
  auto store = tuskv::Store::open("memory:");  // or "file:./data", which keeps it

  store.set("user:1:name", "Alice");
  store.set("user:2:name", "Bob");
  if (auto name = store.get("user:1:name")) std::cout << "user 1 is " << *name << "\n";
  if (!store.get("user:3:name")) std::cout << "there is no user 3\n";

  std::cout << "visits: " << store.increment("visits") << ", then " << store.increment("visits", 10) << "\n";

  // Read, change and write back in one atomic step, whoever else writes.
  store.update("user:1:name", [](std::optional<std::string_view> name) -> tuskv::Change {
    return std::string(name.value_or("nobody")) + " Smith";
  });

  for (const auto& entry : store.entries({.prefix = "user:"})) std::cout << entry.key << " = " << entry.value << "\n";

  // Another namespace is another set of keys in the same store.
  const auto tenant = store.with_namespace("tenant1");
  tenant.set("user:1:name", "Carol");
  std::cout << tenant.count() << " key there, " << store.count() << " here\n";

  try {
    store.increment("user:1:name");
  } catch (const tuskv::Error& error) {
    std::cout << "refused: " << error.what() << "\n";
  }
  store.close();  // the last copy of the handle would close it as well, but could not say what went wrong
}
