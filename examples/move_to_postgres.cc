// A program that has outgrown its directory: every entry of one store is set in another, in all namespaces, with its
// expiry. Both stores stay in use meanwhile; what is written to the old one behind the copy's back is not taken along.
// The tool does the same in one line: tuskv copy file:./data postgresql://localhost/mydb
//
//   move_to_postgres [TO [FROM]]     without TO into another directory, without FROM from one with a few entries
#include <tuskv/tuskv.h>

#include <iostream>
#include <string>

using namespace std::chrono_literals;

namespace {

/// A page at a time, each whole or not at all and with one commit.
std::size_t move_namespace(const tuskv::Store& from, const tuskv::Store& to) {
  std::size_t moved = 0;
  tuskv::Page page;
  do {
    page = from.scan({.after = page.next, .limit = 500});
    to.transaction([&](tuskv::Transaction& tx) {
      for (const tuskv::Entry& entry : page.entries) {
        tuskv::SetOptions options;
        if (entry.expires_at) options.expires_at = *entry.expires_at;  // not a time to live: moving takes time
        tx.set(entry.key, entry.value, options);
      }
    });
    moved += page.entries.size();
  } while (!page.next.empty());
  return moved;
}

/// Setting an entry again does no harm: after a failure, start from the beginning.
std::size_t move_all(const tuskv::Store& from, const tuskv::Store& to) {
  std::size_t moved = move_namespace(from, to);
  for (const std::string& name : from.namespaces()) {
    moved += move_namespace(from.with_namespace(name), to.with_namespace(name));
  }
  return moved;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string to_url = count > 1 ? arguments[1] : "file:./moved";
  const std::string from_url = count > 2 ? arguments[2] : "file:./to_move";
  const auto from = tuskv::Store::open(from_url);
  if (count <= 2) {
    from.set("user:1", "Alice");
    from.set("session:9", "token", {.ttl = 30min});
    from.with_namespace("tenant1").set("user:1", "Carol");
  }

  // Options of the target go into its URL: ?table=cache&durability=unlogged
  const auto to = tuskv::Store::open(to_url);
  std::cout << "moved " << move_all(from, to) << " entries\n";

  std::cout << "user:1 is " << to.get("user:1").value_or("gone") << ", and "
            << to.with_namespace("tenant1").get("user:1").value_or("gone") << " for tenant1\n";
  const auto left = to.ttl("session:9").left;
  std::cout << "session:9 lives on for " << (left > 29min && left <= 30min ? "half an hour" : "another time") << "\n";
  to.close();
  from.close();
}
