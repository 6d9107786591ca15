#include "tuskv/tuskv.h"

#include <array>
#include <memory>

#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

constexpr std::size_t kBatchEntries = 1000;

class TuskvSession final : public Session {
 public:
  explicit TuskvSession(Store store) : store_(std::move(store)) {}
  void set(std::string_view key, std::string_view value) override { store_.set(key, value); }
  bool get(std::string_view key, std::string& value) override { return store_.get_into(key, value); }

 private:
  Store store_;
};

class Tuskv final : public LocalSubject {
 public:
  explicit Tuskv(Store store) : store_(std::move(store)) {}
  ~Tuskv() override { store_.close(); }

  void load(const Dataset& data) override {
    std::vector<KeyWriter> keys(kBatchEntries, KeyWriter(data.key_bytes));
    const ValueSource values(data.value_bytes, 1);
    std::vector<Item> items;
    for (std::uint64_t n = 0; n < data.entries; ++n) {
      items.push_back({.key = keys[items.size()].key(n), .value = values.value(n)});
      if (items.size() < kBatchEntries && n + 1 != data.entries) continue;
      store_.set_many(items);
      items.clear();
    }
  }

  std::unique_ptr<Session> session() override { return std::make_unique<TuskvSession>(store_); }
  std::uint64_t read_all() override { return store_.stats().entries; }
  std::string version() const override { return TUSKV_BENCH_VERSION; }

 private:
  Store store_;
};

}  // namespace

std::unique_ptr<Subject> make_tuskv_memory() { return std::make_unique<Tuskv>(Store::open("memory:")); }

std::unique_ptr<Subject> make_tuskv(const SubjectOptions& options) {
  return std::make_unique<Tuskv>(Store::open("file:" + options.directory,
                                             {.durability = options.sync ? Durability::durable : Durability::relaxed}));
}

std::unique_ptr<Subject> make_tuskv_postgres(const SubjectOptions& options) {
  return std::make_unique<Tuskv>(Store::open(
      options.url, {.durability = options.sync ? Durability::durable : Durability::unlogged, .table = options.table}));
}

}  // namespace tuskv::bench
