// export: every entry as a line of JSON that import reads. Entries that change meanwhile are written as they were when
// their page was read.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

/// A file that appears under its name only when it is whole and on the disk.
class WholeFile final {
 public:
  explicit WholeFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".partial") {
    // Only its owner may read what was in the store.
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor_ < 0) fail("create");
  }
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;
  ~WholeFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }

  int descriptor() const noexcept { return descriptor_; }
  void publish() {
    if (::fsync(descriptor_) != 0) fail("write");
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename");
    ::close(std::exchange(descriptor_, -1));
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    const int error = errno;
    throw OutputError(error,
                      std::string("cannot ") + what + " " + temporary_ + ": " + std::generic_category().message(error));
  }

  std::string path_;
  std::string temporary_;
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
  Progress progress("exported", root.stats().entries);
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
  arguments.word(
      "FILE", *path,
      "The file, which appears when it is whole (default: standard output). With --namespace: the entries of "
      "that one, without its name");
  return [path](Call& call) {
    if (!*path || **path == "-") {
      export_store(call, call.output);
      return ExitCode::done;
    }
    WholeFile file(**path);
    Output output(file.descriptor(), **path);
    const std::uint64_t count = export_store(call, output);
    output.flush();
    file.publish();
    if (call.settings.json) {
      call.output.json({{"exported", count}});
    } else {
      call.output.line(std::to_string(count));
    }
    return ExitCode::done;
  };
}

}  // namespace tuskv::cli
