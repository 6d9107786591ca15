// Enough to tell what is encrypted from what is not, and with which key, in a build without OpenSSL, too.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "tuskv/encryption.h"

namespace tuskv::test {

class Turned final : public Encryptor {
 public:
  explicit Turned(std::string key) : mark_("turned with " + std::move(key) + ": ") {}

  std::string encrypt(std::string_view plaintext, std::string_view) const override {
    return mark_ + std::string(plaintext.rbegin(), plaintext.rend());
  }
  std::string decrypt(std::string_view stored, std::string_view) const override {
    if (!stored.starts_with(mark_)) throw std::invalid_argument("not mine");
    stored.remove_prefix(mark_.size());
    return std::string(stored.rbegin(), stored.rend());
  }
  bool needs_reencryption(std::string_view) const override { return false; }
  std::string description() const override { return "turned round"; }

 private:
  const std::string mark_;
};

}  // namespace tuskv::test
