// What encrypting values costs a call, in memory, where nothing else does: the same reads and writes of a table so
// small that it stays in the cache, on a store with AES-256-GCM and on one without.
#include "tuskv/encryption.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/rows/rows.h"
#include "bench/throughput.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

constexpr std::uint64_t kHotEntries = 100;

class HotStore final {
 public:
  HotStore(const Options& options, std::size_t value_bytes)
      : store_(Store::open("memory:", options)), values_(value_bytes, 1) {
    KeyWriter writer(Dataset().key_bytes);
    for (std::uint64_t n = 0; n < kHotEntries; ++n) keys_.emplace_back(writer.key(n));
    for (std::uint64_t n = 0; n < kHotEntries; ++n) set(n);
  }

  void set(std::uint64_t n) { store_.set(keys_[n % kHotEntries], values_.value(n % kHotEntries)); }
  void get(std::uint64_t n) { store_.get_into(keys_[n % kHotEntries], value_); }

 private:
  Store store_;
  ValueSource values_;
  std::vector<std::string> keys_ = {};
  std::string value_ = {};
};

double nanoseconds_a_call(const Bench& bench, const std::function<void(std::uint64_t n)>& call) {
  std::vector<Worker> workers = {[&, n = std::uint64_t{0}](std::uint64_t calls) mutable {
    for (std::uint64_t i = 0; i < calls; ++i) call(n++);
  }};
  return 1e9 / throughput(workers, bench.scale().round, 1024);
}

std::shared_ptr<const Encryptor> encryptor(Bench& bench) {
  try {
    return aes_256_gcm(KeyRing().add(1, std::string(32, 'k')));
  } catch (const Error& error) {
    bench.say_left_out("encryption", error.what());
    return nullptr;
  }
}

}  // namespace

void run_encryption(Bench& bench) {
  const std::shared_ptr<const Encryptor> aes = encryptor(bench);
  if (aes == nullptr) return;
  for (const std::size_t value_bytes : {Dataset().value_bytes, std::size_t{4096}}) {
    HotStore plain({}, value_bytes);
    HotStore encrypted({.encryptor = aes}, value_bytes);
    for (const bool writes : {false, true}) {
      const auto round_of = [&bench, writes](HotStore& store) {
        return [&bench, &store, writes](std::uint64_t) {
          return nanoseconds_a_call(bench, [&](std::uint64_t n) { writes ? store.set(n) : store.get(n); });
        };
      };
      const std::vector<Contestant> contestants = {{.name = "AES-256-GCM", .round = round_of(encrypted)},
                                                   {.name = "plain text", .round = round_of(plain)}};
      Measurement result = {.row = "encryption",
                            .title = std::string(writes ? "set" : "get") + " in memory, values of " +
                                     std::to_string(value_bytes) + " B: cost of encryption",
                            .unit = "ns a call",
                            .series = bench.interleave(contestants, bench.rounds(bench.scale().rounds))};
      result.compare("AES-256-GCM", "plain text", std::nullopt);
      bench.add(std::move(result));
    }
  }
}

}  // namespace tuskv::bench
