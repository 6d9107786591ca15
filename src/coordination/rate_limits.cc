// A window is a counter that expires with it: Add creates it with the time to live of a window, keeps its end after
// that, and refuses what would pass the limit without changing anything. One command in one atomic step, so the limit
// holds whoever asks; a window that is over is an absent counter, so no call ever has to reset one.
#include <algorithm>

#include "checks.h"
#include "coordination/records.h"
#include "coordination/reserved.h"
#include "named_limits.h"
#include "run.h"
#include "throw.h"
#include "time_left.h"
#include "tuskv/operations.h"

namespace tuskv {
namespace {

using namespace coordination;

constexpr const char* kRateLimitName = "the name of a rate limit";

void check_range(std::int64_t number, std::int64_t min, const char* what) {
  if (number >= min && number <= kRateLimitMax) return;
  throw_refused(Code::InvalidArgument, std::string(what) + " must be " + std::to_string(min) + " to " +
                                           std::to_string(kRateLimitMax) + ", not " + std::to_string(number));
}

std::chrono::milliseconds time_left_or_zero(std::int64_t expires_us, const View& view) {
  return expires_us == 0 ? std::chrono::milliseconds(0) : time_left(expires_us, view);
}

}  // namespace

inline namespace v0 {

template <class Mode>
auto Operations<Mode>::rate_limit(Bytes name, const RateLimitOptions& options) const -> Reply<RateLimitResult> {
  const std::string key = named_key(*view_, kRateSpace, name.view(), kRateLimitName);
  check_range(options.limit, 0, "the limit");
  check_range(options.cost, 1, "the cost");
  const Expiry window{.kind = Expiry::Kind::after,
                      .value = checked_span_ms(*view_, options.window, "the window of a rate limit")};
  return run(Mode(), view_,
             Add{.key = key,
                 .magnitude = static_cast<std::uint64_t>(options.cost),
                 .max = options.limit,
                 .if_created = window},
             [](auto reply) {
               const Add& hit = reply.command;
               return RateLimitResult{
                   .allowed = hit.applied,
                   .remaining = std::max<std::int64_t>(hit.max - hit.value, 0),  // the limit may be a new one
                   .reset_after = time_left_or_zero(hit.expires_us, reply.view)};
             });
}

template <class Mode>
auto Operations<Mode>::peek_rate_limit(Bytes name) const -> Reply<RateLimitWindow> {
  const std::string key = named_key(*view_, kRateSpace, name.view(), kRateLimitName);
  return run(Mode(), view_, Read{.key = key}, [](auto reply) -> RateLimitWindow {
    const Seen& seen = reply.command.seen;
    if (!seen.found) return {};
    const auto granted = decode_number(reply.value);
    if (!granted) throw_unknown_record("rate limit", reply.command.key);
    return {.granted = *granted, .reset_after = time_left_or_zero(seen.expires_us, reply.view)};
  });
}

template <class Mode>
auto Operations<Mode>::reset_rate_limit(Bytes name) const -> Reply<bool> {
  const std::string key = named_key(*view_, kRateSpace, name.view(), kRateLimitName);
  return run(Mode(), view_, Erase{.key = key}, [](auto reply) { return reply.command.seen.found; });
}

template Blocking::Reply<RateLimitResult> Operations<Blocking>::rate_limit(Bytes, const RateLimitOptions&) const;
template Asynchronous::Reply<RateLimitResult> Operations<Asynchronous>::rate_limit(Bytes,
                                                                                   const RateLimitOptions&) const;
template Blocking::Reply<RateLimitWindow> Operations<Blocking>::peek_rate_limit(Bytes) const;
template Asynchronous::Reply<RateLimitWindow> Operations<Asynchronous>::peek_rate_limit(Bytes) const;
template Blocking::Reply<bool> Operations<Blocking>::reset_rate_limit(Bytes) const;
template Asynchronous::Reply<bool> Operations<Asynchronous>::reset_rate_limit(Bytes) const;

}  // namespace v0
}  // namespace tuskv
