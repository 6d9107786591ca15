// Where it was measured, and against which versions.
#pragma once

#include <map>
#include <string>

namespace tuskv::bench {

struct Machine {
  std::string cpu = {};
  unsigned cores = 0;
  std::string memory = {};
  std::string kernel = {};
  std::string file_system = {};
  std::string compiler = {};
  std::string date = {};
  std::map<std::string, std::string> versions = {};  ///< by subject; filled while rows run
};

/// `directory`: where the data is kept.
Machine describe_machine(const std::string& directory);
void print(const Machine& machine);
/// The file system that holds the directory.
std::string file_system_name(const std::string& directory);

}  // namespace tuskv::bench
