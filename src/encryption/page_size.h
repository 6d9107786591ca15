// How many entries a walk over all values asks for at once: fewer when values are large, since a page holds them all.
#pragma once

#include <algorithm>
#include <cstddef>

namespace tuskv::encryption {

class PageSize final {
 public:
  static constexpr std::size_t kFirstEntries = 32;

  PageSize() = default;
  explicit PageSize(std::size_t entries) : entries_(entries) {}

  std::size_t entries() const { return entries_; }
  /// After a page, which held so many bytes of values.
  void adapt(std::size_t value_bytes) {
    constexpr std::size_t kEntriesMax = 1024;
    constexpr std::size_t kValueBytesWanted = std::size_t{1} << 20;
    entries_ =
        value_bytes < kValueBytesWanted ? std::min(entries_ * 2, kEntriesMax) : std::max(entries_ / 2, std::size_t{1});
  }

 private:
  std::size_t entries_ = kFirstEntries;
};

}  // namespace tuskv::encryption
