#include "tuskv/error.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tuskv {
namespace {

TEST(Error, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  const int last = static_cast<int>(Code::Internal);
  for (int code = 0; code <= last; ++code) names.insert(to_string(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(last) + 1);
  EXPECT_EQ(names.count("unknown code"), 0u);
  EXPECT_EQ(to_string(Code::NotFound), "NotFound");
  EXPECT_EQ(to_string(Code::Internal), "Internal");
  EXPECT_EQ(to_string(static_cast<Code>(last + 1)), "unknown code");
}

TEST(Error, CarriesWhatItWasGiven) {
  const Error error(Code::Conflict, Outcome::not_applied, "others kept changing it", "40001");
  EXPECT_EQ(error.code(), Code::Conflict);
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  EXPECT_STREQ(error.what(), "others kept changing it");
  EXPECT_EQ(error.sqlstate(), "40001");
}

TEST(Error, OnlyACertainlyUnappliedPassingFailureIsRetryable) {
  const std::set<Code> passing = {Code::Connection, Code::Timeout, Code::Conflict, Code::Busy, Code::NoSpace};
  for (int number = 0; number <= static_cast<int>(Code::Internal); ++number) {
    const Code code = static_cast<Code>(number);
    EXPECT_EQ(Error(code, Outcome::not_applied, "m").retryable(), passing.count(code) == 1) << to_string(code);
    EXPECT_FALSE(Error(code, Outcome::unknown, "m").retryable()) << to_string(code);
    EXPECT_FALSE(Error(code, Outcome::applied, "m").retryable()) << to_string(code);
  }
}

TEST(Outcome, Names) {
  EXPECT_EQ(to_string(Outcome::not_applied), "not_applied");
  EXPECT_EQ(to_string(Outcome::applied), "applied");
  EXPECT_EQ(to_string(Outcome::unknown), "unknown");
}

}  // namespace
}  // namespace tuskv
