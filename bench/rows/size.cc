// How the cost of a call grows with what is stored. A bigger store costs cache misses, whatever it does; how many
// nanoseconds those are on this machine is shown by the bare reads beside it: two dependent random reads in memory of
// the same size, one call after the other, which is the least any map can do.
#include <cstring>
#include <memory>

#include "bench/rows/rows.h"
#include "bench/throughput.h"
#include "tuskv/tuskv.h"

namespace tuskv::bench {
namespace {

constexpr std::size_t kPageEntries = 100;

std::string size_text(std::uint64_t entries) {
  if (entries % 1'000'000 == 0) return std::to_string(entries / 1'000'000) + " M";
  if (entries % 1000 == 0) return std::to_string(entries / 1000) + " k";
  return std::to_string(entries);
}

Store load_memory(const Dataset& data) {
  Store store = Store::open("memory:");
  KeyWriter keys(data.key_bytes);
  const ValueSource values(data.value_bytes, 1);
  for (std::uint64_t n = 0; n < data.entries; ++n) store.set(keys.key(n), values.value(n));
  return store;
}

double nanoseconds_per_call(Worker worker, std::chrono::nanoseconds duration, std::uint64_t calls_per_look) {
  std::vector<Worker> workers = {std::move(worker)};
  return 1e9 / throughput(workers, duration, calls_per_look);
}

double get_round(const Store& store, const Dataset& data, std::chrono::nanoseconds duration, std::uint64_t seed) {
  Random random(seed);
  KeyWriter keys(data.key_bytes);
  std::string value;
  return nanoseconds_per_call(
      [&](std::uint64_t calls) {
        for (std::uint64_t i = 0; i < calls; ++i) store.get_into(keys.key(random.below(data.entries)), value);
      },
      duration, 64);
}

double page_round(const Store& store, const Dataset& data, std::chrono::nanoseconds duration, std::uint64_t seed) {
  Random random(seed);
  KeyWriter keys(data.key_bytes);
  return nanoseconds_per_call(
      [&](std::uint64_t calls) {
        for (std::uint64_t i = 0; i < calls; ++i) {
          keep(store.scan({.after = keys.key(random.below(data.entries)), .limit = kPageEntries}));
        }
      },
      duration, 4);
}

/// Slots that point to records in random order, with room as a hash table has.
class BareMemory final {
 public:
  explicit BareMemory(const Dataset& data)
      : record_bytes_(data.key_bytes + data.value_bytes + 48),
        value_bytes_(data.value_bytes),
        records_(data.entries * record_bytes_, 'r'),
        slots_(data.entries) {
    Random random(7);
    for (std::uint64_t n = 0; n < data.entries; ++n) slots_[n] = n;
    for (std::uint64_t n = data.entries; n > 1; --n) std::swap(slots_[n - 1], slots_[random.below(n)]);
  }

  double round(std::chrono::nanoseconds duration, std::uint64_t seed) const {
    Random random(seed);
    std::string value;
    std::uint64_t last = 0;  // nothing, but known only when the record before has been read
    return nanoseconds_per_call(
        [&](std::uint64_t calls) {
          for (std::uint64_t i = 0; i < calls; ++i) {
            const char* record = records_.data() + slots_[(random.below(slots_.size()) + last)] * record_bytes_;
            value.assign(record + record_bytes_ - value_bytes_, value_bytes_);
            keep(value);
            last = static_cast<unsigned char>(value.front() ^ 'r');
          }
        },
        duration, 64);
  }

 private:
  std::size_t record_bytes_;
  std::size_t value_bytes_;
  std::vector<char> records_;
  std::vector<std::uint64_t> slots_;
};

struct Sized {
  Dataset data;
  std::string text;
  Store store;
  BareMemory bare;
};

}  // namespace

void run_size(Bench& bench) {
  const Scale& scale = bench.scale();
  std::vector<std::unique_ptr<Sized>> sizes;
  for (const std::uint64_t entries : {scale.entries_small, scale.entries, scale.entries_large}) {
    const Dataset data = {.entries = entries};
    sizes.push_back(std::make_unique<Sized>(data, size_text(entries), load_memory(data), BareMemory(data)));
  }
  std::vector<Contestant> gets;
  std::vector<Contestant> pages;
  for (const auto& sized : sizes) {
    gets.push_back({.name = "get, " + sized->text, .round = [&sized = *sized, &scale](std::uint64_t seed) {
                      return get_round(sized.store, sized.data, scale.round, seed);
                    }});
    gets.push_back({.name = "bare reads, " + sized->text, .round = [&sized = *sized, &scale](std::uint64_t seed) {
                      return sized.bare.round(scale.round, seed);
                    }});
    pages.push_back({.name = "page, " + sized->text, .round = [&sized = *sized, &scale](std::uint64_t seed) {
                       return page_round(sized.store, sized.data, scale.round, seed);
                     }});
  }
  const std::string& middle = sizes[1]->text;
  const std::string& large = sizes[2]->text;
  Measurement get = {.row = "size",
                     .title = "get as the store grows",
                     .unit = "ns a call",
                     .series = bench.interleave(gets, bench.rounds(scale.rounds))};
  get.compare("get, " + large, "get, " + middle, std::nullopt);
  get.compare("bare reads, " + large, "bare reads, " + middle, std::nullopt);
  bench.add(std::move(get));
  Measurement page = {.row = "size",
                      .title = "scan, a page of 100 behind a random key, as the store grows",
                      .unit = "ns a call",
                      .series = bench.interleave(pages, bench.rounds(scale.rounds))};
  page.compare("page, " + large, "page, " + middle, std::nullopt);
  bench.add(std::move(page));
}

void run_key_length(Bench& bench) {
  struct Lengthy {
    Dataset data;
    Store store;
  };
  std::vector<std::unique_ptr<Lengthy>> all;
  std::vector<Contestant> contestants;
  const Scale& scale = bench.scale();
  for (const std::size_t key_bytes : {16, 64, 256, 1000}) {
    const Dataset data = {.entries = scale.entries_long_keys, .key_bytes = key_bytes};
    all.push_back(std::make_unique<Lengthy>(data, load_memory(data)));
    contestants.push_back(
        {.name = std::to_string(key_bytes) + " B", .round = [&lengthy = *all.back(), &scale](std::uint64_t seed) {
           return get_round(lengthy.store, lengthy.data, scale.round, seed);
         }});
  }
  Measurement result = {.row = "key_length",
                        .title = "get by length of the key, " + size_text(scale.entries_long_keys) + " entries",
                        .unit = "ns a call",
                        .series = bench.interleave(contestants, bench.rounds(scale.rounds))};
  result.compare("1000 B", "16 B", std::nullopt);
  bench.add(std::move(result));
}

}  // namespace tuskv::bench
