#include "cli/batch_writer.h"

#include <algorithm>
#include <utility>

#include "cli/limits.h"

namespace tuskv::cli {

BatchWriter::BatchWriter(Store store, std::size_t entries_max) : store_(std::move(store)), entries_max_(entries_max) {}

bool BatchWriter::add(Record record) {
  size_bytes_ += record.key.size() + record.value.size();
  batch_.push_back(std::move(record));
  if (batch_.size() < entries_max_ && size_bytes_ < kBatchBytes) return false;
  flush();
  return true;
}

void BatchWriter::flush() {
  if (batch_.empty()) return;
  if (is_plain()) {
    write_plain();
  } else {
    write_transaction();
  }
  written_ += batch_.size();
  batch_.clear();
  size_bytes_ = 0;
}

/// One set_many will do: one namespace, nothing expires.
bool BatchWriter::is_plain() const {
  return std::all_of(batch_.begin(), batch_.end(), [&](const Record& record) {
    return !record.expires_at && record.name_space == batch_.front().name_space;
  });
}

void BatchWriter::write_plain() const {
  std::vector<Item> items;
  items.reserve(batch_.size());
  for (const Record& record : batch_) items.push_back({.key = record.key, .value = record.value});
  const std::string& name = batch_.front().name_space;
  if (name.empty()) {
    store_.set_many(items);
  } else {
    store_.with_namespace(name).set_many(items);
  }
}

/// set_many knows times to live, not instants: a transaction keeps each expiry to the millisecond.
void BatchWriter::write_transaction() const {
  store_.transaction([&](Transaction& tx) {
    for (const Record& record : batch_) {
      SetOptions options;
      if (record.expires_at) options.expires_at = *record.expires_at;
      if (record.name_space.empty()) {
        tx.set(record.key, record.value, options);
      } else {
        tx.with_namespace(record.name_space).set(record.key, record.value, options);
      }
    }
  });
}

}  // namespace tuskv::cli
