// export: every entry as a line of JSON that import reads. Entries that change meanwhile are written as they were when
// their page was read.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include <nlohmann/json.hpp>

#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

/// Where an export goes: a file that appears under its name only when it is whole and on the disk. What is there and no
/// file, a pipe or a device, is written to as it is.
class Target final {
 public:
  explicit Target(std::string path) : path_(std::move(path)) {
    if (path_.empty()) throw UsageError("the name of the file is empty");
    struct stat found = {};
    const bool exists = ::stat(path_.c_str(), &found) == 0;
    if (exists && S_ISDIR(found.st_mode)) throw UsageError(path_ + " is a directory");
    if (exists && !S_ISREG(found.st_mode)) {
      write_to_it();
    } else {
      follow_links();
      write_beside_it();
    }
    if (exists) replaced_ = found;
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  int descriptor() const noexcept { return descriptor_; }
  void publish() {
    if (!temporary_.empty()) {
      if (replaced_) be_like(*replaced_);
      if (::fsync(descriptor_) != 0) fail("write");
      if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename");
    }
    if (::close(std::exchange(descriptor_, -1)) != 0) fail("write");
    if (!temporary_.empty()) sync_directory();
  }

 private:
  /// It is the file that a link names which is replaced, or made, and not the link.
  void follow_links() {
    constexpr int kLinksMax = 40;  // as many as the system follows
    std::filesystem::path path = path_;
    for (int i = 0; i <= kLinksMax; ++i) {
      std::error_code no_link;
      const std::filesystem::path target = std::filesystem::read_symlink(path, no_link);
      if (no_link) {
        path_ = path;
        return;
      }
      path = path.parent_path() / target;
    }
    errno = ELOOP;
    fail("create");
  }
  void write_to_it() {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail("open");
  }
  /// Under a name that nothing has. Only its owner may read what was in the store.
  void write_beside_it() {
    temporary_ = path_ + ".XXXXXX";
    descriptor_ = ::mkostemp(temporary_.data(), O_CLOEXEC);
    if (descriptor_ >= 0) return;
    temporary_.clear();
    fail("create");
  }
  /// Only root can give a file away: what others replace becomes theirs, and stays in its group if they are in that,
  /// too. What the group was allowed is not for another one.
  void be_like(const struct stat& replaced) const {
    mode_t mode = replaced.st_mode & 0777;
    const bool same_owner = ::fchown(descriptor_, replaced.st_uid, replaced.st_gid) == 0;
    if (!same_owner && ::fchown(descriptor_, static_cast<uid_t>(-1), replaced.st_gid) != 0) mode &= ~mode_t{070};
    if (::fchmod(descriptor_, mode) != 0) fail("set the mode of");
  }
  /// Until then a power cut may take the new name back. Left out where it cannot be done: in a directory that we may
  /// not read, or on a file system that knows no such thing.
  void sync_directory() const {
    const std::string directory = std::filesystem::path(path_).parent_path();
    const int descriptor = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    const bool failed = ::fsync(descriptor) != 0 && errno != EINVAL;
    const int error = errno;
    ::close(descriptor);
    errno = error;
    if (failed) fail("sync the directory of");
  }
  [[noreturn]] void fail(const char* what) const {
    const int error = errno;
    throw OutputError(error,
                      std::string("cannot ") + what + " " + path_ + ": " + std::generic_category().message(error));
  }

  std::string path_;
  std::string temporary_ = {};  ///< empty: `path_` itself is written to
  std::optional<struct stat> replaced_ = {};
  int descriptor_ = -1;
};

std::uint64_t export_entries(const Store& store, const std::string& name, Output& output, Progress& progress,
                             std::uint64_t done) {
  for (const Entry& entry : store.entries({.limit = kPageEntries})) {
    stop_when_interrupted();
    output.json(json_of_entry(entry, name, true));
    ++done;
    progress.update(done, done);
  }
  return done;
}

std::uint64_t export_store(Call& call, Output& output) {
  const Store root = call.session.store(Access::read);
  Progress progress("exported", root);
  if (call.settings.name_space) {
    return export_entries(call.store(Access::read), {}, output, progress, 0);
  }
  std::uint64_t done = export_entries(root, {}, output, progress, 0);
  for (const std::string& name : root.namespaces()) {
    done = export_entries(root.with_namespace(name), name, output, progress, done);
  }
  return done;
}

}  // namespace

Action add_export(Arguments& arguments) {
  const auto path = std::make_shared<std::optional<std::string>>();
  arguments.word("FILE", *path,
                 "The file, which is replaced when the new one is whole; pipes and devices are written to (default: "
                 "standard output). With --namespace: the entries of "
                 "that one, without its name");
  return [path](Call& call) {
    if (!*path || **path == "-") {
      export_store(call, call.output);
      return ExitCode::done;
    }
    Target target(**path);
    Output output(target.descriptor(), **path);
    const std::uint64_t count = export_store(call, output);
    output.flush();
    target.publish();
    if (call.settings.json) {
      call.output.json({{"exported", count}});
    } else {
      call.output.line(std::to_string(count));
    }
    return ExitCode::done;
  };
}

}  // namespace tuskv::cli
