#include <gtest/gtest.h>

#include <string>

#include "tuskv/tuskv.h"

namespace tuskv::test {
namespace {

TEST(Version, S188_TheHeadersSayTheVersionOfTheProject) {
  const std::string version = std::to_string(TUSKV_VERSION_MAJOR) + '.' + std::to_string(TUSKV_VERSION_MINOR) + '.' +
                              std::to_string(TUSKV_VERSION_PATCH);
  EXPECT_EQ(version, TUSKV_PROJECT_VERSION);
}

}  // namespace
}  // namespace tuskv::test
