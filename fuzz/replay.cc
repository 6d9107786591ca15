// Stands in for libFuzzer where there is none: runs a fuzz target once over every file of the named folders.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz_target.h"

namespace {

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argument_count, char** arguments) {
  std::size_t inputs = 0;
  for (int i = 1; i < argument_count; ++i) {
    for (const auto& file : files_in(arguments[i])) {
      std::cerr << file.string() << '\n';
      std::ifstream stream(file, std::ios::binary);
      const std::string bytes(std::istreambuf_iterator<char>(stream), {});
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
      ++inputs;
    }
  }
  if (inputs == 0) std::cerr << "no inputs\n";
  return inputs == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
