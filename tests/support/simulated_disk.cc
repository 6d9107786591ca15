#include "support/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <unordered_map>

namespace tuskv::test {
namespace {

/// Keeps a wild offset from filling the memory of the machine.
constexpr std::uint64_t kMaxFileSize = std::uint64_t{1} << 32U;

}  // namespace

void SimulatedContent::write(std::uint64_t offset, std::string_view written) {
  const std::uint64_t end = offset + written.size();
  if (bytes.size() < end) bytes.resize(end, '\0');
  bytes.replace(offset, written.size(), written);
  size = std::max(size, end);
}

void SimulatedContent::resize(std::uint64_t new_size) {
  if (bytes.size() > new_size) bytes.resize(new_size);
  size = new_size;
}

void SimulatedContent::grow(std::uint64_t least_size) { size = std::max(size, least_size); }

std::size_t SimulatedContent::read(std::uint64_t offset, char* buffer, std::size_t wanted) const {
  if (offset >= size) return 0;
  const auto got = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, size - offset));
  std::size_t stored = 0;
  if (offset < bytes.size()) stored = bytes.copy(buffer, got, offset);
  std::fill(buffer + stored, buffer + got, '\0');
  return got;
}

std::string SimulatedContent::whole() const {
  std::string all = bytes;
  all.resize(size, '\0');
  return all;
}

void ContentChange::apply_to(SimulatedContent& content) const {
  switch (kind) {
    case Kind::write: return content.write(offset, bytes);
    case Kind::resize: return content.resize(offset);
    case Kind::grow: return content.grow(offset);
  }
}

SimulatedDisk::SimulatedDisk(std::uint64_t capacity_bytes)
    : capacity_bytes_(capacity_bytes), root_(std::make_shared<Node>()) {
  root_->kind = os::FileKind::directory;
}

int SimulatedDisk::resolve(std::string_view path, Place* place) const {
  place->trail = {root_};
  place->node = root_;
  place->name.clear();
  bool below_current = false;  // node is an entry of trail.back(), not trail.back() itself
  while (!path.empty()) {
    const std::size_t length = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, length);
    path.remove_prefix(std::min(length + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (below_current) {
      if (!place->node) return ENOENT;
      if (place->node->kind != os::FileKind::directory) return ENOTDIR;
      place->trail.push_back(place->node);
    }
    below_current = part != "..";
    if (below_current) {
      const auto& entries = place->trail.back()->entries;
      const auto found = entries.find(part);
      place->node = found == entries.end() ? nullptr : found->second;
      place->name = part;
    } else {
      if (place->trail.size() > 1) place->trail.pop_back();
      place->node = place->trail.back();
      place->name.clear();
    }
  }
  return 0;
}

int SimulatedDisk::resolve_new(std::string_view path, Place* place) const {
  if (const int error = resolve(path, place); error != 0) return error;
  return place->node ? EEXIST : 0;
}

int SimulatedDisk::find(std::string_view path, NodePointer* found) const {
  Place place;
  if (const int error = resolve(path, &place); error != 0) return error;
  *found = place.node;
  return place.node ? 0 : ENOENT;
}

int SimulatedDisk::add(std::string_view path, os::FileKind kind, NodePointer* added) {
  Place place;
  if (const int error = resolve_new(path, &place); error != 0) return error;
  *added = std::make_shared<Node>();
  (*added)->kind = kind;
  record({{.directory = place.trail.back(), .name = place.name, .node = *added}});
  return 0;
}

int SimulatedDisk::create_file(std::string_view path, NodePointer* created) {
  return add(path, os::FileKind::file, created);
}

int SimulatedDisk::make_directory(std::string_view path) {
  NodePointer made;
  return add(path, os::FileKind::directory, &made);
}

int SimulatedDisk::make_symbolic_link(std::string_view path) {
  NodePointer made;
  return add(path, os::FileKind::other, &made);
}

// The order of the checks is the kernel's, since it decides which error a caller sees.
int SimulatedDisk::check_rename(const Place& from, const Place& to) {
  if (from.name.empty() || to.name.empty()) return EBUSY;
  if (!from.node) return ENOENT;
  const auto holds = [](const std::vector<NodePointer>& trail, const NodePointer& node) {
    return node && std::find(trail.begin(), trail.end(), node) != trail.end();
  };
  if (holds(to.trail, from.node)) return EINVAL;
  if (holds(from.trail, to.node)) return ENOTEMPTY;
  if (!to.node || to.node == from.node) return 0;
  const bool directory = from.node->kind == os::FileKind::directory;
  const bool onto_directory = to.node->kind == os::FileKind::directory;
  if (directory && !onto_directory) return ENOTDIR;
  if (!directory && onto_directory) return EISDIR;
  return to.node->entries.empty() ? 0 : ENOTEMPTY;
}

int SimulatedDisk::rename(std::string_view from, std::string_view to) {
  Place source;
  Place target;
  if (const int error = resolve(from, &source); error != 0) return error;
  if (const int error = resolve(to, &target); error != 0) return error;
  if (const int error = check_rename(source, target); error != 0) return error;
  if (source.node == target.node) return 0;  // two names of one file both stay, by POSIX
  record({{.directory = source.trail.back(), .name = source.name, .node = nullptr},
          {.directory = target.trail.back(), .name = target.name, .node = source.node}});
  return 0;
}

int SimulatedDisk::link(std::string_view from, std::string_view to) {
  NodePointer node;
  Place place;
  if (const int error = find(from, &node); error != 0) return error;
  if (const int error = resolve_new(to, &place); error != 0) return error;
  if (node->kind == os::FileKind::directory) return EPERM;
  record({{.directory = place.trail.back(), .name = place.name, .node = node}});
  return 0;
}

int SimulatedDisk::remove_file(std::string_view path) {
  Place place;
  if (const int error = resolve(path, &place); error != 0) return error;
  if (!place.node) return ENOENT;
  if (place.node->kind == os::FileKind::directory) return EISDIR;
  record({{.directory = place.trail.back(), .name = place.name, .node = nullptr}});
  return 0;
}

int SimulatedDisk::remove_directory(std::string_view path) {
  Place place;
  if (const int error = resolve(path, &place); error != 0) return error;
  if (!place.node) return ENOENT;
  if (place.node->kind != os::FileKind::directory) return ENOTDIR;
  if (!place.node->entries.empty()) return ENOTEMPTY;
  if (place.name.empty()) return EBUSY;
  record({{.directory = place.trail.back(), .name = place.name, .node = nullptr}});
  return 0;
}

void SimulatedDisk::record(std::vector<Edit> edits) {
  for (const Edit& edit : edits) {
    NodePointer& entry = edit.directory->entries[edit.name];
    const NodePointer before = entry;  // held while its last name goes
    entry = edit.node;
    if (edit.node) ++edit.node->names;
    if (before) take_name(*before);
    if (!edit.node) edit.directory->entries.erase(edit.name);
  }
  directory_changes_.push_back({.sequence = next_sequence_++, .edits = std::move(edits)});
}

void SimulatedDisk::take_name(Node& node) {
  if (--node.names == 0 && node.handles == 0) set_space(node, 0);
}

void SimulatedDisk::close(Node& file) {
  if (--file.handles == 0 && file.names == 0) set_space(file, 0);
}

void SimulatedDisk::make_durable(const DirectoryChange& change) {
  for (const Edit& edit : change.edits) {
    if (edit.node) edit.directory->durable_entries[edit.name] = edit.node;
    if (!edit.node) edit.directory->durable_entries.erase(edit.name);
  }
}

int SimulatedDisk::sync_directory(std::string_view path) {
  NodePointer directory;
  if (const int error = find(path, &directory); error != 0) return error;
  if (directory->kind != os::FileKind::directory) return ENOTDIR;
  // Backwards, since a rename between directories drags along what came before it in the other one.
  std::unordered_map<const Node*, std::uint64_t> durable_below{{directory.get(), next_sequence_}};
  std::vector<bool> durable(directory_changes_.size(), false);
  for (std::size_t i = directory_changes_.size(); i-- > 0;) {
    const DirectoryChange& change = directory_changes_[i];
    for (const Edit& edit : change.edits)
      durable[i] = durable[i] || durable_below[edit.directory.get()] > change.sequence;
    if (!durable[i]) continue;
    for (const Edit& edit : change.edits) {
      std::uint64_t& below = durable_below[edit.directory.get()];
      below = std::max(below, change.sequence + 1);
    }
  }
  std::vector<DirectoryChange> left;
  for (std::size_t i = 0; i < directory_changes_.size(); ++i) {
    DirectoryChange& change = directory_changes_[i];
    if (!durable[i]) {
      left.push_back(std::move(change));
      continue;
    }
    make_durable(change);
  }
  directory_changes_ = std::move(left);
  return 0;
}

void SimulatedDisk::set_space(Node& file, std::uint64_t space) {
  used_bytes_ = used_bytes_ - file.space + space;
  file.space = space;
}

int SimulatedDisk::reserve(Node& file, std::uint64_t end) {
  if (end > kMaxFileSize) return EFBIG;
  if (end <= file.space) return 0;
  if (end - file.space > capacity_bytes_ - std::min(capacity_bytes_, used_bytes_)) return ENOSPC;
  set_space(file, end);
  return 0;
}

void SimulatedDisk::change(Node& file, ContentChange change) {
  change.sequence = next_sequence_++;
  change.apply_to(file.visible);
  file.changes.push_back(std::move(change));
}

int SimulatedDisk::write(Node& file, std::uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return 0;
  if (offset > kMaxFileSize) return EFBIG;
  const int error = reserve(file, offset + bytes.size());
  if (error == ENOSPC) {
    const std::uint64_t end = file.space + (capacity_bytes_ - std::min(capacity_bytes_, used_bytes_));
    bytes = bytes.substr(0, end > offset ? end - offset : 0);
    if (!bytes.empty()) set_space(file, std::max(file.space, offset + bytes.size()));
  }
  if (error == EFBIG || bytes.empty()) return error;
  change(file, {.kind = ContentChange::Kind::write, .offset = offset, .bytes = std::string(bytes)});
  return error;
}

int SimulatedDisk::resize(Node& file, std::uint64_t size) {
  if (size > kMaxFileSize) return EFBIG;
  set_space(file, std::min(file.space, size));
  change(file, {.kind = ContentChange::Kind::resize, .offset = size});
  return 0;
}

int SimulatedDisk::allocate(Node& file, std::uint64_t size) {
  if (const int error = reserve(file, size); error != 0) return error;
  change(file, {.kind = ContentChange::Kind::grow, .offset = size});
  return 0;
}

void SimulatedDisk::sync(Node& file) {
  for (const ContentChange& change : file.changes) change.apply_to(file.durable);
  file.changes.clear();
}

void SimulatedDisk::lose_changes(Node& file) {
  // The size lives in the inode, not in the lost pages: a later sync may still write it.
  for (ContentChange& change : file.changes) {
    if (change.kind != ContentChange::Kind::write) continue;
    change = {.sequence = change.sequence, .kind = ContentChange::Kind::grow, .offset = change.end()};
  }
  file.lost_a_sync = true;
}

void SimulatedDisk::drop_cache(Node& file) {
  if (!file.lost_a_sync) return;
  file.visible = file.durable;
  for (const ContentChange& change : file.changes) change.apply_to(file.visible);
  file.lost_a_sync = false;
}

void SimulatedDisk::plant(Node& file, SimulatedContent content) {
  file.changes.clear();
  file.visible = content;
  file.durable = std::move(content);
  set_space(file, file.durable.size);
}

void SimulatedDisk::make_all_durable() {
  for (const DirectoryChange& change : directory_changes_) make_durable(change);
  directory_changes_.clear();
  std::vector<NodePointer> waiting{root_};
  while (!waiting.empty()) {
    const NodePointer node = waiting.back();
    waiting.pop_back();
    sync(*node);
    for (const auto& [name, child] : node->entries) waiting.push_back(child);
  }
}

}  // namespace tuskv::test
