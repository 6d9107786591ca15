// Signals and short transfers, which a caller of os::FileSystem must never see. Regular files hardly ever show them, so
// a seccomp filter hands every system call of the file system to a handler here: it answers the first try with EINTR,
// and lets the second through, reads and writes with three bytes at most.
#include <gtest/gtest.h>

#include <iostream>
#include <memory>
#include <string>

#include "os/file_system.h"
#include "support/opened_file.h"
#include "support/temporary_directory.h"

#if defined(__x86_64__)

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <vector>

namespace tuskv::os {
namespace {

constexpr int kCalls[] = {SYS_openat, SYS_pread64, SYS_pwrite64, SYS_fdatasync, SYS_fsync, SYS_fallocate, SYS_ftruncate,
                          SYS_mkdir,  SYS_rename,  SYS_linkat,   SYS_unlink,    SYS_rmdir, SYS_flock,     SYS_statfs};
/// In the sixth argument, which none of these calls has: the handler's own call, to be let through.
constexpr std::uint32_t kLetThrough = 0x74757376;
constexpr long long kShortTransfer = 3;

volatile std::sig_atomic_t interrupted[512] = {};

void answer_call(int, siginfo_t* info, void* context) {
  const int errno_before = errno;
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const int call = info->si_syscall;
  interrupted[call] = interrupted[call] + 1;
  if (interrupted[call] % 2 == 1) {
    registers[REG_RAX] = -EINTR;
    return;
  }
  if (call == SYS_pread64 || call == SYS_pwrite64) registers[REG_RDX] = std::min(registers[REG_RDX], kShortTransfer);
  const long result = ::syscall(call, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], registers[REG_R10],
                                registers[REG_R8], kLetThrough);
  registers[REG_RAX] = result == -1 ? -errno : result;
  errno = errno_before;
}

/// For the rest of this process. False where the system does not allow it.
bool interrupt_every_call() {
  std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (std::size_t i = 0; i < std::size(kCalls); ++i) {
    const auto to_check = static_cast<std::uint8_t>(std::size(kCalls) - i);
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(kCalls[i]), to_check, 0));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[5])));
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kLetThrough, 0, 1));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  sock_fprog filter{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};

  struct sigaction action {};
  action.sa_sigaction = answer_call;
  action.sa_flags = SA_SIGINFO;
  return ::sigaction(SIGSYS, &action, nullptr) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

void use_every_call(const std::string& root) {
  const auto system = make_posix_file_system();
  const std::string directory = root + "/d";
  EXPECT_TRUE(system->make_directory(directory).ok());
  {
    const auto lock = system->lock(directory);
    EXPECT_TRUE(lock.ok());
    const auto file = test::open_file(*system, directory + "/a");
    ASSERT_TRUE(file);
    EXPECT_TRUE(file->allocate(10).ok());
    EXPECT_TRUE(file->truncate(8).ok());
    EXPECT_TRUE(file->write_at(1, "a long text").ok());
    EXPECT_TRUE(file->sync().ok());
    EXPECT_EQ(test::read_all(*file), std::string("\0a long text", 12));
    EXPECT_EQ(system->lock(directory).failure().code, Code::Busy);
  }
  EXPECT_TRUE(system->link(directory + "/a", directory + "/b").ok());
  EXPECT_TRUE(system->rename(directory + "/a", directory + "/c").ok());
  EXPECT_TRUE(system->sync_directory(directory).ok());
  EXPECT_EQ(system->list(directory).value().size(), 3U);
  EXPECT_TRUE(system->free_bytes(directory).ok());
  for (const char* name : {"/b", "/c", "/LOCK"}) EXPECT_TRUE(system->remove_file(directory + name).ok()) << name;
  EXPECT_TRUE(system->remove_directory(directory).ok());
  for (const int call : kCalls) EXPECT_GE(interrupted[call], 2) << "system call " << call << " was not met";
}

TEST(InterruptedCalls, AreFinishedInside) {
  constexpr int kNotAllowed = 77;
  const test::TemporaryDirectory directory;
  std::cout.flush();
  const pid_t child = ::fork();  // the filter cannot be taken off again
  if (child == 0) {
    if (!interrupt_every_call()) ::_exit(kNotAllowed);
    use_every_call(directory.path());
    std::cout.flush();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotAllowed) GTEST_SKIP() << "seccomp filters are not allowed here";
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace tuskv::os

#else

TEST(InterruptedCalls, AreFinishedInside) { GTEST_SKIP() << "the filter is written for x86-64"; }

#endif
