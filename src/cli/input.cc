#include "cli/input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/limits.h"

namespace tuskv::cli {

Input::Input(const std::string& path) : name_(path == "-" ? "standard input" : path) {
  if (path != "-") {
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) throw UsageError("cannot open " + path + ": " + std::generic_category().message(errno));
  }
  struct stat status = {};
  if (::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) {
    size_bytes_ = static_cast<std::uint64_t>(status.st_size);
  }
}

Input::~Input() {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

bool Input::fill() {
  if (ended_) return false;
  buffer_.erase(0, begin_);
  begin_ = 0;
  const std::size_t used = buffer_.size();
  buffer_.resize(used + kInputBufferBytes);
  ssize_t count = 0;
  do {
    stop_when_interrupted();
    count = ::read(descriptor_, buffer_.data() + used, kInputBufferBytes);
  } while (count < 0 && errno == EINTR);
  const int error = errno;
  buffer_.resize(used + static_cast<std::size_t>(count > 0 ? count : 0));
  if (count < 0) {
    const std::string message = "cannot read " + name_ + ": " + std::generic_category().message(error);
    if (error == EISDIR) throw UsageError(message);
    throw InputError(message);
  }
  bytes_read_ += static_cast<std::uint64_t>(count);
  ended_ = count == 0;
  return !ended_;
}

std::optional<std::string_view> Input::line() {
  std::size_t searched = 0;
  for (;;) {
    const std::string_view pending = std::string_view(buffer_).substr(begin_);
    const std::size_t end = pending.find('\n', searched);
    if (end != std::string_view::npos || (ended_ && !pending.empty())) {
      const std::size_t size = end == std::string_view::npos ? pending.size() : end;
      begin_ += end == std::string_view::npos ? size : size + 1;
      ++line_number_;
      return pending.substr(0, size);
    }
    if (ended_) return std::nullopt;
    if (pending.size() > kLineBytesMax) {
      throw UsageError(name_ + ", line " + std::to_string(line_number_ + 1) + ": longer than " +
                       std::to_string(kLineBytesMax) + " bytes");
    }
    searched = pending.size();
    fill();
  }
}

std::string Input::rest(std::size_t size_bytes_max) {
  do {
    if (buffer_.size() - begin_ > size_bytes_max) {
      throw UsageError(name_ + " holds more than " + std::to_string(size_bytes_max) + " bytes");
    }
  } while (fill());
  std::string all = buffer_.substr(begin_);
  begin_ = buffer_.size();
  return all;
}

bool Input::would_wait() const {
  if (ended_ || std::string_view(buffer_).substr(begin_).find('\n') != std::string_view::npos) return false;
  struct pollfd poll = {.fd = descriptor_, .events = POLLIN, .revents = 0};
  return ::poll(&poll, 1, 0) == 0;
}

}  // namespace tuskv::cli
