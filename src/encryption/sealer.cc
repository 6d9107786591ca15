#include "encryption/sealer.h"

#include <exception>

#include "key_text.h"
#include "plan.h"

namespace tuskv::encryption {
namespace {

Status failed(std::string_view key, const char* what, const char* why) {
  return Status(Code::Encryption, "the value of key " + quoted_key(key) + " cannot be " + what + ": " + why);
}

/// Runs a call of the encryptor.
template <class Call>
Status guarded(std::string_view key, const char* what, Call call) {
  try {
    call();
    return {};
  } catch (const Error& thrown) {
    Status status = failed(key, what, thrown.what());
    return thrown.code() == Code::TooLarge ? Status(Code::TooLarge, status.failure().message) : std::move(status);
  } catch (const std::exception& thrown) {
    return failed(key, what, thrown.what());
  } catch (...) {
    return failed(key, what, "the encryptor threw what is no std::exception");
  }
}

/// Whether the reply holds the value of the entry: it was asked for, or is what a comparison met. Only for commands
/// that pass without being understood (passes_sealed): those show a value when they have changed nothing.
template <class C>
bool shows_value(const C& command, bool wanted) {
  return command.seen.found && !command.applied && (wanted || command.condition.kind == Condition::Kind::version);
}

/// The value in the reply of a keyed command; null when there is none.
std::string* reply_value(Command& command) {
  if (auto* read = std::get_if<Read>(&command)) {
    return read->seen.found && read->want == Want::value ? read->into : nullptr;
  }
  if (auto* put = std::get_if<Put>(&command)) {
    return shows_value(*put, put->want_previous) ? &put->seen.value : nullptr;
  }
  if (auto* erase = std::get_if<Erase>(&command)) {
    return shows_value(*erase, erase->want_previous) ? &erase->seen.value : nullptr;
  }
  if (auto* touch = std::get_if<Touch>(&command)) {
    return shows_value(*touch, touch->want == Want::value) ? &touch->seen.value : nullptr;
  }
  return nullptr;
}

}  // namespace

void clear_values(std::span<Command> commands) {
  for (Command& command : commands) {
    if (auto* read = std::get_if<Read>(&command)) {
      if (read->into != nullptr) read->into->clear();
    } else if (auto* put = std::get_if<Put>(&command)) {
      put->seen.value.clear();
    } else if (auto* erase = std::get_if<Erase>(&command)) {
      erase->seen.value.clear();
    } else if (auto* touch = std::get_if<Touch>(&command)) {
      touch->seen.value.clear();
    } else if (auto* scan = std::get_if<Scan>(&command)) {
      scan->entries.clear();
    }
  }
}

Status Sealer::seal(std::string_view key, std::string_view plaintext, std::string& stored) const {
  return guarded(key, "encrypted", [&] { stored = encryptor_->encrypt(plaintext, key); });
}

Status Sealer::open(std::string_view key, std::string& value) const {
  Status status = guarded(key, "decrypted", [&] { value = encryptor_->decrypt(value, key); });
  if (!status.ok()) value.clear();
  return status;
}

Status Sealer::open_entries(Scan& scan) const {
  if (scan.want != Want::value) return {};
  std::string key(scan.range.from.substr(0, scan.key_offset));  // what the keys of the reply lack
  const std::size_t prefix_bytes = key.size();
  for (Entry& entry : scan.entries) {
    key.replace(prefix_bytes, std::string::npos, entry.key);
    TUSKV_RETURN_IF_ERROR(open(key, entry.value));
  }
  return {};
}

Status Sealer::open_replies(std::span<Command> commands) const {
  Status status;
  for (Command& command : commands) {
    if (auto* scan = std::get_if<Scan>(&command)) {
      status = open_entries(*scan);
    } else if (std::string* const value = reply_value(command)) {
      status = open(command_key(command), *value);
    }
    if (!status.ok()) break;
  }
  if (!status.ok()) clear_values(commands);
  return status;
}

Result<bool> Sealer::needs_reencryption(std::string_view key, std::string_view stored) const {
  bool needs = false;
  Status status = guarded(key, "decrypted", [&] { needs = encryptor_->needs_reencryption(stored); });
  if (!status.ok()) return status;
  return needs;
}

std::string Sealer::description() const {
  std::string text;
  const Status status = guarded({}, "", [&] { text = encryptor_->description(); });
  return status.ok() ? text : "the encryptor has no description";
}

Status SealedPuts::seal(const Sealer& sealer, std::span<Command> commands) {
  for (Command& command : commands) {
    auto* const put = std::get_if<Put>(&command);
    if (put == nullptr) continue;
    Value value{.put = put, .plaintext = put->value, .stored = {}};
    TUSKV_RETURN_IF_ERROR(sealer.seal(put->key, put->value, value.stored));
    values_.push_back(std::move(value));
  }
  return {};
}

void SealedPuts::lend() {
  for (Value& value : values_) value.put->value = value.stored;
}

void SealedPuts::give_back() {
  for (Value& value : values_) value.put->value = value.plaintext;
  values_.clear();
}

}  // namespace tuskv::encryption
