// Files that hold secrets.
#pragma once

#include <cstddef>
#include <string>

#include "status.h"

namespace tuskv::os {

/// The whole of a regular file that nobody but its owner can read: no rights for group and others, or, when it is
/// root's, reading for its group. Config saying what is wrong, as "cannot be opened: …": the caller names the file,
/// since what was given as its name may be a secret itself. The bytes are in one block, for the caller to wipe.
Result<std::string> read_private_file(const std::string& path, std::size_t bytes_max);

}  // namespace tuskv::os
