// Reading the keys of many callers in one statement. Keys are sorted and named once; each answer goes to all who asked.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "postgres/database.h"
#include "postgres/jobs.h"

namespace tuskv::postgres {

class ReadBatch final {
 public:
  /// Every unit is made of Reads.
  ReadBatch(Database& database, std::span<const Job> jobs) : database_(database), jobs_(jobs) {}

  /// One attempt; fills the replies when it succeeds. StoreReset fails it as a whole.
  Status run(Connection& connection, os::Deadline deadline);
  /// Jobs whose values are too large to be read beside others: each has to be run again, alone.
  const std::vector<Job>& large() const { return large_; }
  /// Entries that had expired and were removed, where reads do so.
  std::uint64_t swept() const { return swept_; }

 private:
  struct Target {
    std::size_t job;
    Read* read;
    std::size_t ordinal = 0;  ///< of its key among the distinct ones, from 0
  };
  struct Chunk {
    std::size_t place = 0;
    std::size_t first = 0;  ///< ordinal of its first key
    std::size_t keys = 0;
    Rows rows = {};
    std::vector<int> row_of = {};  ///< by ordinal: for each key; -1: absent

    int find(std::string_view key) const;
  };

  bool is_single() const;
  const Statement& statement_for_one(const Read& read) const;
  Status run_single(Connection& connection, os::Deadline deadline);
  void collect(Connection& connection, os::Deadline deadline);
  Parameters parameters_for(std::span<const Target* const> part, bool and_expired) const;
  void add_chunks(Connection& connection, std::span<const Target* const> distinct, os::Deadline deadline);
  Status index_rows(Connection& connection, os::Deadline deadline);
  void fill_replies();
  bool fill(const Target& target);
  Status erase_dead(Connection& connection, os::Deadline deadline);

  Database& database_;
  const std::span<const Job> jobs_;
  std::vector<Target> targets_;
  std::vector<Chunk> chunks_;
  bool with_canary_ = false;
  bool by_key_ = false;  ///< only values are wanted, and rows are found by their keys, not by ordinals
  std::size_t clock_place_ = 0;
  /// Of several statements: the time of their snapshot. With a later one, an entry would have expired before what was
  /// written earlier is there. One statement judges by itself.
  std::int64_t judged_us_ = INT64_MIN;
  std::int32_t value_bytes_max_ = 0;
  std::vector<Job> large_;
  std::vector<std::string> missing_;  ///< where reads remove what has expired
  std::uint64_t swept_ = 0;
};

}  // namespace tuskv::postgres
