// This pwrite takes the place of the one in libc for everything linked into the program, the store included.
#include "kill/short_writes.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

namespace tuskv::test {
namespace {

// pwrite takes no parameters for these.
std::atomic<bool> writes_are_short = false;
std::atomic<std::size_t> cut = 0;

/// What a short write has left for the next one.
struct Rest {
  int file = -1;
  off_t end = 0;
};

std::size_t bytes_to_take(int file, std::size_t size, off_t offset) {
  static thread_local Rest rest;
  const off_t end = offset + static_cast<off_t>(size);
  if (rest.file == file && rest.end == end) {
    rest = {};
    return size;
  }
  if (size < 2) return size;
  rest = {.file = file, .end = end};
  ++cut;
  // Anywhere, but at the same place in every run.
  constexpr std::size_t kStride = 7919;
  return 1 + (static_cast<std::size_t>(offset) * kStride + size) % (size - 1);
}

}  // namespace

void make_writes_short() { writes_are_short = true; }
std::size_t short_writes() { return cut; }

}  // namespace tuskv::test

extern "C" ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  const std::size_t taken =
      tuskv::test::writes_are_short ? tuskv::test::bytes_to_take(file, size, offset) : std::size_t{size};
  return ::syscall(SYS_pwrite64, file, bytes, taken, offset);
}
