// From the name of a machine to its addresses. The system's own lookup can take as long as it likes and cannot be
// cancelled; who must be in time asks through postgres/resolver.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "status.h"

namespace tuskv::os {

/// The numeric addresses of a name, in the order to try them, or why there are none. Called from many threads at once;
/// what it refers to has to outlive every thread that it hangs on.
using NameLookup = std::function<Result<std::vector<std::string>>(const std::string& name)>;

/// The system's: /etc/hosts, name servers, whatever it is set up for. At least one address, IPv4 or IPv6, none twice.
Result<std::vector<std::string>> look_up_name(const std::string& name);

/// What is an address already, in the usual spelling; asks nobody.
std::optional<std::string> numeric_address(const std::string& name);

}  // namespace tuskv::os
