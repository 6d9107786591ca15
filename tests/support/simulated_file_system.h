// The file-system seam over a disk in memory, for tests that lose power, fail calls and stop the world. Deterministic:
// the same calls, seeds and settings give the same bytes. What survives a crash, and why, stands in simulated_disk.h.
//
//   SimulatedFileSystem disk;
//   disk.stop_at({.operation = 17});          // the 17th mutating call, and every call after it, fails and does
//   nothing run_workload(disk);                       // against os::FileSystem auto after =
//   disk.crash(CrashMode::torn_512, seed); check_what_survived(*after);
//
// crash() may be called again and again on one stopped disk, each time for another state, and crash_image() on a
// running one: both are far cheaper than running the workload anew. Every handle and lock must be destroyed before its
// file system.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "os/file_system.h"
#include "os/mutex.h"
#include "os/system_status.h"
#include "support/random.h"
#include "support/simulated_disk.h"

namespace tuskv::test {

enum class Operation {
  open,
  create,
  read,
  write,
  sync,
  allocate,
  truncate,
  size,
  kind,
  list,
  make_directory,
  rename,
  link,
  remove_file,
  remove_directory,
  sync_directory,
  free_bytes,
  lock,
  lock_shared,
};
constexpr std::size_t kOperationCount = static_cast<std::size_t>(Operation::lock_shared) + 1;

/// The verb that error messages of the operation begin with.
std::string_view to_string(Operation operation);
/// Whether it can change the disk (syncs and lock() count).
bool mutates(Operation operation);

/// What a sync that goes wrong does to the unsynced bytes of its file.
enum class SyncFailure {
  keeps_new_content,    ///< they stay readable until the cache is dropped, and are never durable (ext4, XFS)
  returns_old_content,  ///< reads show the old bytes at once (Btrfs)
  reported_late,        ///< the sync succeeds, they are never durable, and the next sync of the file fails (ext4,
                        ///< data=journal)
  lies,                 ///< the sync succeeds and does nothing; for a directory too
};

/// One planned failure. Several may be planned at once; the first that applies wins.
struct Fault {
  std::optional<Operation> operation = std::nullopt;  ///< any when empty
  std::string path_contains = {};
  std::uint64_t nth = 1;        ///< which of the calls that match, from now on
  bool for_ever = false;        ///< and all matching calls after it
  int error = EIO;              ///< an errno value
  bool partly_written = false;  ///< a failing write first puts down a random part of its bytes
  bool is_done = false;         ///< a failing rename has happened all the same, as where only the answer was lost
  SyncFailure sync_failure = SyncFailure::keeps_new_content;
};

struct StopPoint {
  std::uint64_t operation = 0;  ///< the counted call (from 1) that no longer happens
  bool partly_written = false;  ///< if it is a write, a random part of its bytes is put down
};

struct SimulatedFileSystemOptions {
  std::uint64_t seed = 0;
  std::uint64_t capacity_bytes = std::uint64_t{1} << 40U;
  bool counts_every_call = false;  ///< operation_count() and stop_at() count reads too, not only what mutates
};

/// Thread-safe.
class SimulatedFileSystem final : public os::FileSystem {
 public:
  using Options = SimulatedFileSystemOptions;
  /// Called before the operation, outside every lock: it may wait, and may look at this file system.
  using Hook = std::function<void(Operation, const std::string& path)>;

  SimulatedFileSystem();
  explicit SimulatedFileSystem(const Options& options);
  SimulatedFileSystem(const Options& options, SimulatedDisk disk);
  ~SimulatedFileSystem() override;

  Result<std::unique_ptr<os::File>> open(const std::string& path, os::OpenMode mode) override;
  Result<os::FileKind> kind(const std::string& path) override;
  Result<std::vector<os::DirectoryEntry>> list(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status link(const std::string& from, const std::string& to) override;
  Status remove_file(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::uint64_t> free_bytes(const std::string& path) override;
  Result<bool> is_writable(const std::string& directory) override;
  Result<std::unique_ptr<os::DirectoryLock>> lock(const std::string& directory) override;
  Result<std::unique_ptr<os::DirectoryLock>> lock_shared(const std::string& directory) override;

  // The end of the world
  /// Stops this file system for good (every later call on it, also through its handles, fails) and returns the disk as
  /// the next process finds it: unlocked, with the same options, its count at 0, no faults, no hook.
  std::unique_ptr<SimulatedFileSystem> crash(CrashMode mode, std::uint64_t seed);
  /// The same without stopping this one.
  std::unique_ptr<SimulatedFileSystem> crash_image(CrashMode mode, std::uint64_t seed) const;
  void stop();
  void stop_at(StopPoint point);
  bool stopped() const;

  // Faults
  void inject(Fault fault);
  void clear_faults();
  /// How many calls failed, or lied, by plan: a test of a fault that was never met tests nothing.
  std::uint64_t faults_met() const;
  /// Path of the last such call, empty when there was none. A hook cannot tell: calls of other threads may come between
  /// it and its operation.
  std::string fault_path() const;
  void set_capacity(std::uint64_t capacity_bytes);
  /// As a medium that cannot be written: whatever mutates fails with EROFS.
  void set_read_only(bool read_only);
  void set_hook(Hook hook);

  // Counts
  std::uint64_t operation_count() const;
  std::uint64_t count(Operation operation) const;
  /// Syncs of the file that was opened by this path, the failed ones too.
  std::uint64_t sync_count(const std::string& path) const;
  /// The last operations, a line each, for the message of a failed test.
  std::string trace() const;

  // The disk seen and changed from outside, uncounted, also when stopped. What is planted or damaged is durable at
  // once, with the unsynced bytes of that file.
  /// Path without leading slash → what reads return.
  std::map<std::string, std::string> contents() const;
  bool is_locked(const std::string& directory) const;
  /// Nothing when there is no such file.
  std::optional<std::string> content(const std::string& path) const;
  /// Creates or replaces; makes missing directories.
  void put(const std::string& path, std::string_view bytes);
  void put_symbolic_link(const std::string& path);
  /// False when the file has no such bit.
  bool flip_bit(const std::string& path, std::uint64_t bit);
  bool overwrite(const std::string& path, std::uint64_t offset, std::string_view bytes);
  bool truncate_to(const std::string& path, std::uint64_t size);
  /// A file, or a directory with all in it.
  bool remove(const std::string& path);
  bool copy_tree(const std::string& from, const std::string& to);
  /// Everything written so far survives a power loss.
  void make_all_durable();

 private:
  friend class SimulatedFile;
  friend class SimulatedLock;
  using Node = SimulatedDisk::Node;
  using NodePointer = SimulatedDisk::NodePointer;

  struct Call {
    Operation operation = Operation::open;
    const std::string& path;
    std::optional<std::uint64_t> offset = std::nullopt;
    std::string_view target = {};
    std::uint64_t size = 0;  ///< bytes of a read or write, for the trace
  };
  /// What the plan says about a call.
  struct Verdict {
    bool stopped = false;
    bool partly_written = false;
    std::optional<Fault> fault = std::nullopt;

    bool refuses() const { return stopped || fault.has_value(); }
  };
  struct PlannedFault {
    Fault fault;
    std::uint64_t matched = 0;
  };
  struct TraceLine {
    std::uint64_t number = 0;
    Operation operation = Operation::open;
    std::string path = {};
    std::string target = {};
    std::optional<std::uint64_t> offset = std::nullopt;
    std::uint64_t size = 0;
    std::string outcome = {};
  };

  void run_hook(Operation operation, const std::string& path) const TUSKV_EXCLUDES(mutex_);
  /// Counts the call and asks the plan.
  Verdict judge(const Call& call) TUSKV_REQUIRES(mutex_);
  std::optional<Fault> find_fault(const Call& call) TUSKV_REQUIRES(mutex_);
  Status refusal(const Call& call, const Verdict& verdict) TUSKV_REQUIRES(mutex_);
  /// Completes the trace line; a Status for an errno value.
  Status finish(const Call& call, int error) TUSKV_REQUIRES(mutex_);
  int lock_directory(const std::string& directory, NodePointer* locked) TUSKV_REQUIRES(mutex_);
  int share_directory(const std::string& directory, NodePointer* locked) TUSKV_REQUIRES(mutex_);
  Result<std::unique_ptr<os::DirectoryLock>> finish_lock(const Call& call, const std::string& directory,
                                                         const NodePointer& locked, int error) TUSKV_REQUIRES(mutex_);
  NodePointer find_file(const std::string& path) const TUSKV_REQUIRES(mutex_);
  /// The directories above `path` too. Null when something else is in the way.
  NodePointer make_file(const std::string& path) TUSKV_REQUIRES(mutex_);
  void make_parents(const std::string& path) TUSKV_REQUIRES(mutex_);

  // For handles
  Result<std::size_t> read(const Call& call, const Node& file, char* buffer) TUSKV_EXCLUDES(mutex_);
  Status write(const Call& call, Node& file, std::string_view bytes, bool writable) TUSKV_EXCLUDES(mutex_);
  Status sync(const Call& call, Node& file) TUSKV_EXCLUDES(mutex_);
  int fail_sync(Node& file, const Fault& fault) TUSKV_REQUIRES(mutex_);
  Result<bool> allocate(const Call& call, Node& file, bool writable) TUSKV_EXCLUDES(mutex_);
  Status truncate(const Call& call, Node& file, bool writable) TUSKV_EXCLUDES(mutex_);
  Result<std::uint64_t> file_size(const Call& call, const Node& file) TUSKV_EXCLUDES(mutex_);
  void drop_cached_pages(Node& file) TUSKV_EXCLUDES(mutex_);
  void close(Node& file) TUSKV_EXCLUDES(mutex_);
  void unlock(Node& directory, bool is_shared) TUSKV_EXCLUDES(mutex_);

  const Options options_;
  mutable os::Mutex mutex_;
  SimulatedDisk disk_ TUSKV_GUARDED_BY(mutex_);
  Random random_ TUSKV_GUARDED_BY(mutex_);
  std::shared_ptr<const Hook> hook_ TUSKV_GUARDED_BY(mutex_);
  bool stopped_ TUSKV_GUARDED_BY(mutex_) = false;
  bool read_only_ TUSKV_GUARDED_BY(mutex_) = false;
  std::optional<StopPoint> stop_point_ TUSKV_GUARDED_BY(mutex_);
  std::vector<PlannedFault> faults_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t faults_met_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::string fault_path_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t operation_count_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::array<std::uint64_t, kOperationCount> counts_ TUSKV_GUARDED_BY(mutex_) = {};
  std::map<std::string, std::uint64_t> sync_counts_ TUSKV_GUARDED_BY(mutex_);
  std::deque<TraceLine> trace_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::test
