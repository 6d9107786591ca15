// One worker at a time, and a late one that does no harm: a lock with its fencing token.
#include <tuskv/tuskv.h>

#include <iostream>

using namespace std::chrono_literals;

namespace {

/// Something outside the store that is written to. It keeps the highest token it has seen, and refuses lower ones.
class Printer {
 public:
  bool print(std::uint64_t token, const char* text) {
    if (token < highest_) return false;
    highest_ = token;
    std::cout << "printed " << text << "\n";
    return true;
  }

 private:
  std::uint64_t highest_ = 0;
};

/// Written only if the lease is good at the moment of the commit.
bool save(const tuskv::Store& store, const tuskv::Lease& lease, const char* text) {
  return store.transaction([&](tuskv::Transaction& tx) {
    if (!tx.renew(lease, 30s)) return false;
    tx.set("report", text);
    return true;
  });
}

}  // namespace

int main() {
  auto store = tuskv::Store::open("memory:");
  Printer printer;

  {
    // Waits, holds, renews in the background, and lets go at the end of the scope.
    tuskv::Lock lock = store.lock("report", {.ttl = 30s, .wait = 10s});
    printer.print(lock.token(), "the first report");
    if (store.try_lock("report")) std::cout << "never printed: it is held\n";
  }

  // A worker whose lease ends while it stands still: a suspended machine, say. Here somebody ends it.
  auto late = store.try_lock("report", {.ttl = 30s, .owner = "late"});
  store.unlock(*late);
  auto next = store.try_lock("report", {.ttl = 30s, .owner = "next"});
  std::cout << "next has a higher token: " << (next->token > late->token ? "yes" : "no") << "\n";
  printer.print(next->token, "the second report");
  save(store, *next, "second");

  // It wakes up and believes that it still holds the lock. What it writes to looks at its token.
  if (!printer.print(late->token, "the late report")) std::cout << "the printer refused the late one\n";
  if (!save(store, *late, "late")) std::cout << "so did the store, which has " << *store.get("report") << "\n";
}
