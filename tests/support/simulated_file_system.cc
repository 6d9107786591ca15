#include "support/simulated_file_system.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace tuskv::test {
namespace {

constexpr std::size_t kTraceLines = 200;
constexpr std::string_view kLockName = "LOCK";
constexpr std::string_view kVerbs[kOperationCount] = {"open",
                                                      "create",
                                                      "read",
                                                      "write",
                                                      "sync",
                                                      "allocate",
                                                      "truncate",
                                                      "examine",
                                                      "examine",
                                                      "list",
                                                      "make directory",
                                                      "rename",
                                                      "link",
                                                      "remove",
                                                      "remove directory",
                                                      "sync directory",
                                                      "examine free space of",
                                                      "lock",
                                                      "lock"};

}  // namespace

std::string_view to_string(Operation operation) { return kVerbs[static_cast<std::size_t>(operation)]; }

bool mutates(Operation operation) {
  switch (operation) {
    case Operation::open:
    case Operation::read:
    case Operation::size:
    case Operation::kind:
    case Operation::list:
    case Operation::free_bytes:
    case Operation::lock_shared: return false;
    default: return true;
  }
}

class SimulatedFile final : public os::File {
 public:
  SimulatedFile(std::string path, SimulatedFileSystem* system, SimulatedNodePointer node, bool writable)
      : File(std::move(path)), system_(system), node_(std::move(node)), writable_(writable) {}
  ~SimulatedFile() override { system_->close(*node_); }

  Result<std::size_t> read_at(std::uint64_t offset, char* buffer, std::size_t size) const override {
    return system_->read({.operation = Operation::read, .path = path(), .offset = offset, .size = size}, *node_,
                         buffer);
  }
  Status write_at(std::uint64_t offset, std::string_view bytes) override {
    const std::uint64_t size = bytes.size();
    return system_->write({.operation = Operation::write, .path = path(), .offset = offset, .size = size}, *node_,
                          bytes, writable_);
  }
  Status sync() override { return system_->sync({.operation = Operation::sync, .path = path()}, *node_); }
  Result<bool> allocate(std::uint64_t size) override {
    return system_->allocate({.operation = Operation::allocate, .path = path(), .offset = size}, *node_, writable_);
  }
  Status truncate(std::uint64_t size) override {
    return system_->truncate({.operation = Operation::truncate, .path = path(), .offset = size}, *node_, writable_);
  }
  Result<std::uint64_t> size() const override {
    return system_->file_size({.operation = Operation::size, .path = path()}, *node_);
  }
  void drop_cached_pages() override { system_->drop_cached_pages(*node_); }

 private:
  SimulatedFileSystem* system_;
  SimulatedNodePointer node_;
  bool writable_;
};

class SimulatedLock final : public os::DirectoryLock {
 public:
  SimulatedLock(SimulatedFileSystem* system, SimulatedNodePointer directory, bool is_shared)
      : system_(system), directory_(std::move(directory)), is_shared_(is_shared) {}
  ~SimulatedLock() override { system_->unlock(*directory_, is_shared_); }

 private:
  SimulatedFileSystem* system_;
  SimulatedNodePointer directory_;
  bool is_shared_;
};

SimulatedFileSystem::SimulatedFileSystem() : SimulatedFileSystem(Options{}) {}

SimulatedFileSystem::SimulatedFileSystem(const Options& options)
    : SimulatedFileSystem(options, SimulatedDisk(options.capacity_bytes)) {}

SimulatedFileSystem::SimulatedFileSystem(const Options& options, SimulatedDisk disk)
    : options_(options), disk_(std::move(disk)), random_(options.seed) {}

SimulatedFileSystem::~SimulatedFileSystem() = default;

// Every operation: hook, lock, judge, then refuse or do.

void SimulatedFileSystem::run_hook(Operation operation, const std::string& path) const {
  std::shared_ptr<const Hook> hook;
  {
    os::MutexLock lock(mutex_);
    hook = hook_;
  }
  if (hook) (*hook)(operation, path);
}

SimulatedFileSystem::Verdict SimulatedFileSystem::judge(const Call& call) {
  Verdict verdict;
  const bool counted = options_.counts_every_call || mutates(call.operation);
  if (!stopped_) {
    ++counts_[static_cast<std::size_t>(call.operation)];
    if (counted) ++operation_count_;
    if (counted && stop_point_ && operation_count_ >= stop_point_->operation) {
      stopped_ = true;
      verdict.partly_written = stop_point_->partly_written;
    }
  }
  if (trace_.size() == kTraceLines) trace_.pop_front();
  trace_.push_back({.number = operation_count_,
                    .operation = call.operation,
                    .path = call.path,
                    .target = std::string(call.target),
                    .offset = call.offset,
                    .size = call.size});
  verdict.stopped = stopped_;
  if (!stopped_) verdict.fault = find_fault(call);
  if (read_only_ && mutates(call.operation)) verdict.fault = Fault{.error = EROFS};
  if (verdict.fault) verdict.partly_written = verdict.fault->partly_written;
  return verdict;
}

std::optional<Fault> SimulatedFileSystem::find_fault(const Call& call) {
  std::optional<Fault> found;
  for (PlannedFault& planned : faults_) {
    const Fault& fault = planned.fault;
    if (fault.operation && *fault.operation != call.operation) continue;
    if (!fault.path_contains.empty() && call.path.find(fault.path_contains) == std::string::npos &&
        call.target.find(fault.path_contains) == std::string_view::npos)
      continue;
    ++planned.matched;
    const bool applies = planned.matched == fault.nth || (fault.for_ever && planned.matched > fault.nth);
    if (applies && !found) found = fault;
  }
  if (found) {
    ++faults_met_;
    fault_path_ = call.path;
  }
  return found;
}

Status SimulatedFileSystem::refusal(const Call& call, const Verdict& verdict) {
  if (!verdict.stopped) return finish(call, verdict.fault->error);
  trace_.back().outcome = "stopped";
  return Status(Code::Io, std::string(to_string(call.operation)) + " " + call.path + ": stopped");
}

Status SimulatedFileSystem::finish(const Call& call, int error) {
  if (error == 0) return {};
  Status status = os::system_status(
      error, {.operation = to_string(call.operation), .path = call.path, .offset = call.offset, .target = call.target});
  trace_.back().outcome = status.failure().message;
  return status;
}

Result<std::unique_ptr<os::File>> SimulatedFileSystem::open(const std::string& path, os::OpenMode mode) {
  const bool creating = mode == os::OpenMode::create;
  const Call call{.operation = creating ? Operation::create : Operation::open, .path = path};
  run_hook(call.operation, path);
  NodePointer node;
  {
    os::MutexLock lock(mutex_);
    if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
    int error = creating ? disk_.create_file(path, &node) : disk_.find(path, &node);
    if (error == 0 && node->kind == os::FileKind::directory) error = EISDIR;
    if (error == 0 && node->kind == os::FileKind::other) error = ELOOP;
    if (error == 0 && read_only_ && mode == os::OpenMode::read_write) error = EROFS;
    if (error != 0) return finish(call, error);
    ++node->handles;
  }
  const bool writable = mode != os::OpenMode::read;
  return std::unique_ptr<os::File>(std::make_unique<SimulatedFile>(path, this, std::move(node), writable));
}

Result<os::FileKind> SimulatedFileSystem::kind(const std::string& path) {
  const Call call{.operation = Operation::kind, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  NodePointer node;
  const int error = disk_.find(path, &node);
  if (error == ENOENT) return os::FileKind::missing;
  if (error != 0) return finish(call, error);
  return node->kind;
}

Result<std::vector<os::DirectoryEntry>> SimulatedFileSystem::list(const std::string& path) {
  const Call call{.operation = Operation::list, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  NodePointer node;
  int error = disk_.find(path, &node);
  if (error == 0 && node->kind != os::FileKind::directory) error = ENOTDIR;
  if (error != 0) return finish(call, error);
  std::vector<os::DirectoryEntry> entries;
  for (const auto& [name, child] : node->entries) entries.push_back({.name = name, .kind = child->kind});
  return entries;
}

Status SimulatedFileSystem::make_directory(const std::string& path) {
  const Call call{.operation = Operation::make_directory, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  return finish(call, disk_.make_directory(path));
}

Status SimulatedFileSystem::rename(const std::string& from, const std::string& to) {
  const Call call{.operation = Operation::rename, .path = from, .target = to};
  run_hook(call.operation, from);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) {
    if (!verdict.stopped && verdict.fault->is_done) static_cast<void>(disk_.rename(from, to));
    return refusal(call, verdict);
  }
  return finish(call, disk_.rename(from, to));
}

Status SimulatedFileSystem::link(const std::string& from, const std::string& to) {
  const Call call{.operation = Operation::link, .path = from, .target = to};
  run_hook(call.operation, from);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  return finish(call, disk_.link(from, to));
}

Status SimulatedFileSystem::remove_file(const std::string& path) {
  const Call call{.operation = Operation::remove_file, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  return finish(call, disk_.remove_file(path));
}

Status SimulatedFileSystem::remove_directory(const std::string& path) {
  const Call call{.operation = Operation::remove_directory, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  return finish(call, disk_.remove_directory(path));
}

Status SimulatedFileSystem::sync_directory(const std::string& path) {
  const Call call{.operation = Operation::sync_directory, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  const Verdict verdict = judge(call);
  if (verdict.fault && verdict.fault->sync_failure == SyncFailure::lies) return {};
  if (verdict.refuses()) return refusal(call, verdict);
  return finish(call, disk_.sync_directory(path));
}

Result<std::uint64_t> SimulatedFileSystem::free_bytes(const std::string& path) {
  const Call call{.operation = Operation::free_bytes, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  NodePointer node;
  if (const int error = disk_.find(path, &node); error != 0) return finish(call, error);
  return disk_.capacity_bytes() - std::min(disk_.capacity_bytes(), disk_.used_bytes());
}

Result<bool> SimulatedFileSystem::is_writable(const std::string& directory) {
  const Call call{.operation = Operation::kind, .path = directory};
  run_hook(call.operation, directory);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  NodePointer node;
  if (const int error = disk_.find(directory, &node); error != 0) return finish(call, error);
  return !read_only_;
}

Result<std::unique_ptr<os::DirectoryLock>> SimulatedFileSystem::lock(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kLockName);
  const Call call{.operation = Operation::lock, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  NodePointer node;
  const int error = lock_directory(directory, &node);
  return finish_lock(call, directory, node, error);
}

Result<std::unique_ptr<os::DirectoryLock>> SimulatedFileSystem::lock_shared(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kLockName);
  const Call call{.operation = Operation::lock_shared, .path = path};
  run_hook(call.operation, path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  NodePointer node;
  const int error = share_directory(directory, &node);
  return finish_lock(call, directory, node, error);
}

Result<std::unique_ptr<os::DirectoryLock>> SimulatedFileSystem::finish_lock(const Call& call,
                                                                            const std::string& directory,
                                                                            const NodePointer& locked, int error) {
  if (error == EWOULDBLOCK) {
    trace_.back().outcome = "busy";
    if (!locked->locked) return Status(Code::Busy, directory + " is being read, such as by tuskv check");
    return Status(Code::Busy, directory + " is open in process " + std::to_string(::getpid()) + " (this one)");
  }
  if (error != 0) return finish(call, error);
  const bool is_shared = call.operation == Operation::lock_shared;
  return std::unique_ptr<os::DirectoryLock>(std::make_unique<SimulatedLock>(this, locked, is_shared));
}

int SimulatedFileSystem::lock_directory(const std::string& directory, NodePointer* locked) {
  if (const int error = disk_.find(directory, locked); error != 0) return error;
  if ((*locked)->kind != os::FileKind::directory) return ENOTDIR;
  if ((*locked)->locked || (*locked)->readers != 0) return EWOULDBLOCK;
  const std::string path = directory + "/" + std::string(kLockName);
  NodePointer file;
  int error = disk_.find(path, &file);
  if (error == ENOENT) error = disk_.create_file(path, &file);
  if (error != 0) return error;
  if (file->kind == os::FileKind::directory) return EISDIR;
  if (file->kind == os::FileKind::other) return ELOOP;
  (*locked)->locked = true;
  // As with real files, a full disk does not keep anyone from locking; only the pid is missing then.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (disk_.write(*file, 0, pid) == 0) return disk_.resize(*file, pid.size());
  return disk_.resize(*file, 0);
}

int SimulatedFileSystem::share_directory(const std::string& directory, NodePointer* locked) {
  if (const int error = disk_.find(directory, locked); error != 0) return error;
  if ((*locked)->kind != os::FileKind::directory) return ENOTDIR;
  if ((*locked)->locked) return EWOULDBLOCK;
  ++(*locked)->readers;
  return 0;
}

void SimulatedFileSystem::unlock(Node& directory, bool is_shared) {
  os::MutexLock lock(mutex_);
  if (is_shared) {
    --directory.readers;
  } else {
    directory.locked = false;
  }
}

// Handles

Result<std::size_t> SimulatedFileSystem::read(const Call& call, const Node& file, char* buffer) {
  run_hook(call.operation, call.path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  return file.visible.read(*call.offset, buffer, static_cast<std::size_t>(call.size));
}

Status SimulatedFileSystem::write(const Call& call, Node& file, std::string_view bytes, bool writable) {
  run_hook(call.operation, call.path);
  os::MutexLock lock(mutex_);
  const Verdict verdict = judge(call);
  if (!verdict.refuses()) {
    if (!writable && !bytes.empty()) return finish(call, EBADF);
    return finish(call, disk_.write(file, *call.offset, bytes));
  }
  if (verdict.partly_written && writable && !bytes.empty()) {
    const int full = disk_.write(file, *call.offset, bytes.substr(0, random_.below(bytes.size() + 1)));
    if (full != 0 && !verdict.stopped) return finish(call, full);
  }
  return refusal(call, verdict);
}

Status SimulatedFileSystem::sync(const Call& call, Node& file) {
  run_hook(call.operation, call.path);
  os::MutexLock lock(mutex_);
  const Verdict verdict = judge(call);
  if (verdict.stopped) return refusal(call, verdict);
  ++sync_counts_[call.path];
  if (verdict.fault) return finish(call, fail_sync(file, *verdict.fault));
  disk_.sync(file);
  return finish(call, std::exchange(file.late_error_waits, false) ? EIO : 0);
}

int SimulatedFileSystem::fail_sync(Node& file, const Fault& fault) {
  trace_.back().outcome = "ok, but did nothing";
  switch (fault.sync_failure) {
    case SyncFailure::lies: return 0;
    case SyncFailure::reported_late:
      disk_.lose_changes(file);
      file.late_error_waits = true;
      return 0;
    case SyncFailure::keeps_new_content: disk_.lose_changes(file); return fault.error;
    case SyncFailure::returns_old_content:
      disk_.lose_changes(file);
      disk_.drop_cache(file);
      return fault.error;
  }
  return fault.error;
}

Result<bool> SimulatedFileSystem::allocate(const Call& call, Node& file, bool writable) {
  run_hook(call.operation, call.path);
  os::MutexLock lock(mutex_);
  const Verdict verdict = judge(call);
  // A planned EOPNOTSUPP is a file system that cannot reserve, which is an answer rather than a failure.
  if (verdict.fault && verdict.fault->error == EOPNOTSUPP) return false;
  if (verdict.refuses()) return refusal(call, verdict);
  if (*call.offset == 0) return true;
  const int error = writable ? disk_.allocate(file, *call.offset) : EBADF;
  if (error != 0) return finish(call, error);
  return true;
}

Status SimulatedFileSystem::truncate(const Call& call, Node& file, bool writable) {
  run_hook(call.operation, call.path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  return finish(call, writable ? disk_.resize(file, *call.offset) : EINVAL);
}

Result<std::uint64_t> SimulatedFileSystem::file_size(const Call& call, const Node& file) {
  run_hook(call.operation, call.path);
  os::MutexLock lock(mutex_);
  if (const Verdict verdict = judge(call); verdict.refuses()) return refusal(call, verdict);
  return file.visible.size;
}

void SimulatedFileSystem::drop_cached_pages(Node& file) {
  os::MutexLock lock(mutex_);
  if (!stopped_) disk_.drop_cache(file);
}

void SimulatedFileSystem::close(Node& file) {
  os::MutexLock lock(mutex_);
  disk_.close(file);
}

}  // namespace tuskv::test
