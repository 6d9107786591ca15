// Steps and reads as calls of the public interface.
#pragma once

#include <string>

#include "crash/model.h"
#include "crash/step.h"
#include "crash/workload.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "tuskv/store.h"

namespace tuskv::test {

/// What a store is opened with: real files, small ones, and a clock that the steps move.
struct StorePlace {
  std::string directory = {};
  os::FileSystem* file_system = nullptr;
  const os::Clock* clock = nullptr;
};

/// Throws Error.
Store open_store_for(const Mix& mix, Durability durability, const StorePlace& place);
/// Performs any step but `reopen` and `advance`; false for an erasure or the like that found nothing to change. Throws
/// Error.
bool perform(const Store& store, const Step& step);
/// Everything by the ordered index; std::runtime_error when the hash index shows anything else. Throws Error.
ModelEntries read_everything(const Store& store);

}  // namespace tuskv::test
