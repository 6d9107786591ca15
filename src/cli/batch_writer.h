// Writes entries in bounded, atomic batches, for import and copy. When the store refuses a batch for what is in it, the
// batch is halved until the entries it means stand alone; all others are written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tuskv/store.h"

namespace tuskv::cli {

struct Record {
  std::string name_space = {};  ///< below that of the store; empty for its own
  std::string key = {};
  std::string value = {};
  /// One that has passed removes the key: what was exported is gone by now.
  std::optional<TimePoint> expires_at = {};
  /// Where it was read: line or entry of the input, from 1.
  std::uint64_t position = 0;
};

class BatchWriter final {
 public:
  /// Told of an entry that can never be stored, and why. If it returns, writing goes on behind the entry.
  using Refused = std::function<void(const Record&, const Error&)>;

  BatchWriter(Store store, std::size_t entries_max, Refused refused);

  /// Takes a record; writes the batch when it is full. True when everything taken so far is written.
  bool add(Record record);
  /// Writes what was taken. After an exception the rest of it is dropped.
  void flush();
  std::uint64_t written() const noexcept { return written_; }
  /// Of the last record that was written or refused, with all before it; 0 when there was none.
  std::uint64_t position() const noexcept { return position_; }

 private:
  void write(std::span<const Record> records);
  bool is_accepted(std::span<const Record> records);
  void write_plain(std::span<const Record> records) const;
  void write_transaction(std::span<const Record> records) const;

  Store store_;
  std::size_t entries_max_;
  Refused refused_;
  std::vector<Record> batch_;
  std::size_t size_bytes_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t position_ = 0;
};

}  // namespace tuskv::cli
