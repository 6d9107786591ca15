// User names that only one user can have: claims, in one transaction with the user.
#include <tuskv/tuskv.h>

#include <iostream>
#include <string>

using namespace std::chrono_literals;

namespace {

/// The user and the name are there together, or neither is.
bool sign_up(const tuskv::Store& store, const std::string& id, const std::string& name) {
  return store.transaction([&](tuskv::Transaction& tx) {
    if (!tx.claim("username:" + name, id)) return false;
    tx.set(id, name);
    return true;
  });
}

bool rename(const tuskv::Store& store, const std::string& id, const std::string& name) {
  return store.transaction([&](tuskv::Transaction& tx) {
    if (!tx.claim("username:" + name, id)) return false;
    tx.release_claim("username:" + tx.get_or_throw(id), id);
    tx.set(id, name);
    return true;
  });
}

/// Nothing that the user had claimed outlives it.
void remove(const tuskv::Store& store, const std::string& id) {
  store.transaction([&](tuskv::Transaction& tx) {
    tuskv::KeyPage page;
    do {
      page = tx.claims_of(id, {.after = page.next});
      for (const std::string& name : page.keys) tx.release_claim(name, id);
    } while (!page.next.empty());
    tx.erase(id);
  });
}

const char* in_words(bool done) { return done ? "done" : "taken"; }

}  // namespace

int main() {
  auto store = tuskv::Store::open("memory:");

  std::cout << "user:1 alice: " << in_words(sign_up(store, "user:1", "alice")) << "\n";
  std::cout << "user:2 alice: " << in_words(sign_up(store, "user:2", "alice")) << "\n";
  std::cout << "user:2 bob: " << in_words(sign_up(store, "user:2", "bob")) << "\n";
  std::cout << "user:2 alice: " << in_words(rename(store, "user:2", "alice")) << "\n";
  std::cout << "user:1 al: " << in_words(rename(store, "user:1", "al")) << "\n";
  std::cout << "user:2 alice: " << in_words(rename(store, "user:2", "alice")) << "\n";
  std::cout << "alice is " << store.claim_owner("username:alice").value_or("nobody") << "\n";

  // Held for a visitor who has a quarter of an hour to confirm, and for good once that is done.
  const bool held = static_cast<bool>(store.claim("username:carol", "visitor:7", {.ttl = 15min}));
  std::cout << "carol visits: " << in_words(held) << "\n";
  const bool confirmed = store.transaction([](tuskv::Transaction& tx) {
    return tx.move_claim("username:carol", "visitor:7", "user:3") && tx.claim("username:carol", "user:3");
  });
  std::cout << "carol confirms: " << in_words(confirmed) << "\n";

  remove(store, "user:2");
  std::cout << "alice is " << store.claim_owner("username:alice").value_or("nobody") << "\n";

  // However many names somebody has.
  for (int i = 0; i < 250; ++i) {
    if (!store.claim("alias:" + std::to_string(i), "user:1")) return 1;
  }
  remove(store, "user:1");
  std::cout << "user:1 has " << store.claims_of("user:1").keys.size() << " names\n";
}
