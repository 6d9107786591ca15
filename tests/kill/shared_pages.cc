#include "kill/shared_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "os/unique_fd.h"

namespace tuskv::test {
namespace {

[[noreturn]] void refuse(const std::string& path) { throw std::system_error(errno, std::generic_category(), path); }

}  // namespace

SharedPages::SharedPages(const std::string& path, std::size_t size_bytes) : size_bytes_(size_bytes) {
  const os::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) refuse(path);
  void* mapped = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) refuse(path);
  data_ = mapped;
}

SharedPages::~SharedPages() { ::munmap(data_, size_bytes_); }

}  // namespace tuskv::test
