// How the API reaches what only encrypted stores have: their values under the first key. See Store::reencrypt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "named_limits.h"
#include "status.h"
#include "tuskv/store.h"

namespace tuskv {

/// Where a walk over all entries is.
struct ReencryptionWalk {
  std::string after = {};                         ///< stored key
  std::size_t entries_max = kReencryptedPageMax;  ///< of a page; fewer where so many take too long
  bool done = false;
};

class Reencryption {
 public:
  virtual ~Reencryption() = default;
  /// Looks at the next page, rewrites what is under an older key, and adds to the report.
  virtual Status reencrypt_page(ReencryptionWalk& walk, std::int64_t timeout_ms, ReencryptReport& report) = 0;
  /// The same for the store's own marker: last, so that a store that opens without an old key needs it for nothing.
  virtual Status reencrypt_marker(std::int64_t timeout_ms) = 0;
};

}  // namespace tuskv
