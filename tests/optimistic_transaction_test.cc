// What a transaction remembers of the ranges it has read.
#include "optimistic_transaction.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace tuskv {
namespace {

using RangeRead = OptimisticTransaction::RangeRead;
using Tuple = std::tuple<std::string, std::string, std::uint64_t, std::uint64_t>;

std::vector<Tuple> after_adding(const std::vector<RangeRead>& reads) {
  OptimisticTransaction transaction;
  for (const RangeRead& read : reads) transaction.add(read);
  std::vector<Tuple> ranges;
  for (const RangeRead& r : transaction.ranges) ranges.emplace_back(r.from, r.to, r.examined, r.fingerprint);
  return ranges;
}

TEST(OptimisticTransaction, R80_PagesOfAListingBecomeOneRange) {
  // Sums wrap around.
  const RangeRead first{.from = "a", .to = "c", .examined = 2, .fingerprint = UINT64_MAX};
  const RangeRead second{.from = "c", .to = "e", .examined = 1, .fingerprint = 3};
  const RangeRead last{.from = "e", .to = "", .examined = 4, .fingerprint = 5};
  EXPECT_EQ(after_adding({first, second, last}), (std::vector<Tuple>{{"a", "", 7, 7}}));
  EXPECT_EQ(after_adding({last, second, first}), (std::vector<Tuple>{{"a", "", 7, 7}}));
  // Listings that are walked in turn.
  EXPECT_EQ(after_adding({first, {.from = "x", .to = "y", .examined = 1, .fingerprint = 1}, second}),
            (std::vector<Tuple>{{"a", "e", 3, 2}, {"x", "y", 1, 1}}));
}

TEST(OptimisticTransaction, R80_ARangeThatIsReadAgainIsRememberedOnce) {
  const RangeRead range{.from = "a", .to = "c", .examined = 2, .fingerprint = 7};
  EXPECT_EQ(after_adding({range, range}), (std::vector<Tuple>{{"a", "c", 2, 7}}));
  // One that says something else is not left out: both cannot hold.
  RangeRead other = range;
  other.fingerprint = 8;
  EXPECT_EQ(after_adding({range, other}), (std::vector<Tuple>{{"a", "c", 2, 7}, {"a", "c", 2, 8}}));
  EXPECT_EQ(after_adding({range, {.from = "b", .to = "c", .examined = 1, .fingerprint = 1}}),
            (std::vector<Tuple>{{"a", "c", 2, 7}, {"b", "c", 1, 1}}));
}

TEST(OptimisticTransaction, R80_ACursorOutsideOfItsRangeSaysNothing) {
  const RangeRead range{.from = "m", .to = "z", .examined = 2, .fingerprint = 7};
  const std::vector<Tuple> whole = {{"m", "z", 2, 7}};
  EXPECT_EQ(after_adding({range, {.from = "zz", .to = "m"}}), whole);
  EXPECT_EQ(after_adding({range, {.from = "z", .to = "c"}}), whole);
  EXPECT_EQ(after_adding({{.from = "z", .to = "z"}, range}), whole);
}

}  // namespace
}  // namespace tuskv
