#include "embedded/store_files.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "embedded/format_version.h"
#include "embedded/log_reader.h"
#include "embedded/snapshot.h"

namespace tuskv::embedded {
namespace {

class CountEntries final : public EntrySink {
 public:
  explicit CountEntries(EntrySink* next) : next_(next) {}
  void entry(const Change& put, std::uint64_t sequence) override {
    ++count_;
    if (next_ != nullptr) next_->entry(put, sequence);
  }
  std::uint64_t count() const { return count_; }

 private:
  EntrySink* const next_;
  std::uint64_t count_ = 0;
};

/// Lets records pass that continue the snapshot: an older one could bring back what had been erased.
class RecordsBehind final : public RecordSink {
 public:
  RecordsBehind(std::uint64_t sequence, RecordSink* next) : sequence_(sequence), next_(next) {}
  void record(const RecordHeader& header, std::string_view bytes) override {
    if (header.sequence > sequence_ && next_ != nullptr) next_->record(header, bytes);
  }

 private:
  const std::uint64_t sequence_;
  RecordSink* const next_;
};

class StoreExamination final {
 public:
  StoreExamination(os::FileSystem& file_system, std::string directory, const Manifest& manifest, EntrySink* entries,
                   RecordSink* records)
      : file_system_(file_system),
        directory_(std::move(directory)),
        manifest_(manifest),
        entries_(entries),
        records_(manifest.snapshot.start_sequence, records),
        last_sequence_(manifest.snapshot.start_sequence) {}

  Result<StoreFindings> run() {
    synced_ = std::max(manifest_.snapshot.end_sequence, manifest_.durable_sequence);
    TUSKV_RETURN_IF_ERROR(examine_snapshot(snapshot_location(directory_, manifest_)));
    if (manifest_.logged) TUSKV_RETURN_IF_ERROR(examine_log());
    if (synced_ > last_sequence_) findings_.missing_records += synced_ - last_sequence_;
    findings_.sequence_ceiling = std::max(synced_, last_sequence_) + unreadable_bytes_ / kRecordHeaderBytes;
    return std::move(findings_);
  }

 private:
  void add(const std::string& path, std::uint64_t offset, std::string what) {
    findings_.damage.push_back({.file = path, .offset = offset, .what = std::move(what)});
  }

  Status examine_snapshot(const std::string& location) {
    const SnapshotManifest& snapshot = manifest_.snapshot;
    Result<os::FileKind> kind = file_system_.kind(location);
    if (!kind.ok()) return std::move(kind).status();
    if (snapshot.ordinal != 0 && kind.value() != os::FileKind::directory) {
      add(location, 0, "the directory is missing");
      for (const PartInfo& part : snapshot.parts) findings_.missing_entries += part.entries;
      return {};
    }
    for (std::size_t i = 0; i < snapshot.parts.size(); ++i) TUSKV_RETURN_IF_ERROR(examine_part(location, i));
    const std::uint64_t delta = snapshot.first_delta_ordinal;
    TUSKV_RETURN_IF_ERROR(examine_segments(location, delta, delta + snapshot.delta_count));
    report_open_end();
    return {};
  }

  Status examine_part(const std::string& location, std::size_t index) {
    const std::string path = location + "/" + part_name(index);
    const PartInfo& info = manifest_.snapshot.parts[index];
    Result<os::FileKind> kind = file_system_.kind(path);
    if (!kind.ok()) return std::move(kind).status();
    if (kind.value() != os::FileKind::file) {
      add(path, 0, "the part is missing");
      findings_.missing_entries += info.entries;
      return {};
    }
    CountEntries counted(entries_);
    Result<std::vector<FileDamage>> found =
        salvage_part_file(file_system_, path, part_header(manifest_, index), &info, counted);
    if (!found.ok()) return std::move(found).status();
    for (FileDamage& damage : found.value()) add(path, damage.offset, std::move(damage.what));
    findings_.missing_entries += info.entries - std::min(info.entries, counted.count());
    return {};
  }

  Status examine_log() {
    Result<std::vector<std::uint64_t>> present = list_segments(file_system_, directory_);
    if (!present.ok()) return std::move(present).status();
    const std::uint64_t last =
        std::max(manifest_.last_log_ordinal, present.value().empty() ? 0 : present.value().back());
    return examine_segments(directory_, manifest_.first_log_ordinal, last + 1);
  }

  /// [first, end), however many files there should be according to the manifest.
  Status examine_segments(const std::string& folder, std::uint64_t first, std::uint64_t end) {
    if (first >= end) return {};
    Result<std::vector<std::uint64_t>> present = list_segments(file_system_, folder);
    if (!present.ok()) return std::move(present).status();
    std::uint64_t next = first;
    for (const std::uint64_t ordinal : present.value()) {
      if (ordinal < first || ordinal >= end) continue;
      add_missing_segments(folder, next, ordinal);
      TUSKV_RETURN_IF_ERROR(examine_segment(folder, ordinal));
      next = ordinal + 1;
    }
    add_missing_segments(folder, next, end);
    return {};
  }

  void add_missing_segments(const std::string& folder, std::uint64_t first, std::uint64_t end) {
    if (first >= end) return;
    const bool is_one = end - first == 1;
    add(folder + "/" + segment_name(first), 0,
        is_one ? "the segment is missing" : "the segments up to " + segment_name(end - 1) + " are missing");
  }

  Status examine_segment(const std::string& folder, std::uint64_t ordinal) {
    const std::string path = folder + "/" + segment_name(ordinal);
    Result<os::FileKind> kind = file_system_.kind(path);
    if (!kind.ok()) return std::move(kind).status();
    if (kind.value() != os::FileKind::file) {
      add(path, 0, "the segment is missing");
      return {};
    }
    Result<SegmentScan> scanned = scan_segment(file_system_, path, ordinal, &manifest_.store_id, &records_);
    if (!scanned.ok() && is_damage(scanned.failure())) {
      add(path, 0, scanned.failure().message);
      return count_unreadable(path);
    }
    if (!scanned.ok()) return std::move(scanned).status();
    const SegmentScan& scan = scanned.value();
    for (const FileDamage& damage : scan.damage) add(path, damage.offset, damage.what);
    if (scan.records != 0) report_open_end();
    if (!scan.is_ended && open_end_.file.empty()) {
      open_end_ = {.file = path, .offset = scan.end_bytes, .what = "the segment ends without its seal"};
    }
    note_sequences(path, scan);
    return {};
  }

  Status count_unreadable(const std::string& path) {
    Result<std::unique_ptr<os::File>> file = file_system_.open(path, os::OpenMode::read);
    if (!file.ok()) return std::move(file).status();
    Result<std::uint64_t> size = file.value()->size();
    if (!size.ok()) return std::move(size).status();
    unreadable_bytes_ += size.value();
    return {};
  }

  /// A segment without an end is damage when records follow in another one; at the end of the log it is normal.
  void report_open_end() {
    if (!open_end_.file.empty()) findings_.damage.push_back(std::exchange(open_end_, {}));
  }

  void note_sequences(const std::string& path, const SegmentScan& scan) {
    findings_.missing_records += scan.missing_records;
    synced_ = std::max(synced_, scan.synced);
    if (!scan.is_ended || !scan.damage.empty()) unreadable_bytes_ += scan.file_bytes;
    if (scan.records == 0) return;
    if (scan.first_sequence > last_sequence_ + 1) {
      const std::uint64_t missing = scan.first_sequence - last_sequence_ - 1;
      findings_.missing_records += missing;
      add(path, 0, std::to_string(missing) + " records before its first are missing");
    }
    last_sequence_ = std::max(last_sequence_, scan.last_sequence);
  }

  os::FileSystem& file_system_;
  const std::string directory_;
  const Manifest& manifest_;
  EntrySink* const entries_;
  RecordsBehind records_;
  StoreFindings findings_;
  Damage open_end_;
  std::uint64_t last_sequence_;  ///< of the records so far
  std::uint64_t synced_ = 0;     ///< known to have been on the disk
  std::uint64_t unreadable_bytes_ = 0;
};

}  // namespace

Result<StoreFindings> examine_store(os::FileSystem& file_system, const std::string& directory, const Manifest& manifest,
                                    EntrySink* entries, RecordSink* records) {
  return StoreExamination(file_system, directory, manifest, entries, records).run();
}

}  // namespace tuskv::embedded
