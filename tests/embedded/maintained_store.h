// A small store with two snapshots, for tests of what is done to directories that are not open.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedded/maintenance.h"
#include "embedded/test_store.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {

inline constexpr std::int64_t kNowUs = 1'800'000'000'000'000;

inline TestStoreOptions maintained_options(Durability durability = Durability::durable) {
  TestStoreOptions options;
  options.checkpointer.durability = durability;
  options.checkpointer.threads = 1;
  options.checkpointer.keep_snapshots = 10;
  options.shards = 2;
  return options;
}

inline std::unique_ptr<TestStore> open_maintained(os::FileSystem& disk, const test::ManualClock& clock,
                                                  Durability durability = Durability::durable) {
  auto store = TestStore::open(disk, maintained_options(durability), clock);
  EXPECT_TRUE(store.ok()) << store.failure().message;
  return store.ok() ? std::move(store).value() : nullptr;
}

inline State state_in(os::FileSystem& disk, const std::string& directory) {
  auto loaded = load_store(disk, directory);
  EXPECT_TRUE(loaded.ok()) << loaded.failure().message;
  return loaded.ok() ? TestStore::contents_of(*loaded.value().keyspace) : State{};
}

/// Two snapshots, with records behind the second; returns the state at each snapshot and at the end.
inline std::vector<State> fill(test::SimulatedFileSystem& disk, bool closes = true) {
  const test::ManualClock clock;
  auto store = open_maintained(disk, clock);
  std::vector<State> states;
  State state;
  for (int round = 1; round <= 3; ++round) {
    for (int i = 0; i < 5; ++i) {
      const std::string key = "key" + std::to_string(i * round);
      state[key] = "value" + std::to_string(round) + std::string(20, 'v');
      EXPECT_TRUE(store->put({{key, state[key]}}).ok());
    }
    EXPECT_TRUE(store->erase("key4").ok());
    state.erase("key4");
    if (round < 3) {
      EXPECT_TRUE(store->checkpointer().snapshot().ok());
    }
    states.push_back(state);
  }
  if (closes) {
    EXPECT_TRUE(store->close().ok());
  }
  return states;
}

inline std::vector<std::string> files_below(const test::SimulatedFileSystem& disk, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& [path, content] : disk.contents()) {
    if (path.starts_with(prefix) && !path.ends_with("LOCK")) names.push_back(path);
  }
  return names;
}

}  // namespace tuskv::embedded
