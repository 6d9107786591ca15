// How the sources of tuskv make handles, whose constructors are private.
#pragma once

#include <memory>
#include <utility>

#include "tuskv/store.h"
#include "view.h"

namespace tuskv {

/// What a handle for another namespace looks through.
std::shared_ptr<const View> view_of_namespace(const View& view, Bytes name, const NamespaceOptions& options);

inline namespace v0 {

struct StoreAccess {
  static Store make(std::shared_ptr<const View> view) { return Store(std::move(view)); }
};

struct TransactionAccess {
  static Transaction make(std::shared_ptr<const View> view) { return Transaction(std::move(view)); }
};

}  // namespace v0
}  // namespace tuskv
