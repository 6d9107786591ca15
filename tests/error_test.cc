#include "tuskv/error.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "cli/exit_code.h"

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

/// The classes that scripts rely on. Those that take a fault or a peer to reach are shown here only.
TEST(ExitCode, EachCodeHasItsClassAndAnUnknownOutcomeComesFirst) {
  const std::map<int, std::set<Code>> classes = {
      {1, {Code::NotFound}},
      {2,
       {Code::InvalidKey, Code::InvalidValue, Code::InvalidArgument, Code::TooLarge, Code::Unsupported, Code::Config}},
      {3, {Code::Connection, Code::Busy, Code::Closed, Code::Cancelled}},
      {4, {Code::Timeout}},
      {6, {Code::Corruption, Code::StoreReset}},
      {7, {Code::Conflict}},
      {8, {Code::NotAnInteger, Code::Overflow, Code::Encryption, Code::Serialization}},
      {9, {Code::NoSpace, Code::Io}},
      {70, {Code::Internal}}};
  std::size_t codes = 0;
  for (const auto& [number, members] : classes) {
    EXPECT_NE(cli::exit_code_help().find("\n  " + std::to_string(number) + " "), std::string_view::npos) << number;
    codes += members.size();
    for (const Code code : members) {
      EXPECT_EQ(static_cast<int>(cli::exit_code(Error(code, Outcome::not_applied, "m"))), number) << to_string(code);
      EXPECT_EQ(static_cast<int>(cli::exit_code(Error(code, Outcome::unknown, "m"))), 5) << to_string(code);
    }
  }
  EXPECT_EQ(codes, static_cast<std::size_t>(Code::Internal) + 1) << "every code has one";
}

TEST(Outcome, Names) {
  EXPECT_EQ(to_string(Outcome::not_applied), "not_applied");
  EXPECT_EQ(to_string(Outcome::applied), "applied");
  EXPECT_EQ(to_string(Outcome::unknown), "unknown");
}

}  // namespace
}  // namespace tuskv
