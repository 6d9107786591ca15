#pragma once

// What the tests of codecs have in common.

#include <cstdint>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "tuskv/json.h"

namespace tuskv::test {

/// The message with which the call refuses; empty when it does not.
template <class F>
std::string refusal(F&& call) {
  try {
    static_cast<void>(call());
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

struct Small {
  std::uint8_t byte = 0;
  std::int64_t wide = 0;
  std::vector<float> fractions = {};
  friend bool operator==(const Small&, const Small&) = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Small, byte, wide, fractions)

struct Tree : std::map<std::string, Tree> {};
/// Contains itself two containers further down.
struct Forest : std::vector<std::map<std::string, Forest>> {};

}  // namespace tuskv::test

// With functions of their own beside them, Clang has nlohmann::json look through containers of themselves for ever.
template <>
struct nlohmann::adl_serializer<tuskv::test::Tree> {
  static void to_json(json& document, const tuskv::test::Tree& tree) {
    document = json::object();
    for (const auto& [name, branch] : tree) to_json(document[name], branch);
  }
  static void from_json(const json& document, tuskv::test::Tree& tree) {
    for (const auto& branch : document.items()) from_json(branch.value(), tree[branch.key()]);
  }
};
template <>
struct nlohmann::adl_serializer<tuskv::test::Forest> {
  static void to_json(json& document, const tuskv::test::Forest& forest) {
    document = json::array();
    for (const auto& trees : forest) {
      document.push_back(json::object());
      for (const auto& [name, tree] : trees) to_json(document.back()[name], tree);
    }
  }
  static void from_json(const json& document, tuskv::test::Forest& forest) {
    for (const auto& trees : document) {
      auto& added = forest.emplace_back();
      for (const auto& tree : trees.items()) from_json(tree.value(), added[tree.key()]);
    }
  }
};
