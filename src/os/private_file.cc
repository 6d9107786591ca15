#include "os/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "os/unique_fd.h"

namespace tuskv::os {
namespace {

Status refused(std::string what) { return Status(Code::Config, std::move(what)); }

Status failed(const char* what, int error) {
  return refused(std::string(what) + ": " + std::generic_category().message(error));
}

/// Judged on the open file: what its name leads to may change meanwhile.
Status check_access(int descriptor) {
  struct stat facts = {};
  if (::fstat(descriptor, &facts) != 0) return failed("cannot be looked at", errno);
  if (!S_ISREG(facts.st_mode)) return refused("is not a regular file");
  // Who owns it may replace what it says.
  if (facts.st_uid != 0 && facts.st_uid != ::geteuid()) return refused("belongs to another user");
  const mode_t forbidden = facts.st_uid == 0 ? mode_t{S_IWGRP | S_IXGRP | S_IRWXO} : mode_t{S_IRWXG | S_IRWXO};
  if ((facts.st_mode & forbidden) != 0) {
    return refused("can be read or written by others: it needs mode 0600 or less (0640 when it is root's)");
  }
  return {};
}

}  // namespace

Result<std::string> read_private_file(const std::string& path, std::size_t bytes_max) {
  // A FIFO would make open() wait for a writer.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) return failed("cannot be opened", errno);
  TUSKV_RETURN_IF_ERROR(check_access(file.get()));
  std::string bytes(bytes_max + 1, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      ::explicit_bzero(bytes.data(), bytes.size());
      return failed("cannot be read", error);
    }
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > bytes_max) {
    ::explicit_bzero(bytes.data(), bytes.size());
    return refused("has more than " + std::to_string(bytes_max) + " bytes");
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace tuskv::os
