// How an errno value becomes a Status: one wording and one choice of Code for every implementation of the file-system
// seam.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "status.h"

namespace tuskv::os {

/// What was tried when the system refused, for the message.
struct FailedCall {
  std::string_view operation = {};                     ///< a verb: "write", "remove directory"
  std::string_view path = {};                          ///< what it was tried on
  std::optional<std::uint64_t> offset = std::nullopt;  ///< where in the file
  std::string_view target = {};                        ///< the second path of rename and link
};

/// "write data/log-1.tlog at 4096: No space left on device". Code::NoSpace for ENOSPC, EDQUOT and EFBIG, otherwise
/// Code::Io.
Status system_status(int error, const FailedCall& call);

}  // namespace tuskv::os
