#include "key_text.h"

namespace tuskv {

std::string quoted_key(std::string_view stored_key) {
  constexpr std::size_t kShownBytesMax = 64;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string_view key = stored_key.substr(stored_key.find('\0') + 1);  // npos + 1 is 0: no namespace, no NUL
  const bool cut = key.size() > kShownBytesMax;
  std::string quoted = "\"";
  for (const char byte : key.substr(0, kShownBytesMax)) {
    const auto code = static_cast<unsigned char>(byte);
    if (code < 0x20 || code >= 0x7f || byte == '"' || byte == '\\') {
      quoted += {'\\', 'x', kDigits[code >> 4], kDigits[code & 15]};
    } else {
      quoted += byte;
    }
  }
  return quoted += cut ? "...\"" : "\"";
}

}  // namespace tuskv
