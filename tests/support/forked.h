// Children of fork, and calls whose function forks and returns in the child as well.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "tuskv/error.h"

namespace tuskv::test {

inline bool ended_well(pid_t child) {
  int status = 1;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

/// Runs `call`, which is given a function that forks. The child goes on in the call, the parent leaves it. True when
/// the child's call was Unsupported, and `holds()` there.
template <class Call, class Holds>
bool is_refused_in_child(Call call, Holds holds) {
  struct Parent {};
  pid_t child = -1;
  std::optional<Code> code;
  try {
    call([&] {
      child = ::fork();
      if (child != 0) throw Parent();
    });
  } catch (const Parent&) {
  } catch (const Error& error) {
    code = error.code();
  }
  if (child == 0) ::_exit(code == Code::Unsupported && holds() ? 0 : 1);
  return child > 0 && ended_well(child);
}
template <class Call>
bool is_refused_in_child(Call call) {
  return is_refused_in_child(call, [] { return true; });
}

}  // namespace tuskv::test
