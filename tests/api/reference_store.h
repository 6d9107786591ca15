// A store on the reference engine, with its clock and a way to write past every handle.
#pragma once

#include <memory>
#include <utility>

#include "open.h"
#include "support/manual_clock.h"
#include "support/reference_engine.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

class ReferenceStore final {
 public:
  explicit ReferenceStore(const ReferenceEngine::Settings& settings = {}, const Options& options = {}) {
    auto made = std::make_unique<ReferenceEngine>(clock, settings);
    engine = made.get();
    store.emplace(store_on(std::move(made), options));
  }
  Store* operator->() { return &*store; }

  ManualClock clock;
  ReferenceEngine* engine = nullptr;  ///< while a handle lives
  std::optional<Store> store;
};

/// The code of the Error that `call` throws; nothing when it throws none.
template <class F>
std::optional<Code> code_of(F&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

/// The message of the Error that `call` throws; empty when it throws none.
template <class F>
std::string message_of(F&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace tuskv::test
