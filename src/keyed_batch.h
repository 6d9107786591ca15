// The commands of a batch: stored keys in one block, one command for each, everything checked before the first is run.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "checks.h"
#include "commands.h"
#include "view.h"

namespace tuskv {

/// Stored keys of a batch, one behind the other, with their commands.
template <class C>
class KeyedBatch final {
 public:
  KeyedBatch(const View& view, std::size_t count) : view_(view) { check_batch(count, 0); }

  /// Room for the stored keys: call once, since commands point into it.
  void reserve(std::size_t keys, std::size_t key_bytes, std::size_t value_bytes) {
    const std::size_t stored_bytes = key_bytes + keys * view_.prefix.size();
    check_batch(keys, stored_bytes + value_bytes);
    bytes_ = std::make_unique_for_overwrite<char[]>(stored_bytes);
    end_ = bytes_.get();
    commands_.reserve(keys);
  }
  /// `key` has been checked.
  C& add(std::string_view key) {
    const std::string_view stored(end_, view_.prefix.size() + key.size());
    end_ = std::copy(view_.prefix.begin(), view_.prefix.end(), end_);
    end_ = std::copy(key.begin(), key.end(), end_);
    C& command = std::get<C>(commands_.emplace_back(std::in_place_type<C>));
    command.key = stored;
    return command;
  }
  /// The keys stay here: run the commands while this lives.
  std::vector<Command> take_commands() { return std::move(commands_); }

 private:
  const View& view_;
  std::unique_ptr<char[]> bytes_;
  char* end_ = nullptr;
  std::vector<Command> commands_;
};

/// One command for each key, in order.
template <class C>
void add_keys(KeyedBatch<C>& batch, const View& view, std::span<const Bytes> keys) {
  std::size_t key_bytes = 0;
  for (const Bytes& key : keys) {
    check_key(view, key.view());
    key_bytes += key.size();
  }
  batch.reserve(keys.size(), key_bytes, 0);
  for (const Bytes& key : keys) batch.add(key.view());
}

/// One command for each item. Of a key given twice only the last counts: under a condition, which the earlier item
/// would make untrue, and where the earlier item would show in the expiry that is kept or in the stamps, that means
/// that only the last is run.
void add_items(KeyedBatch<Put>& batch, const View& view, std::span<const Item> items, const SetOptions& options,
               Condition condition);

}  // namespace tuskv
