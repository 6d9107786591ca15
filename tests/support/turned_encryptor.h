// An encryptor that a user might have written, and a build without OpenSSL has: the text turned round, behind what
// names the key and the entry. Enough to tell what is encrypted from what is not, with which key, and for which entry.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "tuskv/encryption.h"

namespace tuskv::test {

class TurnedEncryptor final : public Encryptor {
 public:
  /// What `on_call` throws, told "encrypt" or "decrypt", the call throws.
  explicit TurnedEncryptor(
      std::string key, std::function<void(std::string_view call)> on_call = [](std::string_view) {})
      : key_(std::move(key)), on_call_(std::move(on_call)) {}

  std::string encrypt(std::string_view plaintext, std::string_view associated_data) const override {
    on_call_("encrypt");
    return start_for(associated_data) + std::string(plaintext.rbegin(), plaintext.rend());
  }
  std::string decrypt(std::string_view stored, std::string_view associated_data) const override {
    on_call_("decrypt");
    const std::string start = start_for(associated_data);
    if (!stored.starts_with(start)) throw std::invalid_argument("not mine");
    stored.remove_prefix(start.size());
    return std::string(stored.rbegin(), stored.rend());
  }
  bool needs_reencryption(std::string_view) const override { return false; }
  std::string description() const override { return "turned round"; }

 private:
  std::string start_for(std::string_view associated_data) const { return key_ + std::string(associated_data) + "|"; }

  const std::string key_;
  const std::function<void(std::string_view)> on_call_;
};

}  // namespace tuskv::test
