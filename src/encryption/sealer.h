// Values on their way through an Encryptor, which may be anybody's: what it throws ends here as a Failure.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands.h"
#include "status.h"
#include "tuskv/encryption.h"

namespace tuskv::encryption {

/// Nothing of what an engine has shown comes out of a call that failed: it may be encrypted.
void clear_values(std::span<Command> commands);

/// Thread-safe.
class Sealer final {
 public:
  explicit Sealer(std::shared_ptr<const Encryptor> encryptor) : encryptor_(std::move(encryptor)) {}

  /// The value as it is stored under this key.
  Status seal(std::string_view key, std::string_view plaintext, std::string& stored) const;
  /// Turns a stored value into the one that was given; empties it when that fails.
  Status open(std::string_view key, std::string& value) const;
  /// The same for every value in the replies of a unit that has succeeded. When one fails, all are emptied.
  Status open_replies(std::span<Command> commands) const;
  Status open_entries(Scan& scan) const;

  Result<bool> needs_reencryption(std::string_view key, std::string_view stored) const;
  std::string description() const;

 private:
  std::shared_ptr<const Encryptor> encryptor_;
};

/// The values that units put, encrypted for the time of a call: the commands are the caller's, and are given back as
/// they were.
class SealedPuts final {
 public:
  SealedPuts() = default;
  SealedPuts(const SealedPuts&) = delete;
  SealedPuts& operator=(const SealedPuts&) = delete;
  ~SealedPuts() { give_back(); }

  /// When it fails the unit must not be run.
  Status seal(const Sealer& sealer, std::span<Command> commands);
  /// Puts the encrypted values into the commands, once all have been sealed.
  void lend();
  void give_back();

 private:
  struct Value {
    Put* put;
    std::string_view plaintext;
    std::string stored;
  };
  std::vector<Value> values_;
};

}  // namespace tuskv::encryption
