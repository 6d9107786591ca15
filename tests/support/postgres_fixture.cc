// Starts and stops the PostgreSQL that tests of one ctest run share.
//   postgres_fixture start FILE   leaves a process behind that holds the servers, and where they listen in FILE
//   postgres_fixture stop FILE    ends that process
// It also ends by itself when the process that ran `start` (ctest) has gone.
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "support/shared_postgres.h"

namespace tuskv::test {
namespace {

void write_addresses(const std::string& file, const PostgresAddress& server, const PostgresAddress& pooler) {
  const std::string aside = file + ".new";
  std::ofstream(aside) << server.host << ' ' << server.port << ' ' << pooler.host << ' ' << pooler.port << ' '
                       << ::getpid() << '\n';
  std::filesystem::rename(aside, file);
}

/// Until the process has ended or this one is asked to.
void wait_for_the_end(int watched) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  const os::UniqueFd asked(::signalfd(-1, &signals, SFD_CLOEXEC));
  std::array<pollfd, 2> events = {pollfd{.fd = watched, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = asked.get(), .events = POLLIN, .revents = 0}};
  while (::poll(events.data(), events.size(), -1) < 0) {
  }
}

/// `ready`: gets a byte when the servers run.
void hold(const std::string& file, int watched, int ready) {
  const PostgresServer server;
  const PgBouncer pooler(server.address());
  write_addresses(file, server.address(), pooler.address());
  if (::write(ready, "+", 1) != 1) return;
  ::close(ready);
  // ctest waits for the ends of its pipes.
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere, standard);
  wait_for_the_end(watched);
}

int start(const std::string& file) {
  std::filesystem::remove(file);
  const int watched = static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0));
  std::array<int, 2> ready = {};
  if (watched < 0 || ::pipe2(ready.data(), O_CLOEXEC) != 0) {
    std::perror("postgres_fixture");
    return 1;
  }
  const pid_t holder = ::fork();
  if (holder == 0) {
    ::setsid();
    ::close(ready[0]);
    hold(file, watched, ready[1]);
    std::filesystem::remove(file);
    return 0;
  }
  ::close(ready[1]);
  char byte = 0;
  return ::read(ready[0], &byte, 1) == 1 ? 0 : 1;  // nothing: the holder has said why
}

int stop(const std::string& file) {
  PostgresAddress server;
  PostgresAddress pooler;
  pid_t holder = 0;
  std::ifstream(file) >> server.host >> server.port >> pooler.host >> pooler.port >> holder;
  if (holder <= 0 || ::kill(holder, SIGTERM) != 0) {
    std::fprintf(stderr, "no server is described by %s\n", file.c_str());
    return 1;
  }
  while (std::filesystem::exists(file)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return 0;
}

}  // namespace
}  // namespace tuskv::test

int main(int count, char** arguments) {
  const std::string_view verb = count == 3 ? arguments[1] : "";
  try {
    if (verb == "start") return tuskv::test::start(arguments[2]);
    if (verb == "stop") return tuskv::test::stop(arguments[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::fprintf(stderr, "usage: postgres_fixture start|stop FILE\n");
  return 2;
}
