#include "keyed_batch.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

namespace tuskv {
namespace {

Expiry item_expiry(const Item& item, Expiry of_call) {
  if (!item.ttl) return of_call;
  return {.kind = Expiry::Kind::after, .value = checked_ttl_ms(*item.ttl, "ttl")};
}

bool earlier_items_show(std::span<const Item> items, const SetOptions& options) {
  if (!options.keep_ttl && !options.expires_at) return false;
  return std::any_of(items.begin(), items.end(), [](const Item& item) { return item.ttl.has_value(); });
}

std::vector<Item> last_of_each_key(std::span<const Item> items) {
  std::unordered_set<std::string_view> seen;
  std::vector<Item> kept;
  for (std::size_t i = items.size(); i-- > 0;) {
    if (seen.insert(items[i].key.view()).second) kept.push_back(items[i]);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

}  // namespace

void add_items(KeyedBatch<Put>& batch, const View& view, std::span<const Item> items, const SetOptions& options,
               Condition condition) {
  const Expiry of_call = checked_expiry(options, default_expiry(view));
  std::size_t key_bytes = 0;
  std::size_t value_bytes = 0;
  for (const Item& item : items) {
    check_key(view, item.key.view());
    check_value(view, item.value.view());
    static_cast<void>(item_expiry(item, of_call));
    key_bytes += item.key.size();
    value_bytes += item.value.size();
  }
  std::vector<Item> last_items;
  if (condition.kind != Condition::Kind::always || earlier_items_show(items, options)) {
    last_items = last_of_each_key(items);
    items = last_items;
  }
  batch.reserve(items.size(), key_bytes, value_bytes);
  for (const Item& item : items) {
    Put& put = batch.add(item.key.view());
    put.value = item.value.view();
    put.expiry = item_expiry(item, of_call);
    put.condition = condition;
  }
}

}  // namespace tuskv
