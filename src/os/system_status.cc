#include "os/system_status.h"

#include <cerrno>
#include <system_error>

namespace tuskv::os {

Status system_status(int error, const FailedCall& call) {
  std::string message(call.operation);
  message.append(" ").append(call.path);
  if (!call.target.empty()) message.append(" to ").append(call.target);
  if (call.offset) message.append(" at ").append(std::to_string(*call.offset));
  message.append(": ").append(std::system_category().message(error));
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return Status(full ? Code::NoSpace : Code::Io, std::move(message));
}

}  // namespace tuskv::os
