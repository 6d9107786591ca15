// Opening a directory, in this order:
//
//   1. read the manifest, and sync the directory: what a process that died has renamed may not be durable yet, and
//      step 5 must not remove what an older manifest would need
//   2. unless the log ends as an orderly close leaves it: sync every segment and drop what is cached of it. An earlier
//      failed writeback leaves pages that look clean and are not on the disk; only now do reads tell what is.
//   3. survey the snapshot's delta and the log (log_survey.cc): all of it is verified before anything is changed
//   4. load the snapshot's parts, then replay delta and log, in threads that share nothing
//   5. cut the torn tail, then remove what no manifest counts on
//
// Invariants:
//  - When it returns, everything in the keyspace survives a power loss: what a caller reads now is there again after
//    the next crash. Step 2, or the close that made it unnecessary, is what makes that true for the log.
//  - Nothing is changed on the disk unless the whole store has been found sound.
//  - A crash anywhere in step 5 leads to the same state again. Segments behind the torn one go first, the last of them
//    first, and durably, since records in them may carry on right where the torn one is cut. Then the place of the
//    close record is cleared and synced: a torn seal and a torn close could complete each other, and a seal promises a
//    segment that has just been removed. Then the close record is written and synced, and only then is the file cut: a
//    file that is shorter than it was made and has no valid end is damage. From here on the cut segment ends in a close
//    like any other, and the log goes on in a new one: nothing is ever appended behind an old tail.
#include "embedded/recovery.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <system_error>
#include <thread>
#include <utility>

#include "embedded/log_reader.h"
#include "embedded/snapshot.h"
#include "tuskv/function_ref.h"

namespace tuskv::embedded {
namespace {

/// Runs `work` with 0 … threads - 1, at once if the system gives that many threads. The first failure by number.
Status in_parallel(std::size_t threads, FunctionRef<Status(std::size_t)> work) {
  std::vector<Status> results(threads);
  std::vector<std::thread> others;
  try {
    while (others.size() + 1 < threads) {
      const std::size_t index = others.size() + 1;
      others.emplace_back([&results, &work, index] { results[index] = work(index); });
    }
  } catch (const std::system_error&) {
    // This thread does the work of those there are not.
  }
  results[0] = work(0);
  for (std::size_t index = others.size() + 1; index < threads; ++index) results[index] = work(index);
  for (std::thread& other : others) other.join();
  for (Status& result : results) TUSKV_RETURN_IF_ERROR(std::move(result));
  return {};
}

/// Loads parts whose entries belong to shards [first, end).
class PartLoader final : public EntrySink {
 public:
  PartLoader(Keyspace& keyspace, std::size_t first_shard, std::size_t end_shard)
      : keyspace_(keyspace), first_shard_(first_shard), end_shard_(end_shard) {}

  void entry(const Change& put, std::uint64_t sequence) override {
    const std::uint64_t hash = keyspace_.hash(put.key);
    const std::size_t shard = keyspace_.shard_index(hash);
    if (shard < first_shard_ || shard >= end_shard_) {
      has_strays_ = true;  // another thread's shard: loading it would be a race
      return;
    }
    clock_high_us_ = std::max({clock_high_us_, put.created_us, put.updated_us});
    keyspace_.load_entry(hash, put, sequence);
  }

  bool has_strays() const { return has_strays_; }
  std::int64_t clock_high_us() const { return clock_high_us_; }

 private:
  Keyspace& keyspace_;
  const std::size_t first_shard_;
  const std::size_t end_shard_;
  bool has_strays_ = false;
  std::int64_t clock_high_us_ = 0;
};

/// Applies what belongs to every `step`-th shard from `first` on.
class ShardReplayer final : public ChangeSink {
 public:
  ShardReplayer(Keyspace& keyspace, std::size_t first, std::size_t step)
      : keyspace_(keyspace), first_(first), step_(step) {}

  void change(const Change& change, std::uint64_t sequence) override {
    if (change.op == ChangeOp::erase_range) {
      for (std::size_t shard = first_; shard < keyspace_.shard_count(); shard += step_) {
        keyspace_.replay(shard, 0, change, sequence);
      }
      return;
    }
    const std::uint64_t hash = keyspace_.hash(change.key);
    const std::size_t shard = keyspace_.shard_index(hash);
    if (shard % step_ == first_) keyspace_.replay(shard, hash, change, sequence);
  }

 private:
  Keyspace& keyspace_;
  const std::size_t first_;
  const std::size_t step_;
};

class Recovery final {
 public:
  Recovery(os::FileSystem& file_system, const RecoveryOptions& options, Keyspace& keyspace)
      : file_system_(file_system), options_(options), keyspace_(keyspace) {}

  Result<Recovered> run();

 private:
  const Manifest& manifest() const { return result_.manifest; }
  std::string path_of(std::uint64_t ordinal) const { return options_.directory + "/" + segment_name(ordinal); }

  Status find_segments();
  Result<bool> ends_as_closed() const;
  Status distrust_cache() const;
  Status survey_delta();
  Status survey_own_log();
  Status load_parts();
  Status load_group(std::size_t group, std::size_t groups, std::atomic<std::int64_t>& clock_high_us);
  Status replay();
  Status cut_tail();
  Status cut_last_segment(const SegmentExtent& last);
  Status remove_leftovers();

  os::FileSystem& file_system_;
  const RecoveryOptions& options_;
  Keyspace& keyspace_;
  std::vector<std::uint64_t> ordinals_;  ///< of the log's segments, ascending
  LogSurvey delta_;
  LogSurvey log_;
  Recovered result_;
};

Result<Recovered> Recovery::run() {
  Result<Manifest> read = read_manifest(file_system_, options_.directory);
  if (!read.ok()) return std::move(read).status();
  result_.manifest = std::move(read).value();
  // The process that wrote the names we see may have died before it synced them: what is served from here on, the
  // manifest included, must not go away with a name, and what was removed must not come back.
  if (options_.may_sync) TUSKV_RETURN_IF_ERROR(file_system_.sync_directory(options_.directory));
  keyspace_.set_hash_seed(manifest().hash_seed);
  result_.clock_high_us = std::max(manifest().clock_high_us, manifest().snapshot.taken_at_us);

  TUSKV_RETURN_IF_ERROR(find_segments());
  Result<bool> closed = ends_as_closed();
  if (!closed.ok()) return std::move(closed).status();
  if (!closed.value()) TUSKV_RETURN_IF_ERROR(distrust_cache());
  TUSKV_RETURN_IF_ERROR(survey_delta());
  TUSKV_RETURN_IF_ERROR(survey_own_log());
  TUSKV_RETURN_IF_ERROR(load_parts());
  TUSKV_RETURN_IF_ERROR(replay());
  if (options_.may_write) {
    TUSKV_RETURN_IF_ERROR(cut_tail());
    TUSKV_RETURN_IF_ERROR(remove_leftovers());
  }
  return std::move(result_);
}

Status Recovery::find_segments() {
  Result<std::vector<std::uint64_t>> listed = list_segments(file_system_, options_.directory);
  if (!listed.ok()) return std::move(listed).status();
  result_.next_log_ordinal = std::max(manifest().first_log_ordinal, manifest().last_log_ordinal + 1);
  for (const std::uint64_t ordinal : listed.value()) {
    result_.next_log_ordinal = std::max(result_.next_log_ordinal, ordinal + 1);
    if (manifest().logged && ordinal >= manifest().first_log_ordinal) ordinals_.push_back(ordinal);
  }
  return {};
}

/// Whether the log is empty, or its last segment was cut behind its close record. A segment is cut only after the sync
/// of that record, which came after the sync of everything before it, so all of it is on the disk. A segment that grew
/// as it was written always ends where it ends, and proves nothing.
Result<bool> Recovery::ends_as_closed() const {
  if (ordinals_.empty()) return true;
  Result<OpenedSegment> opened = open_segment(file_system_, options_.directory, manifest().store_id, ordinals_.back());
  if (!opened.ok()) return std::move(opened).status();
  const OpenedSegment& last = opened.value();
  if (last.header.size_bytes <= last.file_bytes || last.file_bytes < kSegmentHeaderBytes + kRecordHeaderBytes) {
    return false;
  }
  const std::uint64_t offset = last.file_bytes - kRecordHeaderBytes;
  std::string bytes(kRecordHeaderBytes, '\0');
  Result<std::size_t> got = last.file->read_at(offset, bytes.data(), bytes.size());
  if (!got.ok()) return std::move(got).status();
  RecordHeader record;
  const bool valid =
      decode_record_header(std::string_view(bytes).substr(0, got.value()), last.header.segment_id, offset, record);
  return valid && record.kind == RecordKind::close;
}

Status Recovery::distrust_cache() const {
  for (const std::uint64_t ordinal : ordinals_) {
    Result<std::unique_ptr<os::File>> file = file_system_.open(path_of(ordinal), os::OpenMode::read);
    if (!file.ok()) return std::move(file).status();
    if (options_.may_sync) TUSKV_RETURN_IF_ERROR(file.value()->sync());
    file.value()->drop_cached_pages();
  }
  return {};
}

Status Recovery::survey_delta() {
  const SnapshotManifest& snapshot = manifest().snapshot;
  delta_.last_sequence = snapshot.start_sequence;
  if (snapshot.ordinal == 0) return {};
  const std::string folder = snapshot_location(options_.directory, manifest());
  Result<os::FileKind> kind = file_system_.kind(folder);
  if (!kind.ok()) return std::move(kind).status();
  if (kind.value() == os::FileKind::missing) {
    return {Code::Corruption, folder + " is missing: the manifest knows of it"};
  }
  if (snapshot.delta_count != 0) {
    Result<LogSurvey> surveyed =
        survey_log(file_system_, {.directory = folder,
                                  .store_id = manifest().store_id,
                                  .first_ordinal = snapshot.first_delta_ordinal,
                                  .last_ordinal = snapshot.first_delta_ordinal + snapshot.delta_count - 1,
                                  .first_sequence = snapshot.start_sequence + 1,
                                  .durable_sequence = snapshot.end_sequence,
                                  .is_delta = true});
    if (!surveyed.ok()) return std::move(surveyed).status();
    delta_ = std::move(surveyed).value();
    result_.clock_high_us = std::max(result_.clock_high_us, delta_.clock_high_us);
  }
  if (delta_.last_sequence == snapshot.end_sequence) return {};
  return {Code::Corruption, folder + " is damaged: its log ends at sequence " + std::to_string(delta_.last_sequence) +
                                " instead of " + std::to_string(snapshot.end_sequence)};
}

Status Recovery::survey_own_log() {
  result_.last_sequence = manifest().snapshot.end_sequence;
  if (!manifest().logged) return {};
  Result<LogSurvey> surveyed =
      survey_log(file_system_, {.directory = options_.directory,
                                .store_id = manifest().store_id,
                                .first_ordinal = manifest().first_log_ordinal,
                                .last_ordinal = manifest().last_log_ordinal,
                                .first_sequence = manifest().first_log_sequence,
                                .durable_sequence = std::max(manifest().durable_sequence, result_.last_sequence)});
  if (!surveyed.ok()) return std::move(surveyed).status();
  log_ = std::move(surveyed).value();
  result_.last_sequence = log_.last_sequence;
  result_.records = log_.records;
  result_.torn_bytes = log_.torn_bytes;
  result_.clock_high_us = std::max(result_.clock_high_us, log_.clock_high_us);
  for (const SegmentExtent& extent : log_.segments) {
    result_.segments.push_back({.ordinal = extent.ordinal, .bytes = extent.end_bytes - kSegmentHeaderBytes});
  }
  return {};
}

/// Parts and shards are both numbered by the high bits of the hash, so part p of P holds what belongs to the shards
/// [p * S / P, (p + 1) * S / P) of S, or, when there are fewer shards than parts, to a shard that it shares with its
/// neighbours. A group of parts that share a shard is loaded by one thread.
Status Recovery::load_parts() {
  const SnapshotManifest& snapshot = manifest().snapshot;
  const std::size_t parts = snapshot.parts.size();
  if (parts == 0) return {};
  const std::string folder = snapshot_location(options_.directory, manifest());
  std::uint64_t entries = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    // Memory is taken only for entries that a file is long enough for.
    TUSKV_RETURN_IF_ERROR(verify_part_ends(file_system_, folder + "/" + part_name(part), part_header(manifest(), part),
                                           snapshot.parts[part]));
    entries += snapshot.parts[part].entries;
  }
  keyspace_.reserve(entries);

  const std::size_t groups = std::has_single_bit(parts) ? std::min(parts, keyspace_.shard_count()) : 1;
  std::atomic<std::size_t> next = 0;
  std::atomic<std::int64_t> clock_high_us = result_.clock_high_us;
  const auto work = [&](std::size_t) -> Status {
    for (std::size_t group = next.fetch_add(1); group < groups; group = next.fetch_add(1)) {
      TUSKV_RETURN_IF_ERROR(load_group(group, groups, clock_high_us));
    }
    return {};
  };
  TUSKV_RETURN_IF_ERROR(in_parallel(std::clamp<std::size_t>(options_.threads, 1, groups), work));
  result_.clock_high_us = clock_high_us.load();
  return {};
}

Status Recovery::load_group(std::size_t group, std::size_t groups, std::atomic<std::int64_t>& clock_high_us) {
  const std::size_t parts = manifest().snapshot.parts.size();
  const std::size_t shards = keyspace_.shard_count();
  PartLoader loader(keyspace_, group * shards / groups, (group + 1) * shards / groups);
  const std::string folder = snapshot_location(options_.directory, manifest());
  for (std::size_t part = group * parts / groups; part < (group + 1) * parts / groups; ++part) {
    TUSKV_RETURN_IF_ERROR(
        read_part(file_system_, folder, part_header(manifest(), part), manifest().snapshot.parts[part], loader));
    if (loader.has_strays()) {
      return {Code::Corruption, folder + "/" + part_name(part) + " holds entries that belong to other parts"};
    }
  }
  std::int64_t seen = clock_high_us.load();
  while (seen < loader.clock_high_us() && !clock_high_us.compare_exchange_weak(seen, loader.clock_high_us())) {
  }
  return {};
}

/// Every thread reads all of the log and applies what belongs to its own shards: nothing has to be handed over.
Status Recovery::replay() {
  const std::size_t threads = std::clamp<std::size_t>(options_.threads, 1, keyspace_.shard_count());
  const std::string folder = snapshot_location(options_.directory, manifest());
  return in_parallel(threads, [&](std::size_t index) -> Status {
    ShardReplayer replayer(keyspace_, index, threads);
    TUSKV_RETURN_IF_ERROR(replay_segments(file_system_, folder, manifest().store_id, delta_.segments, replayer));
    TUSKV_RETURN_IF_ERROR(
        replay_segments(file_system_, options_.directory, manifest().store_id, log_.segments, replayer));
    for (std::size_t shard = index; shard < keyspace_.shard_count(); shard += threads) keyspace_.finish_loading(shard);
    return {};
  });
}

Status Recovery::cut_tail() {
  if (log_.segments.empty()) return {};
  std::reverse(log_.unusable.begin(), log_.unusable.end());
  for (const std::uint64_t ordinal : log_.unusable) TUSKV_RETURN_IF_ERROR(file_system_.remove_file(path_of(ordinal)));
  if (!log_.unusable.empty()) {
    TUSKV_RETURN_IF_ERROR(file_system_.sync_directory(options_.directory));
    result_.next_log_ordinal = log_.segments.back().ordinal + 1;
  }
  return cut_last_segment(log_.segments.back());
}

Status Recovery::cut_last_segment(const SegmentExtent& last) {
  const bool is_cut = !log_.torn && last.end_bytes == last.file_bytes;
  if (is_cut) return {};
  Result<std::unique_ptr<os::File>> opened = file_system_.open(path_of(last.ordinal), os::OpenMode::read_write);
  if (!opened.ok()) return std::move(opened).status();
  os::File& file = *opened.value();
  std::uint64_t end = last.end_bytes;
  if (log_.torn) {
    Result<OpenedSegment> segment = open_segment(file_system_, options_.directory, manifest().store_id, last.ordinal);
    if (!segment.ok()) return std::move(segment).status();
    // What is there may be part of a seal, and a part of the close beside it could make it a whole one.
    TUSKV_RETURN_IF_ERROR(file.write_at(end, std::string(kRecordHeaderBytes, '\0')));
    TUSKV_RETURN_IF_ERROR(file.sync());
    RecordBuffer close;
    close.start(RecordKind::close);
    // All that is kept has been synced in step 2.
    TUSKV_RETURN_IF_ERROR(file.write_at(
        end, close.finish(segment.value().header.segment_id, end, log_.last_sequence, log_.last_sequence)));
    end += close.size_bytes();
    TUSKV_RETURN_IF_ERROR(file.sync());
    result_.segments.back().bytes = end - kSegmentHeaderBytes;
  }
  TUSKV_RETURN_IF_ERROR(file.truncate(end));
  return file.sync();
}

/// Files of ours that nothing counts on. Folders of snapshots are the checkpointer's matter. Names that are not ours
/// are nobody's business.
Status Recovery::remove_leftovers() {
  Result<std::vector<os::DirectoryEntry>> entries = file_system_.list(options_.directory);
  if (!entries.ok()) return std::move(entries).status();
  const SnapshotManifest& snapshot = manifest().snapshot;
  for (const os::DirectoryEntry& entry : entries.value()) {
    if (entry.kind != os::FileKind::file) continue;
    std::string_view name = entry.name;
    const bool unfinished = name.ends_with(kTemporarySuffix);
    if (unfinished) name.remove_suffix(std::string_view(kTemporarySuffix).size());
    const std::uint64_t ordinal = parse_segment_name(name);
    const bool in_delta = manifest().is_snapshot_folder && ordinal >= snapshot.first_delta_ordinal &&
                          ordinal - snapshot.first_delta_ordinal < snapshot.delta_count;
    const bool in_log = manifest().logged && ordinal >= manifest().first_log_ordinal;
    const bool ours = ordinal != 0 || name == kManifestName;
    const bool superseded = ordinal != 0 && !in_delta && !in_log;
    if ((ours && unfinished) || superseded) {
      TUSKV_RETURN_IF_ERROR(file_system_.remove_file(options_.directory + "/" + entry.name));
    }
  }
  return {};
}

}  // namespace

Result<Recovered> recover(os::FileSystem& file_system, const RecoveryOptions& options, Keyspace& keyspace) {
  return Recovery(file_system, options, keyspace).run();
}

}  // namespace tuskv::embedded
