// The URL of a store: scheme, directory and options. A URL can hold a password, so no message repeats one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "status.h"

namespace tuskv {

struct StoreUrl {
  enum class Scheme : std::uint8_t { memory, file, postgresql };
  Scheme scheme = Scheme::memory;
  std::string directory = {};  ///< file: decoded
  std::string connection =
      {};  ///< postgresql: what is left for libpq, untouched but for the scheme; may hold a password
  /// Names and values, decoded, in order; each name once. For postgresql those that are options of ours.
  std::vector<std::pair<std::string, std::string>> parameters = {};
};

/// `memory:`, `file:DIR`, `file:///DIR` or `postgresql://…`, each with `?name=value&…`; or keyword=value pairs of libpq
/// (`host=db dbname=x`), which carry no options of ours. A scheme may have capitals (libpq wants none, and is given
/// none). Percent signs escape bytes; `#` is a byte as any other. Config errors say what is wrong and what would be
/// right.
Result<StoreUrl> parse_url(std::string_view url);

}  // namespace tuskv
