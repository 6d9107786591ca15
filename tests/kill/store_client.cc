#include "kill/store_client.h"

#include <stdexcept>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "open.h"
#include "support/submitted.h"
#include "throw.h"

namespace tuskv::test {
namespace {

constexpr std::chrono::hours kPatience{24};

Options options_for(const Mix& mix, Durability durability) {
  return {.timeout = kPatience,
          .durability = durability,
          .ttl_mode = TtlMode::manual,
          .sync_interval = std::chrono::milliseconds(1),
          .snapshot_interval = std::chrono::hours(24 * 7),
          .snapshot_log_bytes_min = mix.snapshot_log_bytes_min,
          .keep_snapshots = 1,
          .snapshot_threads = 1};
}

void set(const Store& store, const Step& step) {
  SetOptions options;
  if (step.number != 0) options.ttl = std::chrono::milliseconds(step.number);
  if (step.asynchronous) return submitted(store.async().set(step.key, step.value, options));
  store.set(step.key, step.value, options);
}

/// With erasures among them it takes a transaction; a list of sets is a call of its own.
void batch(const Store& store, const std::vector<BatchItem>& items) {
  std::vector<Item> sets;
  for (const BatchItem& item : items) {
    if (item.value) sets.push_back({.key = item.key, .value = *item.value});
  }
  if (sets.size() == items.size()) return store.set_many(sets);
  store.transaction([&](Transaction& transaction) {
    for (const BatchItem& item : items) {
      if (item.value) {
        transaction.set(item.key, *item.value);
      } else {
        transaction.erase(item.key);
      }
    }
  });
}

void transfer(const Store& store, const Step& step) {
  store.transaction([&](Transaction& transaction) {
    const auto balance = [&](const std::string& account) {
      const auto text = transaction.get(account);
      return text ? std::stoll(*text) : kAccountStart;
    };
    const std::int64_t from = balance(step.key);
    const std::int64_t to = balance(step.value);
    transaction.set(step.key, std::to_string(from - step.number));
    transaction.set(step.value, std::to_string(to + step.number));
  });
}

std::int64_t us_since_1970(TimePoint instant) { return instant.time_since_epoch().count(); }

}  // namespace

Store open_store_for(const Mix& mix, Durability durability, const StorePlace& place) {
  const Options options = options_for(mix, durability);
  embedded::EngineOptions engine{.directory = place.directory, .options = options};
  engine.log_segment_bytes_min = mix.segment_bytes_min;
  engine.log_segment_bytes_max = mix.segment_bytes_max;
  auto opened = embedded::EmbeddedEngine::open(engine, *place.file_system, *place.clock);
  return store_on(value_or_throw(std::move(opened)), options);
}

bool perform(const Store& store, const Step& step) {
  switch (step.kind) {
    case Step::Kind::set: set(store, step); return true;
    case Step::Kind::erase: return store.erase(step.key);
    case Step::Kind::expire: return store.expire(step.key, std::chrono::milliseconds(step.number));
    case Step::Kind::add: store.increment(step.key, step.number); return true;
    case Step::Kind::batch: batch(store, step.items); return true;
    case Step::Kind::transfer: transfer(store, step); return true;
    case Step::Kind::erase_prefix: return store.erase_prefix(step.key, {.allow_empty_prefix = true}) != 0;
    case Step::Kind::sync: store.sync(); return true;
    case Step::Kind::snapshot: store.snapshot(); return true;
    case Step::Kind::prune: store.prune_snapshots(static_cast<std::size_t>(step.number)); return true;
    case Step::Kind::sweep: store.cleanup_expired(); return true;
    case Step::Kind::reopen:
    case Step::Kind::advance: break;
  }
  throw std::logic_error(to_string(step) + " is no call of a store");
}

ModelEntries read_everything(const Store& store) {
  ModelEntries entries;
  for (const Entry& entry : store.entries({.limit = 10'000})) {
    const auto point = store.get(entry.key);
    if (point != entry.value) throw std::runtime_error("the two indexes differ at key " + entry.key);
    entries[entry.key] = {.value = entry.value,
                          .expires_us = entry.expires_at ? us_since_1970(*entry.expires_at) : 0,
                          .created_us = us_since_1970(entry.created_at),
                          .updated_us = us_since_1970(entry.updated_at)};
  }
  return entries;
}

}  // namespace tuskv::test
