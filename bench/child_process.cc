#include "bench/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace tuskv::bench {
namespace {

constexpr std::chrono::seconds kEndPatience{20};

[[noreturn]] void become(const std::vector<std::string>& arguments, int input, int output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  std::vector<char*> raw;
  for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  execvp(raw[0], raw.data());
  _exit(127);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments) : program_(arguments.at(0)) {
  std::array<int, 2> to = {};
  std::array<int, 2> from = {};
  if (pipe2(to.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  if (pipe2(from.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) become(arguments, to[0], from[1]);
  close(to[0]);
  close(from[1]);
  input_ = to[1];
  output_ = from[0];
}

ChildProcess::~ChildProcess() {
  close(input_);
  const auto deadline = std::chrono::steady_clock::now() + kEndPatience;
  while (!has_ended()) {
    if (std::chrono::steady_clock::now() > deadline) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  close(output_);
}

bool ChildProcess::has_ended() { return waitpid(pid_, nullptr, WNOHANG) != 0; }

void ChildProcess::terminate() { kill(pid_, SIGTERM); }

void ChildProcess::write_line(std::string_view line) {
  std::string bytes(line);
  bytes += '\n';
  for (std::size_t written = 0; written < bytes.size();) {
    const ssize_t n = write(input_, bytes.data() + written, bytes.size() - written);
    if (n < 0) throw std::system_error(errno, std::generic_category(), program_ + ": write");
    written += static_cast<std::size_t>(n);
  }
}

std::string ChildProcess::read_line() {
  for (;;) {
    if (const std::size_t end = buffered_.find('\n'); end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    std::array<char, 4096> chunk;
    const ssize_t n = read(output_, chunk.data(), chunk.size());
    if (n <= 0) throw std::runtime_error(program_ + " ended unexpectedly");
    buffered_.append(chunk.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace tuskv::bench
