#include <oneapi/tbb/concurrent_hash_map.h>
#include <oneapi/tbb/version.h>

#include <memory>
#include <utility>

#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

/// Lets a string_view be looked up without making a string of it.
struct KeyHash {
  using is_transparent = void;
  std::size_t hash(std::string_view key) const { return std::hash<std::string_view>()(key); }
  bool equal(std::string_view a, std::string_view b) const { return a == b; }
};
using Map = tbb::concurrent_hash_map<std::string, std::string, KeyHash>;

class TbbSession final : public Session {
 public:
  explicit TbbSession(Map& map) : map_(map) {}
  void set(std::string_view key, std::string_view value) override {
    Map::accessor found;
    map_.insert(found, key);
    found->second.assign(value);
  }
  bool get(std::string_view key, std::string& value) override {
    Map::const_accessor found;
    if (!map_.find(found, key)) return false;
    value.assign(found->second);
    return true;
  }

 private:
  Map& map_;
};

/// A concurrent map and nothing else: no expiry, no order, no disk.
class Tbb final : public LocalSubject {
 public:
  void load(const Dataset& data) override {
    KeyWriter keys(data.key_bytes);
    const ValueSource values(data.value_bytes, 1);
    map_.rehash(data.entries);
    TbbSession session(map_);
    for (std::uint64_t n = 0; n < data.entries; ++n) session.set(keys.key(n), values.value(n));
  }
  std::unique_ptr<Session> session() override { return std::make_unique<TbbSession>(map_); }
  std::uint64_t read_all() override { return map_.size(); }
  std::string version() const override { return TBB_runtime_version(); }

 private:
  Map map_;
};

}  // namespace

std::unique_ptr<Subject> make_tbb() { return std::make_unique<Tbb>(); }

}  // namespace tuskv::bench
