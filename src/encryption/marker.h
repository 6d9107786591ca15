// What tells an encrypted store from another: one entry of ours, encrypted as every value is, that is there from the
// first opening with keys on. So a store is never opened without the keys that its values need, nor with keys when what
// it holds is not encrypted.
//
//   key        = 0x01 "tuskv" NUL "encryption"
//   plaintext  = "tuskv encrypted store"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "encryption/sealer.h"
#include "engine.h"
#include "own_keys.h"

namespace tuskv::encryption {

/// An engine may have entries beside it.
inline constexpr std::string_view kMarkerKey{"\001tuskv\0encryption", 17};
static_assert(kMarkerKey.substr(0, kOwnKeysFrom.size()) == kOwnKeysFrom);

/// For a store opened without keys: Config when it is an encrypted one, or was one before it lost its marker.
Status check_unencrypted(Engine& engine, std::int64_t timeout_ms);
/// For one opened with keys: Config when they are not its own, or when it holds entries that are not encrypted. False
/// when it has no marker: it is empty, or has lost it.
Result<bool> check_encrypted(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms);
/// The same, and puts the marker where there is none; takes it back when another process has written meanwhile what is
/// not encrypted. Once it is there the engine notes it, too (Engine::note_encrypted).
Status mark_encrypted(Engine& engine, const Sealer& sealer, std::int64_t timeout_ms);

/// An entry as the engine has it.
struct StoredValue {
  Seen seen = {};
  std::string value = {};
};
Result<StoredValue> read_stored(Engine& engine, std::string_view key, std::int64_t timeout_ms);

}  // namespace tuskv::encryption
