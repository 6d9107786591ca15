// What a store must hold after some steps: the simplest thing that could be right.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crash/step.h"

namespace tuskv::test {

struct ModelEntry {
  std::string value = {};
  std::int64_t expires_us = 0;  ///< 0: never
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;

  bool live(std::int64_t now_us) const { return expires_us == 0 || now_us < expires_us; }
  friend bool operator==(const ModelEntry&, const ModelEntry&) = default;
};

using ModelEntries = std::map<std::string, ModelEntry, std::less<>>;

/// A number that tells states apart: the sum of one for each entry, so that it can be kept up to date and entries can
/// be taken out of it.
std::uint64_t digest(std::string_view key, const ModelEntry& entry);

/// A digest of a state from which what has expired by some later time can still be taken out.
struct StateDigest {
  std::uint64_t whole = 0;
  std::vector<std::pair<std::int64_t, std::uint64_t>> expiring = {};  ///< when, and the entry's part of `whole`

  std::uint64_t at(std::int64_t now_us) const;
};

class Model final {
 public:
  void apply(const Step& step, std::int64_t now_us);
  const ModelEntries& entries() const { return entries_; }
  ModelEntries live_entries(std::int64_t now_us) const;
  StateDigest state_digest() const;

 private:
  const ModelEntry* find_live(std::string_view key, std::int64_t now_us) const;
  std::int64_t number_of(std::string_view key, std::int64_t absent, std::int64_t now_us) const;
  void put(const std::string& key, std::string value, std::int64_t expires_us, std::int64_t now_us);
  void erase(const std::string& key);
  void insert(const std::string& key, ModelEntry entry);

  ModelEntries entries_;
  std::uint64_t whole_ = 0;
};

}  // namespace tuskv::test
