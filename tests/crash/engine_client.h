// Steps and reads as units of an engine, with as little as possible in between.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "crash/model.h"
#include "crash/step.h"
#include "embedded/embedded_engine.h"
#include "engine.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "status.h"

namespace tuskv::test {

/// Long enough that no test of disks is a test of deadlines.
inline constexpr std::int64_t kPatientMs = 86'400'000;

/// What a reader finds: everything by the ordered index, and all of it again by the hash index.
struct Found {
  ModelEntries entries = {};
  std::uint64_t digest = 0;
  std::uint64_t newest_version = 0;
};

/// With the encryptor of the options in front, where they have one.
Result<std::unique_ptr<Engine>> open_engine(const embedded::EngineOptions& options, os::FileSystem& file_system,
                                            const os::Clock& clock);

/// The root namespace is the empty name: its stored keys start with the NUL behind it.
std::string stored_key(const std::string& key);

/// Performs a write. `version`, when known, is that of the entry written.
Status perform(Engine& engine, const Step& step, std::uint64_t* version = nullptr);
Result<Found> read_everything(Engine& engine);
Result<std::optional<std::string>> read_one(Engine& engine, const std::string& key);

}  // namespace tuskv::test
