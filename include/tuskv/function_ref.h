#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace tuskv {
inline namespace v0 {

template <class Signature>
class FunctionRef;

/// A callable lent for the duration of a call, a plain function too: two pointers, no allocation. Never store one. With
/// a result of void it drops what the callable returns.
template <class R, class... Arguments>
class FunctionRef<R(Arguments...)> {
 public:
  template <class F, std::enable_if_t<std::is_invocable_r_v<R, F&, Arguments...> &&
                                          !std::is_same_v<std::remove_cvref_t<F>, FunctionRef>,
                                      int> = 0>
  FunctionRef(F&& function) noexcept : call_(&call<std::remove_reference_t<F>>) {
    if constexpr (std::is_function_v<std::remove_reference_t<F>>) {
      target_.function = reinterpret_cast<void (*)()>(std::addressof(function));
    } else {
      target_.object = const_cast<void*>(static_cast<const void*>(std::addressof(function)));
    }
  }

  R operator()(Arguments... arguments) const { return call_(target_, std::forward<Arguments>(arguments)...); }

 private:
  /// A pointer to an object holds no function.
  union Target {
    void* object = nullptr;
    void (*function)();
  };

  template <class F>
  static F& target_as(Target target) noexcept {
    if constexpr (std::is_function_v<F>) {
      return *reinterpret_cast<F*>(target.function);
    } else {
      return *static_cast<F*>(target.object);
    }
  }
  template <class F>
  static R call(Target target, Arguments... arguments) {
    if constexpr (std::is_void_v<R>) {
      static_cast<void>(target_as<F>(target)(std::forward<Arguments>(arguments)...));
    } else {
      return target_as<F>(target)(std::forward<Arguments>(arguments)...);
    }
  }

  Target target_ = {};
  R (*call_)(Target, Arguments...);
};

}  // namespace v0
}  // namespace tuskv
