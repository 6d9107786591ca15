// Where coordination keeps its records: namespaces whose names start with a byte that users cannot name, a set of them
// for each namespace of theirs. The space `lock` of the root namespace is "\1lock", that of the namespace `a` is
// "\1lock/a": no two meet, for a name of a namespace holds no NUL and the root has none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tuskv/bytes.h"
#include "tuskv/time.h"
#include "view.h"

namespace tuskv::coordination {

// Octal: a hexadecimal escape would swallow the letters that follow.
inline constexpr std::string_view kLockSpace = "\001lock";
inline constexpr std::string_view kTokenSpace = "\001token";
inline constexpr std::string_view kClaimSpace = "\001claim";
inline constexpr std::string_view kOwnerSpace = "\001owner";
inline constexpr std::string_view kRateSpace = "\001rate";

/// What stored keys of this space of the view's namespace start with.
std::string space_prefix(const View& view, std::string_view space);

/// The stored key of a name, which is checked as keys are; `what` is the kind of name that errors speak of.
std::string named_key(const View& view, std::string_view space, std::string_view name, const char* what);
/// The stored key of the counter that gives the tokens of a lock: which one is decided by a hash of its name.
std::string token_key(const View& view, std::string_view lock_name);
/// What stored keys of the claims of an owner start with: its length in one byte, then itself. The claimed names follow
/// in their order, and no owner's keys are among another's.
std::string owned_prefix(const View& view, std::string_view owner);

std::string_view checked_owner(Bytes owner);
/// InvalidArgument unless positive; Unsupported where the store was opened to ignore expiry: what is only given for a
/// time would be gone for ever.
std::int64_t checked_span_ms(const View& view, Duration span, const char* what);

}  // namespace tuskv::coordination
