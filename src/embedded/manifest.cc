// MANIFEST is text, so that a person can read what a store consists of: one `name value` a line, always all of these
// and in this order, numbers in decimal, identities and checksums in 16 lower-case hexadecimal digits a 64-bit word.
//
//   tuskv manifest 1|2
//   store <store_id, 32 digits>
//   hash_seed <16 digits>
//   snapshot <ordinal> <start_sequence> <end_sequence> <taken_at_us>
//   delta <first_delta_ordinal> <delta_count>
//   part <size_bytes> <checksum, 16 digits> <entries>          as often as there are parts
//   is_snapshot_folder 0|1
//   logged 0|1
//   encrypted 1                                                version 2 only
//   log <first_log_ordinal> <last_log_ordinal> <first_log_sequence>
//   durable_sequence <sequence>
//   clock_high_us <microseconds>
//   checksum <XXH3-64 of every byte before this line, 16 digits>
//
// Version 1 is that of a store without encryption, and of one that was encrypted before there was a version 2. Every
// version ends in that last line, so damage is told from a newer version. What was read must be, byte for byte,
// what would be written: no second spelling of a manifest passes.
#include "embedded/manifest.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include "embedded/format_version.h"
#include "embedded/part_file.h"
#include "named_limits.h"

namespace tuskv::embedded {
namespace {

constexpr std::string_view kTitle = "tuskv manifest ";
constexpr std::uint64_t kPlainVersion = 1;
constexpr std::uint64_t kEncryptedVersion = 2;
constexpr std::string_view kChecksumName = "checksum ";
constexpr std::size_t kHexDigits = 16;
constexpr std::size_t kChecksumLineBytes = kChecksumName.size() + kHexDigits + 1;

constexpr std::string_view kSegmentPrefix = "log-";
constexpr std::string_view kSegmentSuffix = ".tlog";
constexpr std::string_view kSnapshotPrefix = "snapshot-";

std::string hex(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(kHexDigits, '0');
  for (std::size_t i = kHexDigits; i > 0; --i, value >>= 4) text[i - 1] = kDigits[value & 0xf];
  return text;
}

std::uint64_t id_half(const StoreId& id, std::size_t first) {
  std::uint64_t half = 0;
  for (std::size_t i = first; i < first + sizeof half; ++i) half = half << 8 | id[i];
  return half;
}

void set_id_half(StoreId& id, std::size_t first, std::uint64_t half) {
  for (std::size_t i = first + sizeof half; i > first; --i, half >>= 8) id[i - 1] = static_cast<std::uint8_t>(half);
}

/// `name` and the values, a space before each.
template <class... Values>
std::string line(std::string_view name, const Values&... values) {
  std::string text(name);
  const auto add = [&text](const auto& value) {
    if constexpr (std::integral<std::remove_cvref_t<decltype(value)>>) {
      text.append(" ").append(std::to_string(value));
    } else {
      text.append(" ").append(value);
    }
  };
  (add(values), ...);
  return text + "\n";
}

std::string checksum_line(std::string_view bytes) {
  return std::string(kChecksumName) + hex(XXH3_64bits(bytes.data(), bytes.size())) + "\n";
}

/// Takes words off the front of the text; after the first surprise everything fails.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  bool failed() const { return failed_; }
  bool at(std::string_view expected) const { return rest_.starts_with(expected); }

  void skip(std::string_view expected) {
    if (!at(expected)) failed_ = true;
    if (!failed_) rest_.remove_prefix(expected.size());
  }
  template <std::integral T>
  void take(T& value, int base = 10) {
    skip(" ");
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, base);
    if (error != std::errc()) failed_ = true;
    if (!failed_) rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
  }
  void take(bool& value) {
    unsigned number = 0;
    take(number);
    value = number != 0;
  }
  void take_id(StoreId& id) {
    skip(" ");
    for (const std::size_t half : {std::size_t{0}, id.size() / 2}) {
      const std::string digits(rest_.substr(0, kHexDigits));
      skip(digits);
      std::uint64_t value = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
      if (error != std::errc() || end != digits.data() + kHexDigits) failed_ = true;
      set_id_half(id, half, value);
    }
  }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

bool parse(std::string_view text, Manifest& manifest) {
  const std::size_t title_end = text.find('\n');
  if (title_end == std::string_view::npos) return false;
  Words words(text.substr(title_end));
  SnapshotManifest& snapshot = manifest.snapshot;
  words.skip("\nstore");
  words.take_id(manifest.store_id);
  words.skip("\nhash_seed");
  words.take(manifest.hash_seed, 16);
  words.skip("\nsnapshot");
  words.take(snapshot.ordinal);
  words.take(snapshot.start_sequence);
  words.take(snapshot.end_sequence);
  words.take(snapshot.taken_at_us);
  words.skip("\ndelta");
  words.take(snapshot.first_delta_ordinal);
  words.take(snapshot.delta_count);
  while (!words.failed() && words.at("\npart")) {
    PartInfo& part = snapshot.parts.emplace_back();
    words.skip("\npart");
    words.take(part.size_bytes);
    words.take(part.checksum, 16);
    words.take(part.entries);
  }
  words.skip("\nis_snapshot_folder");
  words.take(manifest.is_snapshot_folder);
  words.skip("\nlogged");
  words.take(manifest.logged);
  if (words.at("\nencrypted")) {
    words.skip("\nencrypted");
    words.take(manifest.encrypted);
  }
  words.skip("\nlog");
  words.take(manifest.first_log_ordinal);
  words.take(manifest.last_log_ordinal);
  words.take(manifest.first_log_sequence);
  words.skip("\ndurable_sequence");
  words.take(manifest.durable_sequence);
  words.skip("\nclock_high_us");
  words.take(manifest.clock_high_us);
  return !words.failed();
}

/// Whether a store can have these numbers.
bool is_plausible(const Manifest& manifest) {
  const SnapshotManifest& snapshot = manifest.snapshot;
  for (const std::uint64_t number :
       {snapshot.ordinal, snapshot.start_sequence, snapshot.end_sequence, snapshot.first_delta_ordinal,
        snapshot.delta_count, manifest.first_log_ordinal, manifest.last_log_ordinal, manifest.first_log_sequence,
        manifest.durable_sequence}) {
    if (number > kNumberMax) return false;
  }
  const auto holds_its_entries = [](const PartInfo& part) {
    return part.entries <= part.size_bytes / kPartEntryHeaderBytes;
  };
  const bool is_empty = snapshot.end_sequence == 0 && snapshot.delta_count == 0 && snapshot.parts.empty();
  return std::all_of(snapshot.parts.begin(), snapshot.parts.end(), holds_its_entries) &&
         snapshot.parts.size() <= kPartsMax && snapshot.start_sequence <= snapshot.end_sequence &&
         (snapshot.ordinal != 0 || (is_empty && !manifest.is_snapshot_folder)) && manifest.first_log_ordinal != 0 &&
         manifest.first_log_sequence != 0 && manifest.last_log_ordinal + 1 >= manifest.first_log_ordinal;
}

Status corrupt(const std::string& path, const std::string& what) {
  return {Code::Corruption, path + " is damaged: " + what};
}

std::uint64_t parse_ordinal(std::string_view name, std::string_view prefix, std::string_view suffix) {
  if (name.size() <= prefix.size() + suffix.size() || !name.starts_with(prefix) || !name.ends_with(suffix)) return 0;
  name.remove_prefix(prefix.size());
  name.remove_suffix(suffix.size());
  std::uint64_t ordinal = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), ordinal);
  // One spelling only: two names must never mean the same file.
  if (error != std::errc() || end != name.data() + name.size() || name.front() == '0' || ordinal > kNumberMax) return 0;
  return ordinal;
}

}  // namespace

std::string encode_manifest(const Manifest& manifest) {
  const SnapshotManifest& snapshot = manifest.snapshot;
  const std::uint64_t version = manifest.encrypted ? kEncryptedVersion : kPlainVersion;
  std::string text = std::string(kTitle) + std::to_string(version) + "\n";
  text += line("store", hex(id_half(manifest.store_id, 0)) + hex(id_half(manifest.store_id, 8)));
  text += line("hash_seed", hex(manifest.hash_seed));
  text += line("snapshot", snapshot.ordinal, snapshot.start_sequence, snapshot.end_sequence, snapshot.taken_at_us);
  text += line("delta", snapshot.first_delta_ordinal, snapshot.delta_count);
  for (const PartInfo& part : snapshot.parts) text += line("part", part.size_bytes, hex(part.checksum), part.entries);
  text += line("is_snapshot_folder", int{manifest.is_snapshot_folder});
  text += line("logged", int{manifest.logged});
  if (manifest.encrypted) text += line("encrypted", 1);
  text += line("log", manifest.first_log_ordinal, manifest.last_log_ordinal, manifest.first_log_sequence);
  text += line("durable_sequence", manifest.durable_sequence);
  text += line("clock_high_us", manifest.clock_high_us);
  return text + checksum_line(text);
}

Result<Manifest> decode_manifest(std::string_view bytes, const std::string& path) {
  if (bytes.substr(0, kTitle.size()) != kTitle.substr(0, bytes.size())) {
    return Status(Code::Config, path + " is not the manifest of a tuskv store");
  }
  if (bytes.size() < kTitle.size() + kChecksumLineBytes) return corrupt(path, "it ends early");
  const std::string_view covered = bytes.substr(0, bytes.size() - kChecksumLineBytes);
  if (bytes.substr(covered.size()) != checksum_line(covered)) return corrupt(path, "its checksum does not match");
  std::uint64_t version = 0;
  const std::string_view behind_title = covered.substr(kTitle.size());
  std::from_chars(behind_title.data(), behind_title.data() + behind_title.size(), version);
  if (version > kEncryptedVersion) return newer_format(path, version, kEncryptedVersion);
  Manifest manifest;
  if (!parse(covered, manifest) || encode_manifest(manifest) != bytes) {
    return corrupt(path, "its text is not that of a manifest");
  }
  if (!is_plausible(manifest)) return corrupt(path, "its numbers contradict each other");
  return manifest;
}

Result<Manifest> read_manifest(os::FileSystem& file_system, const std::string& directory) {
  const std::string path = directory + "/" + kManifestName;
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::read);
  if (!file.ok()) return std::move(file).status();
  Result<std::uint64_t> size = file.value()->size();
  if (!size.ok()) return std::move(size).status();
  if (size.value() > kManifestBytesMax) return corrupt(path, "it is larger than any manifest");
  std::string bytes(size.value(), '\0');
  Result<std::size_t> got = file.value()->read_at(0, bytes.data(), bytes.size());
  if (!got.ok()) return std::move(got).status();
  bytes.resize(got.value());
  return decode_manifest(bytes, path);
}

Status write_manifest(os::FileSystem& file_system, const std::string& directory, const Manifest& manifest) {
  const std::string path = directory + "/" + kManifestName;
  const std::string aside = path + kTemporarySuffix;
  const std::string bytes = encode_manifest(manifest);
  if (Result<Manifest> again = decode_manifest(bytes, path); !again.ok()) return std::move(again).status();
  Result<os::FileKind> leftover = file_system.kind(aside);
  if (!leftover.ok()) return std::move(leftover).status();
  if (leftover.value() != os::FileKind::missing) TUSKV_RETURN_IF_ERROR(file_system.remove_file(aside));
  {
    Result<std::unique_ptr<os::File>> file = file_system.open(aside, os::OpenMode::create);
    if (!file.ok()) return std::move(file).status();
    TUSKV_RETURN_IF_ERROR(file.value()->write_at(0, bytes));
    TUSKV_RETURN_IF_ERROR(file.value()->sync());
  }
  TUSKV_RETURN_IF_ERROR(file_system.rename(aside, path));
  return file_system.sync_directory(directory);
}

std::string segment_name(std::uint64_t ordinal) {
  return std::string(kSegmentPrefix) + std::to_string(ordinal) + std::string(kSegmentSuffix);
}

std::string snapshot_folder_name(std::uint64_t ordinal) {
  return std::string(kSnapshotPrefix) + std::to_string(ordinal);
}

std::string part_name(std::size_t index) { return std::string(kPartPrefix) + std::to_string(index); }

bool is_part_name(std::string_view name) {
  if (!name.starts_with(kPartPrefix)) return false;
  std::size_t index = 0;
  std::from_chars(name.data() + kPartPrefix.size(), name.data() + name.size(), index);
  return name == part_name(index);
}

std::uint64_t parse_segment_name(std::string_view name) { return parse_ordinal(name, kSegmentPrefix, kSegmentSuffix); }

std::uint64_t parse_snapshot_folder_name(std::string_view name) { return parse_ordinal(name, kSnapshotPrefix, ""); }

}  // namespace tuskv::embedded
