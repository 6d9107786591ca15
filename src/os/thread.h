// Starting a thread, which the system may refuse.
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "status.h"

namespace tuskv::os {

/// Puts a thread that calls `run` into `thread`; Io when the system has none to give. `purpose` goes on with "the
/// thread that".
template <class Run>
Status start_thread(std::thread& thread, std::string_view purpose, Run run) {
  try {
    thread = std::thread(std::move(run));
  } catch (const std::system_error& refused) {
    return {Code::Io, "cannot start the thread that " + std::string(purpose) + ": " + refused.what()};
  }
  return {};
}

}  // namespace tuskv::os
