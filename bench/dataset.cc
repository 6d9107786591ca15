#include "bench/dataset.h"

#include <cstring>
#include <stdexcept>

namespace tuskv::bench {
namespace {

constexpr std::array<char, 512> make_digit_pairs() {
  std::array<char, 512> pairs = {};
  const char* digits = "0123456789abcdef";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    pairs[2 * byte] = digits[byte >> 4];
    pairs[2 * byte + 1] = digits[byte & 15];
  }
  return pairs;
}
constexpr std::array<char, 512> kDigitPairs = make_digit_pairs();

}  // namespace

KeyWriter::KeyWriter(std::size_t key_bytes) : key_bytes_(key_bytes) {
  if (key_bytes < kKeyDigits || key_bytes > kKeyBytesMax) throw std::invalid_argument("key_bytes must be 16 to 2048");
  for (std::size_t i = 0; i < key_bytes; ++i) bytes_[i] = "key:"[i % 4];
}

std::string_view KeyWriter::key(std::uint64_t n) {
  const std::uint64_t mixed = mix(n);
  char* out = bytes_.data() + key_bytes_ - kKeyDigits;
  for (int shift = 56; shift >= 0; shift -= 8, out += 2) {
    std::memcpy(out, &kDigitPairs[2 * ((mixed >> shift) & 255)], 2);
  }
  return {bytes_.data(), key_bytes_};
}

ValueSource::ValueSource(std::size_t value_bytes, std::uint64_t seed)
    : pool_(kPoolBytes + value_bytes, '\0'), value_bytes_(value_bytes) {
  Random random(seed);
  for (char& byte : pool_) byte = static_cast<char>(random.next());
}

}  // namespace tuskv::bench
