// Opening and reading files in tests, where a failure is the end of the test.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "os/file_system.h"

namespace tuskv::test {

/// Null, and a failed test, when it cannot be opened.
inline std::unique_ptr<os::File> open_file(os::FileSystem& system, const std::string& path,
                                           os::OpenMode mode = os::OpenMode::create) {
  auto file = system.open(path, mode);
  if (file.ok()) return std::move(file).value();
  ADD_FAILURE() << file.failure().message;
  return nullptr;
}

inline std::string read_all(const os::File& file) {
  std::string bytes(file.size().value(), 'x');
  EXPECT_EQ(file.read_at(0, bytes.data(), bytes.size()).value(), bytes.size());
  return bytes;
}

}  // namespace tuskv::test
