// A job that is to be done once a day, whoever gets to it first: a flag that ends by itself.
#include <tuskv/tuskv.h>

#include <iostream>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

namespace {

/// True for one caller a day. The flag stays when the job is done; it is taken back when it failed, so that another
/// worker may try. A worker that dies in between leaves it for at most `patience`.
template <class Job>
bool once_a_day(const tuskv::Store& store, const std::string& day, const std::string& worker, Job job) {
  const std::string flag = "job:report:" + day;
  constexpr auto patience = 10min;
  if (!store.set_if_absent(flag, "running " + worker, {.ttl = patience})) return false;
  try {
    job();
  } catch (...) {
    store.compare_and_erase(flag, "running " + worker);  // if it is still ours
    throw;
  }
  return static_cast<bool>(store.compare_and_swap(flag, "running " + worker, "done " + worker, {.ttl = 48h}));
}

}  // namespace

int main() {
  auto store = tuskv::Store::open("memory:");

  try {
    once_a_day(store, "2030-01-31", "worker 1", [] { throw std::runtime_error("out of paper"); });
  } catch (const std::exception& error) {
    std::cout << "worker 1 failed: " << error.what() << "\n";
  }
  for (const char* worker : {"worker 2", "worker 3"}) {
    const bool done = once_a_day(store, "2030-01-31", worker, [] { std::cout << "the report is printed\n"; });
    std::cout << worker << (done ? " did it" : " had nothing to do") << "\n";
  }
  std::cout << "2030-01-31: " << *store.get("job:report:2030-01-31") << "\n";
}
