// A cache beside something slow: look here first, ask there when it is missing, keep the answer for a while. What the
// cache cannot give, whatever the reason, is asked for there.
#include <tuskv/json.h>
#include <tuskv/tuskv.h>

#include <iostream>
#include <optional>
#include <string>

using namespace std::chrono_literals;

namespace weather {

struct Report {
  std::string text = {};
  int degrees = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Report, text, degrees)

using Reports = tuskv::TypedView<Report>;

/// Stands for the slow thing: a database, a service far away.
Report ask_the_service(const std::string& city) {
  std::cout << "(asked for " << city << ")\n";
  return {.text = "sunny in " + city, .degrees = 21};
}

Report report_of(const Reports& cache, const std::string& city) {
  try {
    if (auto report = cache.get(city)) return *report;
  } catch (const tuskv::Error& error) {
    // Unreachable, or an entry of another release: a cache that fails is a miss.
    std::cout << "(the cache says " << to_string(error.code()) << ")\n";
  }
  const Report report = ask_the_service(city);
  try {
    cache.set(city, report);
  } catch (const tuskv::Error&) {
    // The answer is good all the same.
  }
  return report;
}

}  // namespace weather

int main() {
  // For a cache that is shared: postgresql://…?durability=unlogged
  const auto store = tuskv::Store::open("memory:");
  const auto cache = store.with_namespace("cache").typed<weather::Report>("weather:", {.ttl = 10min});

  std::cout << weather::report_of(cache, "Lisbon").text << "\n";
  std::cout << weather::report_of(cache, "Lisbon").text << "\n";

  // When the source changes, erase: the next reader fetches.
  cache.erase("Lisbon");
  std::cout << weather::report_of(cache, "Lisbon").degrees << "\n";

  store.with_namespace("cache").set("weather:Oslo", "written by an older release");
  std::cout << weather::report_of(cache, "Oslo").text << "\n";
  std::cout << weather::report_of(cache, "Oslo").text << "\n";

  store.close();
  std::cout << weather::report_of(cache, "Rome").text << "\n";
}
