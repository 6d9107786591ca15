#include "cli/batch_writer.h"

#include <algorithm>
#include <utility>

#include "cli/limits.h"

namespace tuskv::cli {

namespace {

/// Whether it is an entry that is wrong, and not the store or the moment.
bool blames_an_entry(const Error& error) {
  switch (error.code()) {
    case Code::InvalidKey:
    case Code::InvalidValue:
    case Code::InvalidArgument:
    case Code::TooLarge: return true;
    default: return false;
  }
}

/// One set_many will do: one namespace, nothing expires.
bool is_plain(std::span<const Record> records) {
  return std::all_of(records.begin(), records.end(), [&](const Record& record) {
    return !record.expires_at && record.name_space == records.front().name_space;
  });
}

}  // namespace

BatchWriter::BatchWriter(Store store, std::size_t entries_max, Refused refused)
    : store_(std::move(store)), entries_max_(entries_max), refused_(std::move(refused)) {}

bool BatchWriter::add(Record record) {
  size_bytes_ += record.key.size() + record.value.size();
  batch_.push_back(std::move(record));
  if (batch_.size() < entries_max_ && size_bytes_ < kBatchBytes) return false;
  flush();
  return true;
}

void BatchWriter::flush() {
  const std::vector<Record> batch = std::exchange(batch_, {});
  size_bytes_ = 0;
  write(batch);
}

void BatchWriter::write(std::span<const Record> records) {
  if (records.empty()) return;
  if (is_accepted(records)) {
    written_ += records.size();
    position_ = records.back().position;
  } else if (records.size() > 1) {
    write(records.first(records.size() / 2));
    write(records.subspan(records.size() / 2));
  }
}

/// False for what holds an entry that the store refuses; it has been reported if it stands alone.
bool BatchWriter::is_accepted(std::span<const Record> records) {
  try {
    if (is_plain(records)) {
      write_plain(records);
    } else {
      write_transaction(records);
    }
    return true;
  } catch (const Error& error) {
    if (!blames_an_entry(error)) throw;
    if (records.size() > 1) return false;
    refused_(records.front(), error);
    position_ = records.front().position;
    return false;
  }
}

void BatchWriter::write_plain(std::span<const Record> records) const {
  std::vector<Item> items;
  items.reserve(records.size());
  for (const Record& record : records) items.push_back({.key = record.key, .value = record.value});
  const std::string& name = records.front().name_space;
  if (name.empty()) {
    store_.set_many(items);
  } else {
    store_.with_namespace(name).set_many(items);
  }
}

/// set_many knows times to live, not instants: a transaction keeps each expiry to the millisecond.
void BatchWriter::write_transaction(std::span<const Record> records) const {
  store_.transaction([&](Transaction& tx) {
    for (const Record& record : records) {
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
