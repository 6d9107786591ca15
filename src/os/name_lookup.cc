#include "os/name_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

namespace tuskv::os {
namespace {

struct Found {
  int error = 0;  ///< of getaddrinfo
  int system_error = 0;
  std::vector<std::string> addresses = {};
};

Found find_addresses(const std::string& name, int flags) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* first = nullptr;
  const int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &first);
  if (error != 0) return {.error = error, .system_error = errno};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(first, &::freeaddrinfo);
  Found found;
  for (const addrinfo* each = first; each != nullptr; each = each->ai_next) {
    std::array<char, NI_MAXHOST> text = {};
    found.error = ::getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
    if (found.error != 0) return {.error = found.error, .system_error = errno};
    std::string address(text.data());
    auto& known = found.addresses;
    if (std::find(known.begin(), known.end(), address) == known.end()) known.push_back(std::move(address));
  }
  return found;
}

}  // namespace

Result<std::vector<std::string>> look_up_name(const std::string& name) {
  Found found = find_addresses(name, 0);
  if (found.error == 0) return std::move(found.addresses);
  return Status(Code::Connection, found.error == EAI_SYSTEM ? std::generic_category().message(found.system_error)
                                                            : ::gai_strerror(found.error));
}

std::optional<std::string> numeric_address(const std::string& name) {
  Found found = find_addresses(name, AI_NUMERICHOST);
  if (found.error != 0) return std::nullopt;
  return std::move(found.addresses.front());
}

}  // namespace tuskv::os
