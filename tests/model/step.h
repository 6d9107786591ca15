// One random call, made in the same way on anything that has the operations: a store, a namespaced or asynchronous view
// of it, a transaction, or the reference. What it answers is one text, so that answers are compared as texts.
//
// Times are told in units, relative to now, what is left rounded up and what has passed down: that is the same for a
// clock that stands still between moves of whole units and for one that also goes on a little by itself.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/draw.h"
#include "model/reference.h"

namespace tuskv::test {

/// What one side of the comparison knows from its earlier steps.
struct Side {
  std::function<std::int64_t()> now_us = {};
  /// The latest version seen of a place: versions must grow, and are compared by.
  std::map<Place, Version> versions = {};
};

struct StepContext {
  const DrawRules& rules;
  Side& side;
  std::string* notes = nullptr;  ///< where calls are written down, for people
  bool is_asynchronous = false;  ///< the step must be one that asynchronous calls can make
  std::uint64_t operations = 0;  ///< made so far, those in transactions too
  std::string space = {};        ///< the namespace of the handle
  int transaction_depth = 0;
};

/// `Handle` is Store, AsyncStore, Transaction or Reference; the step chooses a namespace below it.
template <class Handle>
std::string run_step(StepContext& context, Handle& root, std::uint64_t seed);

extern template std::string run_step(StepContext&, Store&, std::uint64_t);
extern template std::string run_step(StepContext&, AsyncStore&, std::uint64_t);
extern template std::string run_step(StepContext&, Reference&, std::uint64_t);

/// All that can be listed below the root, in every namespace that steps use.
template <class Handle>
std::string text_of_all(StepContext& context, Handle& root);

extern template std::string text_of_all(StepContext&, Store&);
extern template std::string text_of_all(StepContext&, Reference&);

}  // namespace tuskv::test
