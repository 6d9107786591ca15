#include "os/followed_link.h"

#include <sys/stat.h>

namespace tuskv::os {

std::string followed_link(std::string path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0 || !S_ISLNK(found.st_mode)) return path;
  if (::stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return path;
  return path + "/";
}

}  // namespace tuskv::os
