#include "bench/machine.h"

#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <array>
#include <ctime>
#include <fstream>
#include <iostream>
#include <thread>

namespace tuskv::bench {
namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  gmtime_r(&now, &parts);
  std::array<char, 32> text = {};
  std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return text.data();
}

}  // namespace

std::string file_system_name(const std::string& directory) {
  struct statfs found = {};
  if (statfs(directory.c_str(), &found) != 0) return "unknown";
  switch (found.f_type) {
    case 0xEF53: return "ext4";
    case 0x58465342: return "xfs";
    case 0x9123683E: return "btrfs";
    case 0x01021994: return "tmpfs (nothing is really synced)";
    case 0x794c7630: return "overlayfs";
    default: return "file system type " + std::to_string(found.f_type);
  }
}

Machine describe_machine(const std::string& directory) {
  struct sysinfo memory = {};
  sysinfo(&memory);
  utsname system = {};
  uname(&system);
  return {
    .cpu = cpu_model(), .cores = std::thread::hardware_concurrency(),
    .memory = std::to_string((memory.totalram * memory.mem_unit) >> 30) + " GiB",
    .kernel = std::string(system.sysname) + " " + system.release, .file_system = file_system_name(directory),
#if defined(__clang__)
    .compiler = "clang " __clang_version__,
#else
    .compiler = "g++ " __VERSION__,
#endif
    .date = today()
  };
}

void print(const Machine& machine) {
  std::cout << machine.cpu << ", " << machine.cores << " cores, " << machine.memory << ", " << machine.kernel << ", "
            << machine.file_system << ", " << machine.compiler << ", " << machine.date << std::endl;
}

}  // namespace tuskv::bench
