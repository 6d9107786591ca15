#include "support/server_home.h"

#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace tuskv::test {
namespace {

constexpr std::size_t kPathSizeMax = 60;  // a Unix socket's address has 107 bytes, and its file's name stands behind

// Runs detached from the test, with the read end of the pipe as descriptor 3. SIGQUIT is PostgreSQL's immediate
// shutdown; what does not listen is killed after ten seconds.
constexpr const char* kWatchdog = R"sh(
(
  trap '' INT TERM HUP
  read -r nothing
  tries=0
  stop() {  # its pid file goes away before it does
    [ -f "$2" ] && read -r pid <"$2" && kill "-$1" "$pid" || return
    while [ -f "$2" ] && kill -0 "$pid"; do
      tries=$((tries + 1))
      [ "$tries" -ge 500 ] && kill -KILL "$pid"
      sleep 0.02
    done
  }
  for file in "$1"/*/postmaster.pid; do stop QUIT "$file"; done
  for file in "$1"/*.pid; do stop TERM "$file"; done
  rm -rf "$1"
) <&3 2>/dev/null &
)sh";

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Pipe {
  os::UniqueFd reading;
  os::UniqueFd writing;
};

Pipe make_pipe() {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
  return {os::UniqueFd(ends[0]), os::UniqueFd(ends[1])};
}

struct Redirection {
  int from = -1;
  int to = -1;
};

/// Standard input is /dev/null.
pid_t spawn(const std::vector<std::string>& arguments, const std::vector<Redirection>& redirections) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  for (const Redirection& each : redirections) ::posix_spawn_file_actions_adddup2(&actions, each.from, each.to);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, argv.front(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::system_error(error, std::generic_category(), "cannot run " + arguments.front());
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) throw_errno("waitpid");
  }
  return status;
}

std::string read_to_end(int descriptor) {
  std::string read;
  std::array<char, 4096> buffer = {};
  for (;;) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("read");
    if (count == 0) return read;
    read.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

/// In memory where there is room, unless TMPDIR says otherwise: tests end processes and not machines, and a disk that
/// others keep busy would make them wait. A container often has 64 MiB there, a cluster takes 60 and its log.
std::filesystem::path parent_directory() {
  constexpr std::uintmax_t kRoomBytesMin = std::uintmax_t{2} << 30U;
  const std::filesystem::path memory = "/dev/shm";
  std::error_code none;
  const std::filesystem::space_info room = std::filesystem::space(memory, none);
  if (!none && std::getenv("TMPDIR") == nullptr && room.available >= kRoomBytesMin) return memory;
  const std::filesystem::path given = std::filesystem::temp_directory_path();
  return given.native().size() > kPathSizeMax ? "/tmp" : given;
}

std::string make_directory(const std::filesystem::path& parent) {
  std::string path = parent / "tuskv-server-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) throw_errno("cannot make a directory like " + path);
  return path;
}

}  // namespace

std::string run_command(const std::vector<std::string>& arguments) {
  // A file and not a pipe: a server started by the command would keep a pipe open.
  os::UniqueFd output(::open(std::filesystem::temp_directory_path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!output.valid()) throw_errno("cannot make a temporary file");
  const int status = wait_for(spawn(arguments, {{output.get(), STDOUT_FILENO}, {output.get(), STDERR_FILENO}}));
  ::lseek(output.get(), 0, SEEK_SET);
  std::string written = read_to_end(output.get());
  if (status != 0) {
    throw std::runtime_error(arguments.front() + " failed with status " + std::to_string(status) + ": " + written);
  }
  return written;
}

ServerHome::ServerHome(const std::string& parent)
    : path_(make_directory(parent.empty() ? parent_directory() : std::filesystem::path(parent))),
      user_(::geteuid()),
      group_(::getegid()) {
  if (user_ == 0) {
    const passwd* other = ::getpwnam("postgres");
    if (other == nullptr) other = ::getpwnam("nobody");
    if (other == nullptr) throw std::runtime_error("there is no user, postgres or nobody, who could run servers");
    user_ = other->pw_uid;
    group_ = other->pw_gid;
  }
  if (::chown(path_.c_str(), user_, group_) != 0) throw_errno("cannot hand over " + path_);
  start_watchdog();
}

ServerHome::~ServerHome() {
  alive_.reset();
  std::array<char, 1> nothing = {};
  while (::read(cleaned_up_.get(), nothing.data(), nothing.size()) < 0 && errno == EINTR) {
  }
}

void ServerHome::start_watchdog() {
  Pipe alive = make_pipe();
  Pipe cleaned_up = make_pipe();
  constexpr int kThird = 3;
  const int status = wait_for(spawn({"/bin/sh", "-c", kWatchdog, "watchdog", path_},
                                    {{cleaned_up.writing.get(), STDOUT_FILENO}, {alive.reading.get(), kThird}}));
  if (status != 0) throw std::runtime_error("cannot start the watchdog of " + path_);
  alive_ = std::move(alive.writing);
  cleaned_up_ = std::move(cleaned_up.reading);
}

std::string ServerHome::run(const std::vector<std::string>& arguments) const {
  if (user_ == ::geteuid()) return run_command(arguments);
  std::vector<std::string> as_user = {"setpriv", "--reuid=" + std::to_string(user_),
                                      "--regid=" + std::to_string(group_), "--clear-groups", "--"};
  as_user.insert(as_user.end(), arguments.begin(), arguments.end());
  return run_command(as_user);
}

void ServerHome::write(const std::string& name, const std::string& content) const {
  std::ofstream file(path(name), std::ios::trunc);
  file << content;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path(name));
  if (::chown(path(name).c_str(), user_, group_) != 0) throw_errno("cannot hand over " + path(name));
}

std::string ServerHome::read(const std::string& name) const {
  const std::ifstream file(path(name));
  std::ostringstream content;
  content << file.rdbuf();
  return std::move(content).str();
}

}  // namespace tuskv::test
