// The keys of what stores keep for themselves: the namespace "\1tuskv", which users cannot name. Each user of it takes
// a key of its own there (the marker of an encrypted store, the canary of an UNLOGGED table).
#pragma once

#include <string_view>

#include "named_limits.h"

namespace tuskv {

/// The namespace with its NUL: stored keys of it are in [from, to). Octal: a hexadecimal escape would go on.
inline constexpr std::string_view kOwnKeysFrom{"\001tuskv\0", 7};
inline constexpr std::string_view kOwnKeysTo{"\001tuskv\001", 7};
static_assert(kOwnKeysFrom.front() == kReservedNamespaceByte);

}  // namespace tuskv
