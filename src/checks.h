// The checks of arguments, made once, before any engine sees them, so that every engine refuses the same input in the
// same words. Each throws at the call, before any effect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "commands.h"
#include "named_limits.h"
#include "tuskv/types.h"
#include "view.h"

namespace tuskv {

[[noreturn]] void throw_wrong_key(const View& view, std::size_t key_bytes);
[[noreturn]] void throw_wrong_value(const View& view, std::size_t value_bytes);

inline void check_key(const View& view, std::string_view key) {
  if (key.empty() || key.size() > view.limits.key_bytes_max || view.prefix.size() + key.size() > kStoredKeyBytesMax) {
    throw_wrong_key(view, key.size());
  }
}

inline void check_value(const View& view, std::string_view value) {
  if (value.size() > view.limits.value_bytes_max) throw_wrong_value(view, value.size());
}

/// A checked key, joined with the namespace of the view: on the stack, since a heap block would cost as much as a read.
class StoredKey final {
 public:
  StoredKey(const View& view, Bytes key) {
    check_key(view, key.view());
    std::memcpy(bytes_, view.prefix.data(), view.prefix.size());
    std::memcpy(bytes_ + view.prefix.size(), key.view().data(), key.size());
    size_ = view.prefix.size() + key.size();
  }
  StoredKey(const StoredKey&) = delete;
  StoredKey& operator=(const StoredKey&) = delete;

  std::string_view view() const { return {bytes_, size_}; }

 private:
  std::size_t size_;
  char bytes_[kStoredKeyBytesMax];  // not cleared: that would cost as much again
};

/// Milliseconds of a time to live; `what` names the argument.
std::int64_t checked_ttl_ms(Duration ttl, std::string_view what);
std::int64_t checked_instant_us(Instant instant);
std::int64_t checked_timeout_ms(Duration timeout, std::string_view what);

/// The expiry of an entry about which nothing is said: that of the view.
inline Expiry default_expiry(const View& view) {
  if (!view.default_ttl_ms) return {};
  return {.kind = Expiry::Kind::after, .value = *view.default_ttl_ms};
}

/// What the options say; `unspecified` when they say nothing.
Expiry checked_expiry(const SetOptions& options, Expiry unspecified);

/// How many commands, and bytes of keys and values, one call may have.
void check_batch(std::size_t commands, std::size_t bytes);

/// What stored keys of the namespace `name` below that of the view start with.
std::string checked_namespace_prefix(const View& view, std::string_view name);

}  // namespace tuskv
