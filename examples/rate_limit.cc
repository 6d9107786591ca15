// At most so many a minute: a fixed window for each client.
#include <tuskv/tuskv.h>

#include <iostream>

using namespace std::chrono_literals;

int main() {
  auto store = tuskv::Store::open("memory:");

  // Three logins a minute, from the first on.
  for (int attempt = 1; attempt <= 5; ++attempt) {
    const auto login = store.rate_limit("login:alice", {.limit = 3, .window = 1min});
    if (login) {
      std::cout << "attempt " << attempt << ": welcome, " << login.remaining << " left\n";
    } else {
      const bool soon = login.reset_after > 0ms && login.reset_after <= 60s;
      std::cout << "attempt " << attempt << ": try again " << (soon ? "within a minute" : "never") << "\n";
    }
  }

  // An expensive call may count for more. One that does not fit is denied and counts nothing.
  const tuskv::RateLimitOptions report = {.limit = 100, .window = 1h, .cost = 60};
  std::cout << "first report: " << (store.rate_limit("api:alice", report) ? "yes" : "no") << "\n";
  std::cout << "second report: " << (store.rate_limit("api:alice", report) ? "yes" : "no") << "\n";
  std::cout << "used so far: " << store.peek_rate_limit("api:alice").granted << "\n";

  // She pays.
  store.reset_rate_limit("api:alice");
  std::cout << "second report: " << (store.rate_limit("api:alice", report) ? "yes" : "no") << "\n";
}
