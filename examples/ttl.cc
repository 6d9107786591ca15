// Sessions and caches: entries that end by themselves.
#include <tuskv/tuskv.h>

#include <iostream>

using namespace std::chrono_literals;

namespace {

const char* in_words(const tuskv::Ttl& ttl) {
  switch (ttl.state) {
    case tuskv::Ttl::State::missing: return "is missing";
    case tuskv::Ttl::State::persistent: return "never expires";
    case tuskv::Ttl::State::remaining: return "expires";
  }
  return "";
}

}  // namespace

int main() {
  auto store = tuskv::Store::open("memory:");

  store.set("session:9", "token", {.ttl = 30min});
  store.set("banner", "Happy new year", {.expires_at = std::chrono::system_clock::now() + 24h});
  store.set("config", "stays");
  for (const char* key : {"session:9", "banner", "config", "nothing"}) {
    std::cout << key << " " << in_words(store.ttl(key)) << "\n";
  }

  // A session lives on for 30 minutes from every use.
  if (store.get_and_touch("session:9", 30min)) std::cout << "session 9 is alive\n";

  // A plain set ends the expiry; this one keeps it.
  store.set("session:9", "new token", {.keep_ttl = true});
  std::cout << "session:9 still " << in_words(store.ttl("session:9")) << "\n";

  // A counter for one minute, which starts when it is first used.
  store.increment("requests:alice", 1, {.ttl_if_created = 1min});

  // Every write through this handle expires unless it says otherwise.
  auto cache = store.with_namespace("cache", {.ttl = 5min});
  cache.set("page:/", "<html>");
  cache.set("page:/about", "<html>", {.persistent = true});
  std::cout << "the front page " << in_words(cache.ttl("page:/")) << ", the other one "
            << in_words(cache.ttl("page:/about")) << "\n";
}
