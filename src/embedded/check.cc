// Checking a store that is not open. The verdict on each state (the present one and every kept snapshot) is that of
// recovery itself, which reads every byte that counts; only what recovery refuses is then examined file by file, so
// that all damage is reported and not only the first.
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "embedded/format_version.h"
#include "embedded/maintenance.h"
#include "embedded/manifest.h"
#include "embedded/snapshot.h"
#include "embedded/store_files.h"

namespace tuskv::embedded {
namespace {

/// File and offset stand in every message about damage; a message without them is about the whole directory.
Damage damage_of(const std::string& directory, const std::string& message) {
  constexpr std::string_view kBefore = " is damaged at offset ";
  const std::size_t found = message.find(kBefore);
  if (found == std::string::npos) return {.file = directory, .what = message};
  Damage damage{.file = message.substr(0, found)};
  const char* const digits = message.data() + found + kBefore.size();
  const char* const end = std::from_chars(digits, message.data() + message.size(), damage.offset).ptr;
  std::string_view what(end, static_cast<std::size_t>(message.data() + message.size() - end));
  if (what.starts_with(": ")) what.remove_prefix(2);
  damage.what = what;
  return damage;
}

class StoreCheck final {
 public:
  StoreCheck(os::FileSystem& file_system, const std::string& directory)
      : file_system_(file_system), directory_(directory) {}

  Result<CheckReport> run() {
    TUSKV_RETURN_IF_ERROR(count_files(directory_));
    std::uint64_t newest = UINT64_MAX;
    std::optional<StoreId> store_id;
    Result<Manifest> manifest = read_manifest(file_system_, directory_);
    if (manifest.ok()) {
      newest = manifest.value().is_snapshot_folder ? 0 : manifest.value().snapshot.ordinal;
      store_id = manifest.value().store_id;
      TUSKV_RETURN_IF_ERROR(check_state(directory_, manifest.value(), true));
    } else if (is_damage(manifest.failure()) || !has_manifest()) {
      add_manifest(directory_, manifest.failure().message);
    } else {
      return std::move(manifest).status();
    }
    TUSKV_RETURN_IF_ERROR(check_folders(newest, store_id));
    return std::move(report_);
  }

 private:
  /// The newest snapshot is looked at twice, as part of the present state and as a folder of its own.
  void add(const std::string& file, std::uint64_t offset, std::string what) {
    for (const Damage& known : report_.damage) {
      if (known.file == file && known.offset == offset) return;
    }
    report_.damage.push_back({.file = file, .offset = offset, .what = std::move(what)});
  }

  void add_manifest(const std::string& folder, const std::string& message) {
    Damage damage = damage_of(folder, message);
    add(folder + "/" + kManifestName, damage.offset, std::move(damage.what));
  }

  bool has_manifest() {
    Result<os::FileKind> kind = file_system_.kind(directory_ + "/" + kManifestName);
    return !kind.ok() || kind.value() != os::FileKind::missing;
  }

  Status count_files(const std::string& folder) {
    Result<std::vector<os::DirectoryEntry>> entries = file_system_.list(folder);
    if (!entries.ok()) return std::move(entries).status();
    for (const os::DirectoryEntry& entry : entries.value()) {
      const std::string path = folder + "/" + entry.name;
      if (entry.kind == os::FileKind::directory && folder_ordinal(entry.name) != 0) {
        TUSKV_RETURN_IF_ERROR(count_files(path));
      }
      if (entry.kind != os::FileKind::file) continue;
      Result<std::unique_ptr<os::File>> file = file_system_.open(path, os::OpenMode::read);
      if (!file.ok()) return std::move(file).status();
      Result<std::uint64_t> size = file.value()->size();
      if (!size.ok()) return std::move(size).status();
      ++report_.files;
      report_.size_bytes += size.value();
    }
    return {};
  }

  /// The state that the manifest in `directory` names.
  Status check_state(const std::string& directory, const Manifest& manifest, bool is_present) {
    Result<LoadedStore> loaded = load_store(file_system_, directory);
    if (loaded.ok()) {
      if (is_present) {
        report_.entries = loaded.value().keyspace->user_entry_count();
        report_.records = loaded.value().recovered.records;
        report_.torn_bytes = loaded.value().recovered.torn_bytes;
      }
      return {};
    }
    if (!is_damage(loaded.failure()) && loaded.failure().code != Code::Io) return std::move(loaded).status();
    Result<StoreFindings> findings = examine_store(file_system_, directory, manifest, nullptr, nullptr);
    if (!findings.ok()) return std::move(findings).status();
    if (findings.value().damage.empty() && !is_damage(loaded.failure())) return std::move(loaded).status();
    // Recovery knows rules that no single file shows, such as a log that ends before what was known to be synced.
    if (findings.value().damage.empty()) {
      findings.value().damage.push_back(damage_of(directory, loaded.failure().message));
    }
    for (Damage& damage : findings.value().damage) add(damage.file, damage.offset, std::move(damage.what));
    return {};
  }

  /// Every snapshot folder that was published; what others have put there is nobody's business.
  Status check_folders(std::uint64_t newest, const std::optional<StoreId>& store_id) {
    Result<std::vector<os::DirectoryEntry>> entries = file_system_.list(directory_);
    if (!entries.ok()) return std::move(entries).status();
    for (const os::DirectoryEntry& entry : entries.value()) {
      const std::uint64_t ordinal = parse_snapshot_folder_name(entry.name);
      if (ordinal == 0 || ordinal > newest || entry.kind != os::FileKind::directory) continue;
      const std::string folder = directory_ + "/" + entry.name;
      Result<bool> is_ours = store_id ? was_snapshot_of(file_system_, folder, ordinal, *store_id) : true;
      if (!is_ours.ok()) return std::move(is_ours).status();
      if (!is_ours.value()) continue;
      Result<os::FileKind> kind = file_system_.kind(folder + "/" + kManifestName);
      if (!kind.ok()) return std::move(kind).status();
      if (kind.value() == os::FileKind::missing) {
        add(folder + "/" + kManifestName, 0, "the snapshot's own manifest is missing");
        continue;
      }
      Result<Manifest> manifest = read_manifest(file_system_, folder);
      if (!manifest.ok() && !is_damage(manifest.failure())) return std::move(manifest).status();
      if (!manifest.ok()) {
        add_manifest(folder, manifest.failure().message);
      } else {
        TUSKV_RETURN_IF_ERROR(check_state(folder, manifest.value(), false));
      }
    }
    return {};
  }

  os::FileSystem& file_system_;
  const std::string& directory_;
  CheckReport report_;
};

}  // namespace

Result<CheckReport> check_held_store(os::FileSystem& file_system, const std::string& directory) {
  return StoreCheck(file_system, directory).run();
}

Result<CheckReport> check_store(os::FileSystem& file_system, const std::string& directory) {
  Result<std::unique_ptr<os::DirectoryLock>> lock = share_store(file_system, directory);
  if (!lock.ok()) return std::move(lock).status();
  return check_held_store(file_system, directory);
}

}  // namespace tuskv::embedded
