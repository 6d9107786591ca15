#include "checks.h"

#include "throw.h"

namespace tuskv {
namespace {

std::string text(std::uint64_t number) { return std::to_string(number); }

}  // namespace

void throw_wrong_key(const View& view, std::size_t key_bytes) {
  if (key_bytes == 0) throw_refused(Code::InvalidKey, "the key is empty");
  if (key_bytes > view.limits.key_bytes_max) {
    throw_refused(Code::InvalidKey, "a key of " + text(key_bytes) + " bytes is over the limit of " +
                                        text(view.limits.key_bytes_max) + " (max_key_bytes)");
  }
  throw_refused(Code::InvalidKey, "a key of " + text(key_bytes) + " bytes in a namespace of " +
                                      text(view.prefix.size() - 1) + " bytes is over the limit of " +
                                      text(kKeyBytesCeiling) + " for both");
}

void throw_wrong_value(const View& view, std::size_t value_bytes) {
  throw_refused(Code::TooLarge, "a value of " + text(value_bytes) + " bytes is over the limit of " +
                                    text(view.limits.value_bytes_max) + " (max_value_bytes)");
}

std::int64_t checked_ttl_ms(Duration ttl, std::string_view what) {
  const std::int64_t ms = ttl.milliseconds();
  if (ms < 1) throw_refused(Code::InvalidArgument, std::string(what) + " must be positive");
  if (ms > kTtlMsMax) throw_refused(Code::InvalidArgument, std::string(what) + " is over the limit of 1000 years");
  return ms;
}

std::int64_t checked_instant_us(Instant instant) {
  if (instant.microseconds() > kInstantUsMax) {
    throw_refused(Code::InvalidArgument, "expires_at is after the end of the year 9999");
  }
  return instant.microseconds();
}

std::int64_t checked_timeout_ms(Duration timeout, std::string_view what) {
  const std::int64_t ms = timeout.milliseconds();
  if (ms < 1 || ms > kTimeoutMsMax) {
    throw_refused(Code::InvalidArgument, std::string(what) + " must be 1 ms to 1 day");
  }
  return ms;
}

Expiry checked_expiry(const SetOptions& options, Expiry unspecified) {
  const int given = int{options.ttl.has_value()} + int{options.expires_at.has_value()} + int{options.keep_ttl} +
                    int{options.persistent};
  if (given == 0) return unspecified;
  if (given > 1) {
    throw_refused(Code::InvalidArgument, "only one of ttl, expires_at, keep_ttl and persistent can be given");
  }
  if (options.ttl) return {.kind = Expiry::Kind::after, .value = checked_ttl_ms(*options.ttl, "ttl")};
  if (options.expires_at) return {.kind = Expiry::Kind::at, .value = checked_instant_us(*options.expires_at)};
  return {.kind = options.keep_ttl ? Expiry::Kind::keep : Expiry::Kind::never};
}

void check_batch(std::size_t commands, std::size_t bytes) {
  if (commands > kBatchCommandsMax) {
    throw_refused(Code::TooLarge,
                  "a batch of " + text(commands) + " keys is over the limit of " + text(kBatchCommandsMax));
  }
  if (bytes > kBatchBytesMax) {
    throw_refused(Code::TooLarge, "a batch of " + text(bytes) + " bytes of keys and values is over the limit of " +
                                      text(kBatchBytesMax));
  }
}

std::string checked_namespace_prefix(const View& view, std::string_view name) {
  if (name.empty()) throw_refused(Code::InvalidKey, "the name of the namespace is empty");
  if (name.find('\0') != std::string_view::npos) {
    throw_refused(Code::InvalidKey, "the name of the namespace holds a NUL byte");
  }
  if (name.front() == kReservedNamespaceByte) {
    throw_refused(Code::InvalidKey, "names of namespaces that start with byte 0x01 are reserved");
  }
  std::string prefix = view.prefix.substr(0, view.prefix.size() - 1);
  if (!prefix.empty()) prefix += '/';
  prefix += name;
  if (prefix.size() > kNamespaceBytesMax) {
    throw_refused(Code::InvalidKey,
                  "a namespace of " + text(prefix.size()) + " bytes is over the limit of " + text(kNamespaceBytesMax));
  }
  prefix += '\0';
  return prefix;
}

}  // namespace tuskv
