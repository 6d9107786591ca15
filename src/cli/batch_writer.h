// Writes entries in bounded, atomic batches, for import and copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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
};

class BatchWriter final {
 public:
  BatchWriter(Store store, std::size_t entries_max);

  /// Takes a record; writes the batch when it is full. True when everything taken so far is written.
  bool add(Record record);
  void flush();
  std::uint64_t written() const noexcept { return written_; }

 private:
  bool is_plain() const;
  void write_plain() const;
  void write_transaction() const;

  Store store_;
  std::size_t entries_max_;
  std::vector<Record> batch_;
  std::size_t size_bytes_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace tuskv::cli
