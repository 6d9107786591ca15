// Listing: by prefix, by range, by pattern, page by page, from the end; always in key order.
#include <tuskv/tuskv.h>

#include <cstdio>
#include <iostream>

int main() {
  auto store = tuskv::Store::open("memory:");
  for (int day = 1; day <= 30; ++day) {
    char key[32];
    std::snprintf(key, sizeof key, "log:2024-06-%02d", day);
    store.set(key, std::to_string(day * day));
  }
  store.set("other", "x");

  // A stream in bounded memory, however many there are.
  int sum = 0;
  for (const auto& entry : store.entries({.prefix = "log:"})) sum += std::stoi(entry.value);
  std::cout << "sum " << sum << "\n";

  // The start of a range belongs to it, the end does not.
  std::cout << store.count({.from = "log:2024-06-10", .to = "log:2024-06-15"}) << " days from 10 to 14\n";

  // `*` is any run, `?` one byte.
  std::cout << store.count({.glob = "log:*-1?"}) << " days from 10 to 19\n";

  // Pages, for a web page or an API: hand out `next`, get it back as `after`.
  std::string after;
  do {
    const auto page = store.keys({.prefix = "log:", .after = after, .limit = 12});
    std::cout << page.keys.size() << " keys from " << page.keys.front() << "\n";
    after = page.next;
  } while (!after.empty());

  // The newest three.
  for (const auto& entry : store.scan({.prefix = "log:", .limit = 3, .reverse = true}).entries) {
    std::cout << entry.key << " " << entry.value << "\n";
  }
  std::cout << "removed " << store.erase_range("log:", "log:2024-06-20") << " old days\n";
  std::cout << "removed " << store.erase_prefix("log:") << ", left " << store.count() << "\n";
}
