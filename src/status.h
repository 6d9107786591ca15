// Failures as values. No exception crosses the engine interface (a batch leader must never throw into another caller's
// batch), so everything below the API returns Status or Result<T>; the API turns a Failure into tuskv::Error at one
// place.
#pragma once

#include <cassert>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "tuskv/error.h"

namespace tuskv {

struct Failure {
  Code code = Code::Internal;
  Outcome outcome = Outcome::not_applied;
  std::string message = {};
  std::string sqlstate = {};
};

/// Success (no allocation, one null pointer) or a Failure.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message, Outcome outcome = Outcome::not_applied)
      : failure_(std::make_unique<Failure>(Failure{.code = code, .outcome = outcome, .message = std::move(message)})) {}
  explicit Status(std::unique_ptr<Failure> failure) : failure_(std::move(failure)) {}

  bool ok() const { return failure_ == nullptr; }
  const Failure& failure() const {
    assert(!ok());
    return *failure_;
  }
  /// Gives the failure away; null when ok.
  std::unique_ptr<Failure> take() && { return std::move(failure_); }
  /// The same failure with another statement of what is known of its effect.
  Status with_outcome(Outcome outcome) && {
    if (failure_) failure_->outcome = outcome;
    return std::move(*this);
  }
  Status clone() const { return failure_ ? Status(std::make_unique<Failure>(*failure_)) : Status(); }

 private:
  std::unique_ptr<Failure> failure_;
};

/// What every call meets once the store is closed.
inline constexpr std::string_view kClosedText = "the store is closed";
inline Status closed_status() { return Status(Code::Closed, std::string(kClosedText)); }

/// A value or a Failure.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) { assert(!std::get<1>(state_).ok()); }

  bool ok() const { return state_.index() == 0; }
  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  const Failure& failure() const { return std::get_if<1>(&state_)->failure(); }
  /// The failure as a Status; call only when !ok().
  Status status() && { return std::move(*std::get_if<1>(&state_)); }
  Status status() const& { return std::get_if<1>(&state_)->clone(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace tuskv

/// Returns the failure of a Status expression from the enclosing function.
#define TUSKV_RETURN_IF_ERROR(expression)          \
  do {                                             \
    ::tuskv::Status tuskv_status_ = (expression);  \
    if (!tuskv_status_.ok()) return tuskv_status_; \
  } while (false)
