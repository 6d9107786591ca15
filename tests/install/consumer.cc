// The first program of a user, built against an installed tuskv.
#include <tuskv/maintenance.h>
#include <tuskv/tuskv.h>
#include <tuskv/typed.h>

#include <cstdlib>
#include <iostream>
#include <string>

int main() {
  auto store = tuskv::Store::open("memory:");
  store.set("user:1", "Alice");
  const std::int64_t visits = store.increment("visits", 2);
  const auto seen = store.transaction([](tuskv::Transaction& tx) { return tx.get("user:1"); });
  std::size_t entries = 0;
  for (const auto& entry : store.entries({})) entries += entry.key.empty() ? 0 : 1;
  if (seen != "Alice" || visits != 2 || entries != 2) return EXIT_FAILURE;
  // Typed views, and what they need of the library: below a prefix, with a refusal.
  const auto ages = store.typed<int, unsigned>("age:");
  ages.set(7, 30);
  store.set("age:x", "old");
  const auto page = ages.scan();
  if (ages.get(7) != 30 || page.entries.size() != 2 || !page.entries[1].value.is_undecodable()) return EXIT_FAILURE;
  store.close();
  try {
    store.set("user:2", "Bob");
  } catch (const tuskv::Error& error) {
    return error.code() == tuskv::Code::Closed ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  std::cerr << "a closed store took a write\n";
  return EXIT_FAILURE;
}
