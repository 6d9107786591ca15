// The rows of the table, each in a file of this folder. A row measures, compares with its goals and adds its results.
#pragma once

#include <array>
#include <string_view>

#include "bench/bench.h"

namespace tuskv::bench {

void run_set_relaxed(Bench& bench);
void run_set_durable(Bench& bench);
void run_get(Bench& bench);
void run_create(Bench& bench);
void run_reopen(Bench& bench);
void run_memory(Bench& bench);
void run_size(Bench& bench);
void run_key_length(Bench& bench);
void run_stall(Bench& bench);
void run_command_path(Bench& bench);
void run_encryption(Bench& bench);

struct Row {
  std::string_view name;
  std::string_view about;
  void (*run)(Bench& bench);
};

inline constexpr std::array kRows = {
    Row{"set_relaxed", "overwrite, relaxed, against RocksDB, persistent-kv and memory:", run_set_relaxed},
    Row{"set_durable", "overwrite, durable, against RocksDB and persistent-kv, each synced", run_set_durable},
    Row{"get", "against RocksDB, LMDB, LevelDB and tbb::concurrent_hash_map", run_get},
    Row{"create", "new keys, against RocksDB and memory:", run_create},
    Row{"reopen", "from a snapshot and from the log alone, against RocksDB", run_reopen},
    Row{"memory", "beyond key and value, against Redis", run_memory},
    Row{"size", "get and scan as the number of entries grows", run_size},
    Row{"key_length", "get as keys grow", run_key_length},
    Row{"stall", "how long reads take while the disk stalls", run_stall},
    Row{"command_path", "what the way from the API to the map costs", run_command_path},
    Row{"encryption", "what encrypting values costs a get and a set", run_encryption},
};

}  // namespace tuskv::bench
