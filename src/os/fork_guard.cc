#include "os/fork_guard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

namespace tuskv::os {
namespace {

constexpr std::size_t kPageBytes = 4096;

}  // namespace

ForkGuard::ForkGuard() : pid_(getpid()) {
  void* page = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (madvise(page, kPageBytes, MADV_WIPEONFORK) != 0) {
    munmap(page, kPageBytes);
    return;
  }
  page_ = static_cast<char*>(page);
  *page_ = 1;
}

ForkGuard::~ForkGuard() {
  if (page_ != nullptr) munmap(const_cast<char*>(page_), kPageBytes);
}

bool ForkGuard::is_other_process() const { return getpid() != pid_; }

}  // namespace tuskv::os
