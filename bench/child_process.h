// A program of ours that runs beside us and ends with us.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace tuskv::bench {

/// Speaks lines over the program's standard input and output. Its standard error is ours.
class ChildProcess final {
 public:
  /// `arguments[0]` is the program, looked up in PATH.
  explicit ChildProcess(const std::vector<std::string>& arguments);
  /// Closes its input, gives it time to end by itself, then ends it.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void write_line(std::string_view line);
  /// Throws when the program has ended.
  std::string read_line();
  /// Asks it to end (SIGTERM).
  void terminate();

 private:
  bool has_ended();

  std::string program_;
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string buffered_ = {};
};

}  // namespace tuskv::bench
