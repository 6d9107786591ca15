// Texts of key rings, and their keys. No message repeats any byte of a line: what stands where an id should be may be a
// key.
#include "encryption/key_ring.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "ascii.h"
#include "named_limits.h"
#include "os/private_file.h"
#include "throw.h"

namespace tuskv {
namespace encryption {
namespace {

/// Bytes of keys on their way, wiped when they have arrived.
struct WipedString {
  WipedString() = default;
  explicit WipedString(std::string given) : bytes(std::move(given)) {}
  WipedString(const WipedString&) = delete;
  WipedString& operator=(const WipedString&) = delete;
  ~WipedString() { ::explicit_bzero(bytes.data(), bytes.size()); }

  std::string bytes = {};
};

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

bool decode_hex(std::string_view text, char* bytes) {
  if (text.size() != 2 * kKeyBytes) return false;
  for (std::size_t i = 0; i < kKeyBytes; ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<char>(high << 4 | low);
  }
  return true;
}

bool decode_base64(std::string_view text, char* bytes) {
  constexpr std::size_t kDigits = (kKeyBytes * 8 + 5) / 6;
  if (text.size() == kDigits + 1 && text.back() == '=') text.remove_suffix(1);
  if (text.size() != kDigits) return false;
  unsigned int bits = 0;
  int held = 0;
  std::size_t size = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) return false;
    bits = bits << 6 | static_cast<unsigned int>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[size++] = static_cast<char>(bits >> held & 0xff);
  }
  return (bits & 3) == 0;  // the two bits that are left over
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

/// What is wrong with the line; empty when its key has been added.
std::string add_line(std::string_view line, KeyRing& ring) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "a key is written ID:KEY";
  const std::string_view id_text = trimmed(line.substr(0, colon));
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(id_text.data(), id_text.data() + id_text.size(), id);
  if (error != std::errc() || end != id_text.data() + id_text.size()) {
    return "the id in front of the colon must be a number from 1 to 4294967295";
  }
  const std::string_view key_text = trimmed(line.substr(colon + 1));
  WipedString key(std::string(kKeyBytes, '\0'));
  if (!decode_hex(key_text, key.bytes.data()) && !decode_base64(key_text, key.bytes.data())) {
    return "the key behind the colon must be 64 hexadecimal digits or 32 bytes in base64";
  }
  try {
    ring.add(id, key.bytes);
  } catch (const Error& refused) {
    return refused.what();
  }
  return {};
}

/// `what` the text is called in errors: "the key file".
KeyRing parse_key_ring(std::string_view text, std::string_view what) {
  KeyRing ring;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (const std::string wrong = add_line(line, ring); !wrong.empty()) {
      throw_refused(Code::Config, std::string(what) + ", line " + std::to_string(number) + ": " + wrong);
    }
  }
  if (ring.ids().empty()) throw_refused(Code::Config, std::string(what) + " holds no key (ID:KEY)");
  return ring;
}

/// How long it takes says nothing of where they differ.
bool are_same(const Key& key, std::string_view bytes) {
  unsigned int difference = 0;
  for (std::size_t i = 0; i < kKeyBytes; ++i) difference |= key.bytes[i] ^ static_cast<unsigned char>(bytes[i]);
  return difference == 0;
}

}  // namespace

Key::~Key() { ::explicit_bzero(bytes.data(), bytes.size()); }

}  // namespace encryption

inline namespace v0 {

KeyRing::KeyRing() : keys_(std::make_unique<Keys>()) {}
KeyRing::KeyRing(const KeyRing& other) : KeyRing() { keys_->list = KeyRingAccess::copy_keys(other); }
KeyRing::KeyRing(KeyRing&& other) noexcept = default;
KeyRing& KeyRing::operator=(const KeyRing& other) {
  if (this != &other) *this = KeyRing(other);
  return *this;
}
KeyRing& KeyRing::operator=(KeyRing&& other) noexcept = default;
KeyRing::~KeyRing() = default;

KeyRing& KeyRing::add(std::uint32_t id, Bytes key) {
  if (keys_ == nullptr) keys_ = std::make_unique<Keys>();  // moved from
  if (id == 0) throw_refused(Code::Config, "the id of an encryption key must be 1 to 4294967295");
  if (key.size() != encryption::kKeyBytes) {
    throw_refused(Code::Config, "an encryption key must have 32 bytes, not " + std::to_string(key.size()));
  }
  auto& list = keys_->list;
  if (std::any_of(list.begin(), list.end(), [id](const auto& known) { return known->id == id; })) {
    throw_refused(Code::Config, "the id " + std::to_string(id) + " of an encryption key is given twice");
  }
  for (const auto& known : list) {
    if (!encryption::are_same(*known, key.view())) continue;
    throw_refused(Code::Config, "the encryption keys of the ids " + std::to_string(known->id) + " and " +
                                    std::to_string(id) + " are the same: an id stands for a key of its own");
  }
  if (list.size() == kKeyRingKeysMax) {
    throw_refused(Code::Config, "a key ring holds at most " + std::to_string(kKeyRingKeysMax) + " keys");
  }
  auto added = std::make_unique<encryption::Key>();
  added->id = id;
  std::memcpy(added->bytes.data(), key.view().data(), encryption::kKeyBytes);
  list.push_back(std::move(added));
  return *this;
}

KeyRing KeyRing::parse(Bytes text) { return encryption::parse_key_ring(text.view(), "the text of the key ring"); }

KeyRing KeyRing::from_file(Bytes path) {
  Result<std::string> read = os::read_private_file(std::string(path.view()), kKeyFileBytesMax);
  if (!read.ok()) throw_refused(read.failure().code, "the key file " + read.failure().message);
  const encryption::WipedString text(std::move(read).value());
  return encryption::parse_key_ring(text.bytes, "the key file");
}

KeyRing KeyRing::from_environment(Bytes name) {
  const std::string variable(name.view());
  const char* const text = ::getenv(variable.c_str());
  if (text == nullptr) throw_refused(Code::Config, "the environment variable " + variable + " is not set");
  return encryption::parse_key_ring(text, "the environment variable " + variable);
}

std::vector<std::uint32_t> KeyRing::ids() const {
  std::vector<std::uint32_t> ids;
  if (keys_ == nullptr) return ids;
  for (const auto& key : keys_->list) ids.push_back(key->id);
  return ids;
}

std::vector<std::unique_ptr<encryption::Key>> KeyRingAccess::copy_keys(const KeyRing& ring) {
  std::vector<std::unique_ptr<encryption::Key>> copies;
  if (ring.keys_ == nullptr) return copies;
  for (const auto& key : ring.keys_->list) {
    auto copy = std::make_unique<encryption::Key>();
    copy->id = key->id;
    copy->bytes = key->bytes;
    copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace v0
}  // namespace tuskv
