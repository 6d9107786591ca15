#pragma once

#include <cstddef>
#include <cstdint>

namespace tuskv::postgres {

/// Batches of one lane have one shape of statement.
enum class Lane : std::uint8_t {
  read,
  set,      ///< also erases
  generic,  ///< everything that is planned here, and spans whose units need their order
};
inline constexpr std::size_t kLanes = 3;

}  // namespace tuskv::postgres
