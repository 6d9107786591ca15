// The embedded engine called without the API, for rows that look below it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "commands.h"
#include "embedded/embedded_engine.h"

namespace tuskv::bench {

/// What the API puts before every key of the root namespace.
inline std::string stored_key(std::string_view key) {
  std::string stored(key.size() + 1, '\0');
  key.copy(stored.data() + 1, key.size());
  return stored;
}

inline void check(Unit& unit) {
  if (unit.failure) throw std::runtime_error(unit.failure->message);
}

inline bool read_into(Engine& engine, std::string_view stored_key, std::string& value) {
  Command command = Read{.key = stored_key, .want = Want::value, .into = &value};
  Unit unit = {.commands = {&command, 1}};
  engine.execute({&unit, 1});
  check(unit);
  return std::get<Read>(command).seen.found;
}

inline void put(Engine& engine, std::string_view stored_key, std::string_view value) {
  Command command = Put{.key = stored_key, .value = value};
  Unit unit = {.commands = {&command, 1}};
  engine.execute({&unit, 1});
  check(unit);
}

inline std::unique_ptr<Engine> open_engine(const embedded::EngineOptions& options, os::FileSystem& file_system,
                                           const os::Clock& clock) {
  Result<std::unique_ptr<Engine>> opened = embedded::EmbeddedEngine::open(options, file_system, clock);
  if (!opened.ok()) throw std::runtime_error(opened.failure().message);
  return std::move(opened).value();
}

}  // namespace tuskv::bench
