// A disk in memory that keeps apart what a reader sees and what a power loss leaves. Only the tree and its rules: which
// operation fails, when the world stops, locks and handles are the matter of simulated_file_system.h.
//
// The model, which is the weakest one that Linux file systems keep:
//  - A file has visible content, durable content and the ordered list of changes between them. Syncing the file makes
//  them
//    durable, its size included, but not its name.
//  - Directory changes form one list over the whole disk. Syncing a directory makes its changes durable in order. A
//  rename
//    between two directories is atomic: when one side becomes durable so does the other, with all that came before it
//    there.
//  - At a power loss any subset of the unsynced writes may have reached the disk, whole or torn. A torn unit holds its
//  new
//    bytes, its old ones, zeros or garbage; bytes that the unsynced write did not touch are never harmed. Changes of
//    one file's size survive in order (a journal keeps them so). Directory changes survive in any subset in which no
//    change survives a lost earlier one to the same name.
//  - Content ends in an implicit run of zeros, so reserving 64 MiB costs nothing.
//
// Calls return 0 or an errno value. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "os/file_system.h"
#include "support/random.h"

namespace tuskv::test {

/// What is left of the unsynced changes.
enum class CrashMode {
  process,        ///< the process died: nothing is lost, and nothing more is durable than before
  lose_unsynced,  ///< power loss: nothing unsynced survives
  keep_all,       ///< power loss just after everything had reached the disk by itself
  keep_prefix,    ///< power loss: the changes of the whole disk survive up to a random one
  keep_subset,    ///< power loss: a random subset survives, as after reordering
  torn_1,         ///< as keep_subset, and writes are torn at any byte
  torn_512,       ///< the same at multiples of 512
  torn_4096,      ///< the same at multiples of 4096
};

constexpr CrashMode kCrashModes[] = {CrashMode::process,     CrashMode::lose_unsynced, CrashMode::keep_all,
                                     CrashMode::keep_prefix, CrashMode::keep_subset,   CrashMode::torn_1,
                                     CrashMode::torn_512,    CrashMode::torn_4096};

std::string_view to_string(CrashMode mode);

/// Bytes followed by zeros up to `size`.
struct SimulatedContent {
  std::string bytes = {};
  std::uint64_t size = 0;

  void write(std::uint64_t offset, std::string_view written);
  void resize(std::uint64_t new_size);
  void grow(std::uint64_t least_size);
  std::size_t read(std::uint64_t offset, char* buffer, std::size_t wanted) const;
  /// All of it, the zeros too.
  std::string whole() const;
};

/// One unsynced change of a file.
struct ContentChange {
  enum class Kind { write, resize, grow };

  std::uint64_t sequence = 0;
  Kind kind = Kind::write;
  std::uint64_t offset = 0;  ///< of a write; otherwise the new size
  std::string bytes = {};

  void apply_to(SimulatedContent& content) const;
  std::uint64_t end() const { return offset + bytes.size(); }
};

/// A file or directory (or a symbolic link, which everything refuses).
struct SimulatedNode {
  using Entries = std::map<std::string, std::shared_ptr<SimulatedNode>, std::less<>>;

  os::FileKind kind = os::FileKind::file;
  int names = 0;            ///< visible ones
  int handles = 0;          ///< open ones
  std::uint64_t space = 0;  ///< bytes of the disk it takes
  bool locked = false;
  int readers = 0;  ///< that share the lock

  SimulatedContent visible = {};
  SimulatedContent durable = {};
  std::vector<ContentChange> changes = {};
  bool lost_a_sync = false;       ///< visible content holds bytes that will never be durable
  bool late_error_waits = false;  ///< the next sync reports the failure of an earlier one

  Entries entries = {};
  Entries durable_entries = {};
};
using SimulatedNodePointer = std::shared_ptr<SimulatedNode>;

class SimulatedDisk final {
 public:
  using Node = SimulatedNode;
  using NodePointer = SimulatedNodePointer;

  explicit SimulatedDisk(std::uint64_t capacity_bytes);
  SimulatedDisk(SimulatedDisk&&) = default;
  SimulatedDisk& operator=(SimulatedDisk&&) = default;

  /// ENOENT when nothing is there.
  int find(std::string_view path, NodePointer* found) const;
  int create_file(std::string_view path, NodePointer* created);
  int make_directory(std::string_view path);
  /// A link to nowhere, for tests of those who must refuse it.
  int make_symbolic_link(std::string_view path);
  int rename(std::string_view from, std::string_view to);
  int link(std::string_view from, std::string_view to);
  int remove_file(std::string_view path);
  int remove_directory(std::string_view path);
  int sync_directory(std::string_view path);

  /// On ENOSPC the part that fits is written.
  int write(Node& file, std::uint64_t offset, std::string_view bytes);
  int resize(Node& file, std::uint64_t size);
  int allocate(Node& file, std::uint64_t size);
  void sync(Node& file);
  /// A failed sync: the changes will never be durable by syncing again. Their bytes stay visible until the cache is
  /// dropped.
  void lose_changes(Node& file);
  /// What reads return from now on comes from the disk.
  void drop_cache(Node& file);
  void close(Node& file);

  /// Damage or preparation by the test itself: at once, visible and durable.
  void plant(Node& file, SimulatedContent content);
  void make_all_durable();

  const Node& root() const { return *root_; }
  std::uint64_t capacity_bytes() const { return capacity_bytes_; }
  void set_capacity(std::uint64_t capacity_bytes) { capacity_bytes_ = capacity_bytes; }
  std::uint64_t used_bytes() const { return used_bytes_; }

  SimulatedDisk after_crash(CrashMode mode, std::uint64_t seed) const;

 private:
  friend class CrashedCopy;

  /// Where a path leads. The root, "." and ".." have no `name`.
  struct Place {
    std::vector<NodePointer> trail = {};  ///< directories from the root to the one that holds the name
    std::string name = {};
    NodePointer node = {};
  };
  /// One name set to a node, or removed (null).
  struct Edit {
    NodePointer directory;
    std::string name;
    NodePointer node;
  };
  struct DirectoryChange {
    std::uint64_t sequence = 0;
    std::vector<Edit> edits = {};
  };

  int resolve(std::string_view path, Place* place) const;
  /// For operations that make a new name: EEXIST when it is taken.
  int resolve_new(std::string_view path, Place* place) const;
  int add(std::string_view path, os::FileKind kind, NodePointer* added);
  static int check_rename(const Place& from, const Place& to);
  void record(std::vector<Edit> edits);
  static void make_durable(const DirectoryChange& change);
  void take_name(Node& node);
  int reserve(Node& file, std::uint64_t end);
  void set_space(Node& file, std::uint64_t space);
  void change(Node& file, ContentChange change);

  std::uint64_t capacity_bytes_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t next_sequence_ = 1;
  NodePointer root_;
  std::vector<DirectoryChange> directory_changes_;
};

}  // namespace tuskv::test
