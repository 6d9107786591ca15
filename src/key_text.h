#pragma once

#include <string>
#include <string_view>

namespace tuskv {

/// A stored key as people may read it in a message: without its namespace, in quotes, control bytes as \xNN, long ones
/// cut.
std::string quoted_key(std::string_view stored_key);

}  // namespace tuskv
