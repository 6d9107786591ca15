// A file whose bytes are plain memory: what is stored in it outlives a SIGKILL, and storing makes no system call, so
// that a tool that counts system calls counts those of the store alone.
#pragma once

#include <cstddef>
#include <string>

namespace tuskv::test {

class SharedPages final {
 public:
  /// Creates the file with zeros, or takes up an older one of the same size. Throws std::system_error.
  SharedPages(const std::string& path, std::size_t size_bytes);
  ~SharedPages();
  SharedPages(const SharedPages&) = delete;
  SharedPages& operator=(const SharedPages&) = delete;

  /// At the start of a page.
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  std::size_t size_bytes_;
};

}  // namespace tuskv::test
