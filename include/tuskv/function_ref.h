#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace tuskv {
inline namespace v0 {

template <class Signature>
class FunctionRef;

/// A callable lent for the duration of a call: two pointers, no allocation. Never store one.
template <class R, class... Arguments>
class FunctionRef<R(Arguments...)> {
 public:
  template <class F, std::enable_if_t<std::is_invocable_r_v<R, F&, Arguments...> &&
                                          !std::is_same_v<std::remove_cvref_t<F>, FunctionRef>,
                                      int> = 0>
  FunctionRef(F&& function) noexcept
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
        call_([](void* object, Arguments... arguments) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Arguments>(arguments)...);
        }) {}

  R operator()(Arguments... arguments) const { return call_(object_, std::forward<Arguments>(arguments)...); }

 private:
  void* object_;
  R (*call_)(void*, Arguments...);
};

}  // namespace v0
}  // namespace tuskv
