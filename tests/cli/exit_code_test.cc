#include "cli/exit_code.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace tuskv {
namespace {

/// The classes that scripts rely on. Those that take a fault or a peer to reach are shown here only.
TEST(ExitCode, EachCodeHasItsClassAndAnUnknownOutcomeComesFirst) {
  const std::map<int, std::set<Code>> classes = {
      {1, {Code::NotFound}},
      {2,
       {Code::InvalidKey, Code::InvalidValue, Code::InvalidArgument, Code::TooLarge, Code::Unsupported, Code::Config}},
      {3, {Code::Connection, Code::Busy, Code::Closed}},
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

}  // namespace
}  // namespace tuskv
