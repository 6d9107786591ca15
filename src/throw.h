// The one place where failures become exceptions.
#pragma once

#include <string>

#include "status.h"

namespace tuskv {

[[noreturn]] void throw_failure(const Failure& failure);
/// A call that was refused before it had any effect.
[[noreturn]] void throw_refused(Code code, const std::string& message);

inline void throw_if_failed(const Status& status) {
  if (!status.ok()) throw_failure(status.failure());
}

template <class T>
T value_or_throw(Result<T> result) {
  if (!result.ok()) throw_failure(result.failure());
  return std::move(result).value();
}

}  // namespace tuskv
