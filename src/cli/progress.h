// How far a long verb is, on stderr and only when that is a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tuskv/store.h"

namespace tuskv::cli {

class Progress final {
 public:
  /// `total` in whatever unit update() counts; 0 when it is not known.
  Progress(std::string verb, std::uint64_t total);
  /// The total is the store's entries, which are counted only when the bar will be shown: a server looks at every row
  /// for it. A table that is too large for that in the time of one call has a bar without an end.
  Progress(std::string verb, const Store& store);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Takes the bar off the terminal.
  ~Progress();

  void update(std::uint64_t done, std::uint64_t entries);

 private:
  std::string verb_;
  std::uint64_t total_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace tuskv::cli
