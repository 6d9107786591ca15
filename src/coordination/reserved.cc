#include "coordination/reserved.h"

#include <xxhash.h>

#include "checks.h"
#include "named_limits.h"
#include "throw.h"

namespace tuskv::coordination {
namespace {

static_assert(kLockSpace.front() == kReservedNamespaceByte);

void check_stored_size(const View& view, std::size_t stored_bytes, const char* what) {
  if (stored_bytes <= kStoredKeyBytesMax) return;
  throw_refused(Code::InvalidKey, std::string(what) + " in a namespace of " + std::to_string(view.prefix.size() - 1) +
                                      " bytes needs a key of " + std::to_string(stored_bytes) +
                                      " bytes, over the limit of " + std::to_string(kStoredKeyBytesMax));
}

}  // namespace

std::string space_prefix(const View& view, std::string_view space) {
  std::string prefix(space);
  if (view.prefix.size() > 1) prefix += '/';
  return prefix += view.prefix;  // ends with NUL
}

std::string named_key(const View& view, std::string_view space, std::string_view name, const char* what) {
  if (name.empty()) throw_refused(Code::InvalidKey, std::string(what) + " is empty");
  if (name.size() > view.limits.key_bytes_max) {
    throw_refused(Code::InvalidKey, std::string(what) + " has " + std::to_string(name.size()) +
                                        " bytes, over the limit of " + std::to_string(view.limits.key_bytes_max) +
                                        " (max_key_bytes)");
  }
  std::string key = space_prefix(view, space);
  key += name;
  check_stored_size(view, key.size(), what);
  return key;
}

std::string token_key(const View& view, std::string_view lock_name) {
  constexpr std::string_view kHex = "0123456789abcdef";
  static_assert(kTokenCounters == 256);
  const XXH64_hash_t hash = XXH3_64bits(lock_name.data(), lock_name.size());
  std::string key = space_prefix(view, kTokenSpace);
  key += {kHex[hash >> 4 & 15], kHex[hash & 15]};
  return key;
}

std::string owned_prefix(const View& view, std::string_view owner) {
  std::string prefix = space_prefix(view, kOwnerSpace);
  static_assert(kOwnerBytesMax <= 255);
  prefix += static_cast<char>(owner.size());
  return prefix += owner;
}

std::string_view checked_owner(Bytes owner) {
  if (owner.empty()) throw_refused(Code::InvalidArgument, "the owner is empty");
  if (owner.size() > kOwnerBytesMax) {
    throw_refused(Code::InvalidArgument, "an owner of " + std::to_string(owner.size()) +
                                             " bytes is over the limit of " + std::to_string(kOwnerBytesMax));
  }
  return owner.view();
}

std::int64_t checked_span_ms(const View& view, Duration span, const char* what) {
  const std::int64_t ms = checked_ttl_ms(span, what);
  if (view.expiry_disabled) {
    throw_refused(Code::Unsupported,
                  std::string("the store was opened with ttl_mode=disabled: ") + what + " would never end");
  }
  return ms;
}

}  // namespace tuskv::coordination
