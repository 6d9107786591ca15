// What a crash leaves of a SimulatedDisk: a new disk, made from the durable state and those unsynced changes that fate
// keeps.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "support/simulated_disk.h"

namespace tuskv::test {
namespace {

constexpr std::uint64_t kSurvivalPercents[] = {5, 25, 50, 75, 95};

/// The smallest piece of a write that reaches the disk as a whole; 0 when writes do.
std::uint64_t torn_unit(CrashMode mode) {
  switch (mode) {
    case CrashMode::torn_1: return 1;
    case CrashMode::torn_512: return 512;
    case CrashMode::torn_4096: return 4096;
    default: return 0;
  }
}

/// How likely an unsynced change survives; drawn once for a file or a disk, so that nearly everything and nearly
/// nothing both come up often.
std::uint64_t draw_survival_percent(Random& random) {
  return kSurvivalPercents[random.below(std::size(kSurvivalPercents))];
}

/// Decides the fate of the changes of one file under keep_subset and the torn modes.
class FileFate final {
 public:
  FileFate(CrashMode mode, std::uint64_t seed)
      : unit_(torn_unit(mode)), random_(seed), percent_(draw_survival_percent(random_)) {}

  void apply(const std::vector<ContentChange>& changes, SimulatedContent& content) {
    const auto sizes = std::count_if(changes.begin(), changes.end(),
                                     [](const auto& change) { return change.kind != ContentChange::Kind::write; });
    std::uint64_t sizes_kept = random_.below(static_cast<std::uint64_t>(sizes) + 1);
    for (const ContentChange& change : changes) {
      if (change.kind == ContentChange::Kind::write) {
        apply_write(change, content);
      } else if (sizes_kept > 0) {
        change.apply_to(content);
        --sizes_kept;
      }
    }
  }

 private:
  void apply_write(const ContentChange& change, SimulatedContent& content) {
    if (unit_ != 0) {
      tear(change, content);
    } else if (random_.chance(percent_)) {
      change.apply_to(content);
    } else if (random_.chance(50)) {
      content.grow(change.end());  // the new size was journalled, the bytes never came
    }
  }

  /// Half of the writes lose units here and there, half break off at one point.
  void tear(const ContentChange& change, SimulatedContent& content) {
    const bool breaks_off = random_.chance(50);
    const std::uint64_t units = change.end() / unit_ - change.offset / unit_ + 1;
    const std::uint64_t whole_units = breaks_off ? random_.below(units + 1) : 0;
    const std::uint64_t rest = random_.below(3);
    std::uint64_t index = 0;
    for (std::uint64_t start = change.offset; start < change.end(); ++index) {
      const std::uint64_t end = std::min(change.end(), (start / unit_ + 1) * unit_);
      const bool survives = breaks_off ? index < whole_units : random_.chance(percent_);
      const std::string_view bytes = std::string_view(change.bytes).substr(start - change.offset, end - start);
      if (survives) {
        content.write(start, bytes);
      } else {
        spoil(start, bytes.size(), breaks_off ? rest : random_.below(3), content);
      }
      start = end;
    }
  }

  void spoil(std::uint64_t start, std::size_t size, std::uint64_t how, SimulatedContent& content) {
    if (how == 0) return;  // old bytes
    content.write(start, how == 1 ? std::string(size, '\0') : random_.bytes(size));
  }

  std::uint64_t unit_;
  Random random_;
  std::uint64_t percent_;
};

}  // namespace

std::string_view to_string(CrashMode mode) {
  switch (mode) {
    case CrashMode::process: return "process";
    case CrashMode::lose_unsynced: return "lose_unsynced";
    case CrashMode::keep_all: return "keep_all";
    case CrashMode::keep_prefix: return "keep_prefix";
    case CrashMode::keep_subset: return "keep_subset";
    case CrashMode::torn_1: return "torn_1";
    case CrashMode::torn_512: return "torn_512";
    case CrashMode::torn_4096: return "torn_4096";
  }
  return "unknown";
}

/// Builds the disk after a crash. Every choice depends on the seed and on sequence numbers alone, never on addresses.
class CrashedCopy final {
 public:
  CrashedCopy(const SimulatedDisk& before, CrashMode mode, std::uint64_t seed)
      : before_(before), mode_(mode), seed_(seed) {}

  SimulatedDisk make() {
    Random random(seed_);
    SimulatedDisk after(before_.capacity_bytes_);
    after.next_sequence_ = before_.next_sequence_;
    if (mode_ == CrashMode::keep_prefix) survivors_end_ = draw_prefix_end(random);
    after.root_ = copy(before_.root_);
    if (mode_ == CrashMode::process) {
      for (const auto& change : before_.directory_changes_) after.directory_changes_.push_back(copy(change));
    } else {
      keep_directory_changes(random);
      for (auto& [original, made] : copies_) made->entries = made->durable_entries;
    }
    count_names(*after.root_);
    for (auto& [original, made] : copies_)
      if (made->names > 0) after.set_space(*made, mode_ == CrashMode::process ? original->space : made->visible.size);
    return after;
  }

 private:
  using Node = SimulatedDisk::Node;
  using NodePointer = SimulatedDisk::NodePointer;

  NodePointer copy(const NodePointer& original) {
    NodePointer& made = copies_[original.get()];
    if (made) return made;
    made = std::make_shared<Node>();
    made->kind = original->kind;
    copy_content(*original, *made);
    for (const auto& [name, child] : original->durable_entries) made->durable_entries[name] = copy(child);
    if (mode_ == CrashMode::process)
      for (const auto& [name, child] : original->entries) made->entries[name] = copy(child);
    return made;
  }

  SimulatedDisk::DirectoryChange copy(const SimulatedDisk::DirectoryChange& change) {
    SimulatedDisk::DirectoryChange made{.sequence = change.sequence, .edits = {}};
    for (const auto& edit : change.edits)
      made.edits.push_back(
          {.directory = copy(edit.directory), .name = edit.name, .node = edit.node ? copy(edit.node) : nullptr});
    return made;
  }

  void copy_content(const Node& original, Node& made) {
    if (original.kind != os::FileKind::file) return;
    made.durable = original.durable;
    if (mode_ == CrashMode::process) {
      made.visible = original.visible;
      made.changes = original.changes;
      made.lost_a_sync = original.lost_a_sync;
      made.late_error_waits = original.late_error_waits;
      return;
    }
    if (!original.changes.empty()) keep_content_changes(original.changes, made.durable);
    made.visible = made.durable;
  }

  void keep_content_changes(const std::vector<ContentChange>& changes, SimulatedContent& content) {
    switch (mode_) {
      case CrashMode::process:
      case CrashMode::lose_unsynced: return;
      case CrashMode::keep_all:
      case CrashMode::keep_prefix:
        for (const ContentChange& change : changes)
          if (change.sequence < survivors_end_) change.apply_to(content);
        return;
      default: FileFate(mode_, seed_ ^ (changes.front().sequence * 0x9e3779b97f4a7c15U)).apply(changes, content);
    }
  }

  bool keeps(const SimulatedDisk::DirectoryChange& change, Random& random, std::uint64_t percent) {
    if (mode_ == CrashMode::lose_unsynced) return false;
    if (mode_ == CrashMode::keep_all || mode_ == CrashMode::keep_prefix) return change.sequence < survivors_end_;
    const auto& first = change.edits.front();
    const auto& last = change.edits.back();
    bool legal = true;
    for (const auto& edit : change.edits) legal = legal && !lost_names_.contains({edit.directory.get(), edit.name});
    // Moving a directory elsewhere while an earlier change is lost could make a circle.
    const bool moves_directory =
        last.node && last.node->kind == os::FileKind::directory && first.directory != last.directory;
    if (moves_directory && !lost_names_.empty()) legal = false;
    if (legal && random.chance(percent)) return true;
    for (const auto& edit : change.edits) lost_names_.insert({edit.directory.get(), edit.name});
    return false;
  }

  void keep_directory_changes(Random& random) {
    const std::uint64_t percent = draw_survival_percent(random);
    for (const auto& change : before_.directory_changes_) {
      if (!keeps(change, random, percent)) continue;
      for (const auto& edit : change.edits) {
        const NodePointer directory = copy(edit.directory);
        if (edit.node) directory->durable_entries[edit.name] = copy(edit.node);
        if (!edit.node) directory->durable_entries.erase(edit.name);
      }
    }
  }

  /// The first sequence number that is lost, drawn over all unsynced changes of the disk.
  std::uint64_t draw_prefix_end(Random& random) {
    std::vector<std::uint64_t> sequences;
    std::set<const Node*> seen;
    std::vector<const Node*> waiting{before_.root_.get()};
    for (const auto& change : before_.directory_changes_) {
      sequences.push_back(change.sequence);
      for (const auto& edit : change.edits) {
        waiting.push_back(edit.directory.get());
        if (edit.node) waiting.push_back(edit.node.get());
      }
    }
    while (!waiting.empty()) {
      const Node* node = waiting.back();
      waiting.pop_back();
      if (!seen.insert(node).second) continue;
      for (const ContentChange& change : node->changes) sequences.push_back(change.sequence);
      for (const auto& [name, child] : node->durable_entries) waiting.push_back(child.get());
    }
    std::sort(sequences.begin(), sequences.end());
    const std::uint64_t kept = random.below(sequences.size() + 1);
    return kept == sequences.size() ? before_.next_sequence_ : sequences[kept];
  }

  static void count_names(Node& directory) {
    for (const auto& [name, child] : directory.entries) {
      ++child->names;
      if (child->kind == os::FileKind::directory) count_names(*child);
    }
  }

  const SimulatedDisk& before_;
  CrashMode mode_;
  std::uint64_t seed_;
  std::uint64_t survivors_end_ = ~std::uint64_t{0};
  std::unordered_map<const Node*, NodePointer> copies_;
  std::set<std::pair<const Node*, std::string>> lost_names_;
};

SimulatedDisk SimulatedDisk::after_crash(CrashMode mode, std::uint64_t seed) const {
  return CrashedCopy(*this, mode, seed).make();
}

}  // namespace tuskv::test
