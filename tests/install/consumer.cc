// The first program of a user, built against an installed tuskv.
#include <tuskv/error.h>

#include <cstdlib>
#include <string_view>

int main() {
  const tuskv::Error error(tuskv::Code::NotFound, tuskv::Outcome::not_applied, "no such key");
  return to_string(error.code()) == "NotFound" ? EXIT_SUCCESS : EXIT_FAILURE;
}
