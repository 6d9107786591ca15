// The part of SimulatedFileSystem that tests use on the disk from outside: the end of the world, counts, contents and
// damage.
#include <utility>

#include "support/simulated_file_system.h"

namespace tuskv::test {
namespace {

std::string below(std::string path, std::string_view name) {
  if (!path.empty()) path += "/";
  return path.append(name);
}

/// The node and all in it, what holds something before what it holds.
std::vector<std::pair<std::string, SimulatedNodePointer>> tree(const std::string& path,
                                                               const SimulatedNodePointer& top) {
  std::vector<std::pair<std::string, SimulatedNodePointer>> found{{path, top}};
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto [parent, node] = found[i];
    for (const auto& [name, child] : node->entries) found.emplace_back(below(parent, name), child);
  }
  return found;
}

}  // namespace

std::unique_ptr<SimulatedFileSystem> SimulatedFileSystem::crash(CrashMode mode, std::uint64_t seed) {
  stop();
  return crash_image(mode, seed);
}

std::unique_ptr<SimulatedFileSystem> SimulatedFileSystem::crash_image(CrashMode mode, std::uint64_t seed) const {
  os::MutexLock lock(mutex_);
  Options options = options_;
  options.seed = seed;
  return std::make_unique<SimulatedFileSystem>(options, disk_.after_crash(mode, seed));
}

void SimulatedFileSystem::stop() {
  os::MutexLock lock(mutex_);
  stopped_ = true;
}

void SimulatedFileSystem::stop_at(StopPoint point) {
  os::MutexLock lock(mutex_);
  stop_point_ = point;
}

bool SimulatedFileSystem::stopped() const {
  os::MutexLock lock(mutex_);
  return stopped_;
}

void SimulatedFileSystem::inject(Fault fault) {
  os::MutexLock lock(mutex_);
  faults_.push_back({.fault = std::move(fault)});
}

void SimulatedFileSystem::clear_faults() {
  os::MutexLock lock(mutex_);
  faults_.clear();
}

std::uint64_t SimulatedFileSystem::faults_met() const {
  os::MutexLock lock(mutex_);
  return faults_met_;
}

std::string SimulatedFileSystem::fault_path() const {
  os::MutexLock lock(mutex_);
  return fault_path_;
}

void SimulatedFileSystem::set_read_only(bool read_only) {
  os::MutexLock lock(mutex_);
  read_only_ = read_only;
}

void SimulatedFileSystem::set_capacity(std::uint64_t capacity_bytes) {
  os::MutexLock lock(mutex_);
  disk_.set_capacity(capacity_bytes);
}

void SimulatedFileSystem::set_hook(Hook hook) {
  auto shared = hook ? std::make_shared<const Hook>(std::move(hook)) : nullptr;
  os::MutexLock lock(mutex_);
  hook_ = std::move(shared);
}

std::uint64_t SimulatedFileSystem::operation_count() const {
  os::MutexLock lock(mutex_);
  return operation_count_;
}

std::uint64_t SimulatedFileSystem::count(Operation operation) const {
  os::MutexLock lock(mutex_);
  return counts_[static_cast<std::size_t>(operation)];
}

std::uint64_t SimulatedFileSystem::sync_count(const std::string& path) const {
  os::MutexLock lock(mutex_);
  const auto found = sync_counts_.find(path);
  return found == sync_counts_.end() ? 0 : found->second;
}

std::string SimulatedFileSystem::trace() const {
  os::MutexLock lock(mutex_);
  std::string text;
  for (const TraceLine& line : trace_) {
    text += "#" + std::to_string(line.number) + " " + std::string(to_string(line.operation)) + " " + line.path;
    if (!line.target.empty()) text += " to " + line.target;
    if (line.offset) text += " at " + std::to_string(*line.offset);
    if (line.size != 0) text += ", " + std::to_string(line.size) + " bytes";
    if (!line.outcome.empty()) text += " -> " + line.outcome;
    text += "\n";
  }
  return text;
}

std::map<std::string, std::string> SimulatedFileSystem::contents() const {
  os::MutexLock lock(mutex_);
  std::map<std::string, std::string> found;
  std::vector<std::pair<std::string, const Node*>> waiting{{"", &disk_.root()}};
  while (!waiting.empty()) {
    const auto [path, directory] = waiting.back();
    waiting.pop_back();
    for (const auto& [name, child] : directory->entries) {
      const std::string child_path = below(path, name);
      if (child->kind == os::FileKind::directory) waiting.emplace_back(child_path, child.get());
      if (child->kind == os::FileKind::file) found[child_path] = child->visible.whole();
    }
  }
  return found;
}

SimulatedFileSystem::NodePointer SimulatedFileSystem::find_file(const std::string& path) const {
  NodePointer node;
  if (disk_.find(path, &node) != 0 || node->kind != os::FileKind::file) return nullptr;
  return node;
}

bool SimulatedFileSystem::is_locked(const std::string& directory) const {
  os::MutexLock lock(mutex_);
  NodePointer found;
  return disk_.find(directory, &found) == 0 && found->locked;
}

std::optional<std::string> SimulatedFileSystem::content(const std::string& path) const {
  os::MutexLock lock(mutex_);
  const NodePointer file = find_file(path);
  if (!file) return std::nullopt;
  return file->visible.whole();
}

void SimulatedFileSystem::make_parents(const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (parent.empty() || disk_.make_directory(parent) != 0) continue;  // it is there already
    static_cast<void>(disk_.sync_directory(parent + "/.."));
  }
}

SimulatedFileSystem::NodePointer SimulatedFileSystem::make_file(const std::string& path) {
  if (NodePointer file = find_file(path)) return file;
  make_parents(path);
  NodePointer file;
  if (disk_.create_file(path, &file) != 0) return nullptr;
  const std::size_t slash = path.rfind('/');
  static_cast<void>(disk_.sync_directory(slash == std::string::npos ? "" : path.substr(0, slash)));
  return file;
}

void SimulatedFileSystem::put(const std::string& path, std::string_view bytes) {
  os::MutexLock lock(mutex_);
  if (const NodePointer file = make_file(path)) disk_.plant(*file, {.bytes = std::string(bytes), .size = bytes.size()});
}

void SimulatedFileSystem::put_symbolic_link(const std::string& path) {
  os::MutexLock lock(mutex_);
  make_parents(path);
  static_cast<void>(disk_.make_symbolic_link(path));
}

bool SimulatedFileSystem::flip_bit(const std::string& path, std::uint64_t bit) {
  os::MutexLock lock(mutex_);
  const NodePointer file = find_file(path);
  if (!file || bit / 8 >= file->visible.size) return false;
  SimulatedContent content = file->visible;
  if (content.bytes.size() <= bit / 8) content.bytes.resize(bit / 8 + 1, '\0');
  char& byte = content.bytes[bit / 8];
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << (bit % 8)));
  disk_.plant(*file, std::move(content));
  return true;
}

bool SimulatedFileSystem::overwrite(const std::string& path, std::uint64_t offset, std::string_view bytes) {
  os::MutexLock lock(mutex_);
  const NodePointer file = find_file(path);
  if (!file) return false;
  SimulatedContent content = file->visible;
  content.write(offset, bytes);
  disk_.plant(*file, std::move(content));
  return true;
}

bool SimulatedFileSystem::truncate_to(const std::string& path, std::uint64_t size) {
  os::MutexLock lock(mutex_);
  const NodePointer file = find_file(path);
  if (!file) return false;
  SimulatedContent content = file->visible;
  content.resize(size);
  disk_.plant(*file, std::move(content));
  return true;
}

bool SimulatedFileSystem::remove(const std::string& path) {
  os::MutexLock lock(mutex_);
  NodePointer top;
  if (disk_.find(path, &top) != 0) return false;
  const auto found = tree(path, top);
  for (std::size_t i = found.size(); i-- > 0;) {  // what is inside before what holds it
    const auto& [name, node] = found[i];
    const bool directory = node->kind == os::FileKind::directory;
    if ((directory ? disk_.remove_directory(name) : disk_.remove_file(name)) != 0) return false;
    const std::size_t slash = name.rfind('/');
    static_cast<void>(disk_.sync_directory(slash == std::string::npos ? "" : name.substr(0, slash)));
  }
  return true;
}

bool SimulatedFileSystem::copy_tree(const std::string& from, const std::string& to) {
  os::MutexLock lock(mutex_);
  NodePointer top;
  if (disk_.find(from, &top) != 0) return false;
  const auto found = tree(to, top);
  for (const auto& [path, node] : found) {
    if (node->kind == os::FileKind::directory) make_parents(path + "/");
    if (node->kind != os::FileKind::file) continue;
    const NodePointer file = make_file(path);
    if (!file) return false;
    disk_.plant(*file, node->visible);
  }
  return true;
}

void SimulatedFileSystem::make_all_durable() {
  os::MutexLock lock(mutex_);
  disk_.make_all_durable();
}

}  // namespace tuskv::test
