#include "optimistic_transaction.h"

#include <algorithm>
#include <utility>

namespace tuskv {
namespace {

using RangeRead = OptimisticTransaction::RangeRead;

/// How many of the last ranges are looked at for a place: listings that are walked at the same time.
constexpr std::ptrdiff_t kOpenListings = 16;

bool is_same(const RangeRead& a, const RangeRead& b) {
  return a.from == b.from && a.to == b.to && a.examined == b.examined && a.fingerprint == b.fingerprint;
}

bool adjoin(const RangeRead& first, const RangeRead& second) { return !first.to.empty() && first.to == second.from; }

}  // namespace

void OptimisticTransaction::add(RangeRead range) {
  // A cursor outside of what is listed: nothing lies there, and what adjoins it would be cut.
  if (!range.to.empty() && range.to <= range.from) return;
  const auto begin = ranges.end() - std::min<std::ptrdiff_t>(kOpenListings, std::ssize(ranges));
  for (auto known = begin; known != ranges.end(); ++known) {
    if (is_same(range, *known)) return;
    const bool goes_on = adjoin(*known, range);  // or comes before, as the next page of a reverse listing does
    if (!goes_on && !adjoin(range, *known)) continue;
    if (goes_on) {
      known->to = std::move(range.to);
    } else {
      known->from = std::move(range.from);
    }
    known->examined += range.examined;
    known->fingerprint += range.fingerprint;
    return;
  }
  ranges.push_back(std::move(range));
}

}  // namespace tuskv
