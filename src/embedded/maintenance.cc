// The public functions on directories that are not open: the operating system's files and clock, failures thrown.
#include "tuskv/maintenance.h"

#include <memory>
#include <string>
#include <string_view>

#include "embedded/maintenance.h"
#include "os/clock.h"
#include "os/file_system.h"
#include "os/followed_link.h"
#include "throw.h"

namespace tuskv {
namespace {

std::string path_of(Bytes directory) {
  if (directory.empty()) throw_refused(Code::InvalidArgument, "the directory's name is empty");
  if (directory.view().find('\0') != std::string_view::npos) {
    throw_refused(Code::InvalidArgument, "the directory's name holds a NUL byte");
  }
  return os::followed_link(std::string(directory.view()));
}

}  // namespace

inline namespace v0 {

CheckReport check(Bytes directory) {
  const auto file_system = os::make_posix_file_system();
  return value_or_throw(embedded::check_store(*file_system, path_of(directory)));
}

RepairReport repair(Bytes directory) {
  const auto file_system = os::make_posix_file_system();
  return value_or_throw(embedded::repair_store(*file_system, path_of(directory), os::SystemClock().now_us()));
}

std::vector<SnapshotInfo> list_snapshots(Bytes directory) {
  const auto file_system = os::make_posix_file_system();
  return value_or_throw(embedded::list_store_snapshots(*file_system, path_of(directory)));
}

std::size_t prune_snapshots(Bytes directory, std::size_t keep) {
  const auto file_system = os::make_posix_file_system();
  return value_or_throw(embedded::prune_store_snapshots(*file_system, path_of(directory), keep));
}

SnapshotInfo restore_snapshot(Bytes directory, std::uint64_t ordinal) {
  const auto file_system = os::make_posix_file_system();
  return value_or_throw(embedded::restore_store(*file_system, path_of(directory), ordinal, os::SystemClock().now_us()));
}

}  // namespace v0
}  // namespace tuskv
