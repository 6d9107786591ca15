// A directory in which a test runs servers, and which never outlives the test: whatever happens to the process that
// made it, an orphaned shell that waits on a pipe to that process stops the servers and removes the directory.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "os/unique_fd.h"

namespace tuskv::test {

/// Runs a command, waits for it and returns what it wrote to both outputs; throws std::runtime_error when it fails.
std::string run_command(const std::vector<std::string>& arguments);

/// Servers refuse to run as root: then they run as another user, who owns the directory. Servers are found by their
/// pid files: NAME/postmaster.pid and NAME.pid below it.
class ServerHome final {
 public:
  /// Below `parent`; empty: in memory where there is room.
  explicit ServerHome(const std::string& parent = {});
  /// Stops what still runs, at once, and waits for it.
  ~ServerHome();
  ServerHome(const ServerHome&) = delete;
  ServerHome& operator=(const ServerHome&) = delete;

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  /// run_command as the user of the servers.
  std::string run(const std::vector<std::string>& arguments) const;
  /// Replaces a file; the servers can read and change it.
  void write(const std::string& name, const std::string& content) const;
  std::string read(const std::string& name) const;

 private:
  void start_watchdog();

  std::string path_;
  uid_t user_;
  gid_t group_;
  os::UniqueFd alive_;       ///< the watchdog acts when its other end is closed
  os::UniqueFd cleaned_up_;  ///< the watchdog holds the other end while it lives
};

}  // namespace tuskv::test
