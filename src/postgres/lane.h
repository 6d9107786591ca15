#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tuskv::postgres {

/// Batches of one lane have one shape of statement.
enum class Lane : std::uint8_t {
  read,
  set,      ///< also erases
  generic,  ///< everything that is planned here, and spans whose units need their order
  held,     ///< writes that have met a row somebody else holds; a batch is for one key
  listing,  ///< asynchronous scans and counts, each by itself
  erasing,  ///< asynchronous range erases, each by itself: they may wait for the table until their deadline
};
inline constexpr std::array kAllLanes = {Lane::read, Lane::set,     Lane::generic,
                                         Lane::held, Lane::listing, Lane::erasing};
inline constexpr std::size_t kLanes = kAllLanes.size();

}  // namespace tuskv::postgres
