#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

#include "tuskv/export.h"

namespace tuskv {
inline namespace v0 {

/// Instants that tuskv returns: wall-clock microseconds since 1970.
using TimePoint = std::chrono::sys_time<std::chrono::microseconds>;

namespace detail {
/// `count` units of Period as units of Target, rounded up; saturates at the ends of the range instead of wrapping, NaN
/// gives 0.
template <class Target, class Rep, class Period>
constexpr std::int64_t saturated_count(std::chrono::duration<Rep, Period> duration) noexcept {
  using Limits = std::numeric_limits<std::int64_t>;
  using Factor = std::ratio_divide<Period, Target>;
  if constexpr (std::is_floating_point_v<Rep>) {
    const long double units = static_cast<long double>(duration.count()) * Factor::num / Factor::den;
    if (units != units) return 0;
    if (units >= static_cast<long double>(Limits::max())) return Limits::max();
    if (units <= static_cast<long double>(Limits::min())) return Limits::min();
    const auto whole = static_cast<std::int64_t>(units);
    return whole < units ? whole + 1 : whole;
  } else {
    __extension__ typedef __int128 Wide;  // NOLINT(modernize-use-using): __extension__ (for -Wpedantic) takes no alias
    const Wide product = static_cast<Wide>(duration.count()) * Factor::num;
    Wide units = product / Factor::den;
    if (units * Factor::den < product) ++units;
    if (units > Limits::max()) return Limits::max();
    if (units < Limits::min()) return Limits::min();
    return static_cast<std::int64_t>(units);
  }
}
}  // namespace detail

/// A span of time in milliseconds. Converts from any std::chrono duration: rounded up to whole milliseconds, saturated
/// at the ends of the range (std::chrono::hours::max() stays huge and is refused by the range check instead of
/// overflowing into the past).
class TUSKV_API Duration {
 public:
  template <class Rep, class Period>
  constexpr Duration(std::chrono::duration<Rep, Period> duration) noexcept
      : ms_(detail::saturated_count<std::milli>(duration)) {}

  constexpr std::int64_t milliseconds() const noexcept { return ms_; }

 private:
  std::int64_t ms_ = 0;
};

/// An instant of the wall clock given by the caller. Converts from any std::chrono::system_clock time point,
/// saturating.
class TUSKV_API Instant {
 public:
  template <class D>
  constexpr Instant(std::chrono::time_point<std::chrono::system_clock, D> instant) noexcept
      : us_(detail::saturated_count<std::micro>(instant.time_since_epoch())) {}

  constexpr std::int64_t microseconds() const noexcept { return us_; }

 private:
  std::int64_t us_ = 0;
};

}  // namespace v0
}  // namespace tuskv
