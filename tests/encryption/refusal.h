// What a refused call says.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tuskv/error.h"

namespace tuskv::test {

/// "Code: message" of the error that the call throws.
template <class F>
std::string refusal_of(F&& call) {
  try {
    static_cast<void>(call());
  } catch (const Error& error) {
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    return std::string(to_string(error.code())) + ": " + error.what();
  }
  return "not refused";
}

}  // namespace tuskv::test
