// A shared object of a user's with tuskv in it, as a plugin or a module of Python: packaging_test.py loads it.
#include <tuskv/tuskv.h>

#include <exception>
#include <iostream>

extern "C" int count_visits(const char* url) {
  try {
    const auto store = tuskv::Store::open(url);
    store.transaction([](tuskv::Transaction& tx) { tx.set("seen", "yes"); });
    return static_cast<int>(store.increment("visits", 2));
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return -1;
  }
}
