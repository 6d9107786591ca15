// The one symbolic link that is followed: that to the directory of a store.
#pragma once

#include <string>

namespace tuskv::os {

/// The path; with a slash behind it, which names what the link leads to, when it is a symbolic link to a directory.
std::string followed_link(std::string path);

}  // namespace tuskv::os
