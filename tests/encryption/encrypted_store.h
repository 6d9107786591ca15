// A store whose values are encrypted, with a way past the encryption.
#pragma once

#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "encryption/encrypted_engine.h"
#include "encryption/marker.h"
#include "open.h"
#include "support/manual_clock.h"
#include "support/reference_engine.h"
#include "tuskv/encryption.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

inline KeyRing ring_of(std::uint32_t id, char byte) { return KeyRing().add(id, std::string(32, byte)); }

inline std::shared_ptr<Encryptor> aes() { return aes_256_gcm(ring_of(1, 'k')); }

/// The result of a call that goes through Engine::submit, which wait() does not. A failure is thrown as a copy: those
/// of two threads would share a counter that the thread sanitizer does not see.
template <class T>
T submitted(Async<T> call) {
  std::mutex mutex;
  std::condition_variable ended;
  bool has_ended = false;
  std::optional<Error> failure;
  std::conditional_t<std::is_void_v<T>, std::monostate, T> value{};
  const auto end = [&](const std::exception_ptr& failed) {
    try {
      if (failed) std::rethrow_exception(failed);
    } catch (const Error& error) {
      failure.emplace(error.code(), error.outcome(), std::string(error.what()), std::string(error.sqlstate()));
    }
    has_ended = true;
    ended.notify_one();
  };
  if constexpr (std::is_void_v<T>) {
    std::move(call).then([&](std::exception_ptr failed) {
      const std::lock_guard lock(mutex);
      end(failed);
    });
  } else {
    std::move(call).then([&](std::exception_ptr failed, T result) {
      const std::lock_guard lock(mutex);
      value = std::move(result);
      end(failed);
    });
  }
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return has_ended; });
  if (failure) throw Error(*failure);
  if constexpr (!std::is_void_v<T>) return value;
}

class EncryptedStore final {
 public:
  explicit EncryptedStore(std::shared_ptr<const Encryptor> encryptor, const Options& options = {}) {
    auto made = std::make_unique<ReferenceEngine>(clock);
    raw = made.get();
    auto encrypted = encryption::EncryptedEngine::open(
        {.engine = std::move(made), .encryptor = std::move(encryptor), .is_kept = false});
    engine = encrypted.value().get();
    store.emplace(store_on(std::move(encrypted).value(), options));
  }
  Store* operator->() { return &*store; }

  /// The entry as it is stored.
  encryption::StoredValue stored(Bytes key) const {
    return encryption::read_stored(*raw, std::string(1, '\0') + std::string(key.view()), 1000).value();
  }

  ManualClock clock;
  ReferenceEngine* raw = nullptr;  ///< while a handle lives, as the next
  encryption::EncryptedEngine* engine = nullptr;
  std::optional<Store> store;
};

}  // namespace tuskv::test
