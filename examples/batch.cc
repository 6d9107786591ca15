// Many entries in one call: one round trip, one record in the log, all or nothing.
#include <tuskv/tuskv.h>

#include <iostream>
#include <map>
#include <string>
#include <vector>

using namespace std::chrono_literals;

int main() {
  auto store = tuskv::Store::open("memory:");

  // From anything that holds pairs ...
  const std::map<std::string, std::string> prices = {{"apple", "120"}, {"pear", "95"}, {"plum", "60"}};
  store.set_many(prices);
  // ... or written down, with an expiry for some.
  store.set_many({{.key = "offer", .value = "apple", .ttl = 1h}, {.key = "season", .value = "autumn"}});

  // Answers stand where the questions stood.
  const std::vector<std::string> wanted = {"plum", "mango", "apple"};
  const auto found = store.get_many(wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::cout << wanted[i] << ": " << found[i].value_or("not sold") << "\n";
  }

  // All are new, or nothing is set.
  if (!store.set_many_if_absent({{.key = "mango", .value = "250"}, {.key = "plum", .value = "70"}})) {
    std::cout << "plum is there already, so mango was not set either: " << store.exists("mango") << "\n";
  }

  // A batch with one wrong item does nothing at all.
  try {
    store.set_many({{.key = "fig", .value = "40"}, {.key = "", .value = "no key"}});
  } catch (const tuskv::Error& error) {
    std::cout << to_string(error.code()) << ", and fig exists: " << store.exists("fig") << "\n";
  }
  std::cout << "removed " << store.erase_many({"apple", "pear", "mango"}) << "\n";
}
