// What a log consists of, and how a torn tail is told from damage.
//
// A crash may lose any part of what was never synced, in any order; everything that was synced must be there. So the
// log is read up to the first thing that is no valid record; call the sequence expected there s. Whatever is known to
// have been synced is known from
//  - records: each carries the highest sequence that was known synced when it was written. Every valid one counts, also
//    those behind s in the same segment and those in later segments;
//  - the manifest: durable_sequence, the end of the snapshot, and that segments below last_log_ordinal were complete.
// If s or a later sequence was synced, s is missing and the log is damaged: nobody may open it as if nothing had
// happened. If not, s was never acknowledged as safe, neither was anything behind it, and all of it is a torn tail,
// even if valid records follow: those reached the disk before one in front of them did.
//
// Looking for records behind s, what a user stored must not be taken for the start of one too often: a value may be
// full of what looks like headers, and each costs a hash. So the search goes from record to record while it is certain
// where the next one begins. That is where the one before ends: by its checksum, or, if that fails, when it has the
// sequence that belongs there and its length is that of the changes in it (no two fields are damaged so that they
// agree, and what was taken back has no header, see log.cc). Elsewhere every multiple of 8 is tried, as long as what
// has been hashed for nothing stays below a multiple of the file; beyond, the log counts as damaged, for it may be.
//
// A damaged record that nobody attests, the last group before an unclean stop, is cut as a torn tail: that it had been
// synced is written nowhere.
//
// The order of segments needs no attestation. A segment exists durably before it is used and before its predecessor is
// sealed (segment.cc, log_ends.cc). So an invalid header, a seal without successor and a file shorter than it was made,
// unless it ends in seal or close, are damage whatever has been synced.
#include <algorithm>
#include <utility>

#include "embedded/log_reader.h"

namespace tuskv::embedded {
namespace {

class Survey final {
 public:
  Survey(os::FileSystem& file_system, const LogRange& range) : file_system_(file_system), range_(range) {
    result_.last_sequence = range.first_sequence - 1;
  }

  Result<LogSurvey> run();

 private:
  Status find_segments();
  Result<std::unique_ptr<SegmentReader>> open(std::uint64_t ordinal);
  Status read_segment(std::uint64_t ordinal);
  Status take_record(const SegmentReader& reader, std::uint64_t offset, const RecordHeader& header,
                     std::string_view record, SegmentExtent& extent);
  Status take_changes(const SegmentReader& reader, std::uint64_t offset, const RecordHeader& header,
                      std::string_view record);
  Status judge_end(SegmentReader& reader);
  Status judge_rest(SegmentReader& reader, const SegmentReader& torn, std::uint64_t torn_at);
  Status missing(std::uint64_t ordinal, const std::string& why) const;
  Status ends_early() const;
  std::uint64_t expected() const { return result_.last_sequence + 1; }

  os::FileSystem& file_system_;
  const LogRange& range_;
  std::vector<std::uint64_t> ordinals_;
  LogSurvey result_;
};

Result<LogSurvey> Survey::run() {
  TUSKV_RETURN_IF_ERROR(find_segments());
  std::uint64_t next = range_.first_ordinal;
  bool promised = false;  // by a seal
  for (const std::uint64_t ordinal : ordinals_) {
    if (ordinal != next) return missing(next, "later ones exist");
    TUSKV_RETURN_IF_ERROR(read_segment(ordinal));
    if (result_.torn) return std::move(result_);
    promised = result_.segments.back().ending == RecordKind::seal;
    ++next;
  }
  if (next <= range_.last_ordinal) return missing(next, "the manifest knows of it");
  if (promised && !range_.is_delta) return missing(next, "the segment before it is sealed");
  if (result_.last_sequence < range_.durable_sequence) return ends_early();
  return std::move(result_);
}

Status Survey::find_segments() {
  Result<std::vector<std::uint64_t>> listed = list_segments(file_system_, range_.directory);
  if (!listed.ok()) return std::move(listed).status();
  for (const std::uint64_t ordinal : listed.value()) {
    const bool behind = range_.is_delta && ordinal > range_.last_ordinal;
    if (ordinal >= range_.first_ordinal && !behind) ordinals_.push_back(ordinal);
  }
  return {};
}

Status Survey::missing(std::uint64_t ordinal, const std::string& why) const {
  return {Code::Corruption, range_.directory + "/" + segment_name(ordinal) + " is missing: " + why};
}

/// Everything that is there is whole: these are not the files that the manifest was written for.
Status Survey::ends_early() const {
  const std::uint64_t last = ordinals_.empty() ? range_.first_ordinal : ordinals_.back();
  return {Code::Corruption, range_.directory + "/" + segment_name(last) + " is damaged: the log ends at sequence " +
                                std::to_string(result_.last_sequence) + ", but the manifest knows that sequence " +
                                std::to_string(range_.durable_sequence) + " was synced"};
}

Result<std::unique_ptr<SegmentReader>> Survey::open(std::uint64_t ordinal) {
  return SegmentReader::open(file_system_, range_.directory, range_.store_id, ordinal);
}

Status Survey::read_segment(std::uint64_t ordinal) {
  Result<std::unique_ptr<SegmentReader>> opened = open(ordinal);
  if (!opened.ok()) return std::move(opened).status();
  SegmentReader& reader = *opened.value();
  SegmentExtent extent{.ordinal = ordinal, .file_bytes = reader.file_bytes(), .first_sequence = expected()};
  while (!extent.ending) {
    const std::uint64_t offset = reader.offset();
    RecordHeader header;
    std::string_view record;
    Result<bool> found = reader.next(header, record);
    if (!found.ok()) return std::move(found).status();
    if (!found.value()) break;
    TUSKV_RETURN_IF_ERROR(take_record(reader, offset, header, record, extent));
  }
  extent.end_bytes = reader.offset();
  result_.segments.push_back(extent);
  return extent.ending ? Status() : judge_end(reader);
}

/// A record that verifies was written at this place by this store. If it does not fit here nevertheless, that is no
/// crash's doing.
Status Survey::take_record(const SegmentReader& reader, std::uint64_t offset, const RecordHeader& header,
                           std::string_view record, SegmentExtent& extent) {
  if (header.kind == RecordKind::changes) return take_changes(reader, offset, header, record);
  if (header.sequence != result_.last_sequence) {
    return log_damage(reader.path(), offset,
                      "the segment ends at sequence " + std::to_string(header.sequence) + " instead of " +
                          std::to_string(result_.last_sequence));
  }
  extent.ending = header.kind;
  return {};
}

Status Survey::take_changes(const SegmentReader& reader, std::uint64_t offset, const RecordHeader& header,
                            std::string_view record) {
  if (header.sequence != expected()) {
    return log_damage(
        reader.path(), offset,
        "the record has sequence " + std::to_string(header.sequence) + " instead of " + std::to_string(expected()));
  }
  ChangeReader changes(record, header.change_count);
  for (Change change; changes.next(change);) {
    result_.clock_high_us = std::max({result_.clock_high_us, change.created_us, change.updated_us});
  }
  if (changes.malformed()) return log_damage(reader.path(), offset, "the changes of the record do not parse");
  result_.last_sequence = header.sequence;
  ++result_.records;
  return {};
}

/// The segment has no valid end. The reader stands at what is no record.
Status Survey::judge_end(SegmentReader& reader) {
  const std::uint64_t torn_at = reader.offset();
  if (range_.is_delta && reader.header().ordinal == range_.last_ordinal && expected() > range_.durable_sequence) {
    return {};  // its end need not have been synced when the snapshot was published; all its records were
  }
  if (range_.is_delta)
    return log_damage(reader.path(), torn_at, "a snapshot's log is whole, but no valid record is here");
  if (reader.file_bytes() < reader.header().size_bytes && torn_at < reader.file_bytes()) {
    return log_damage(
        reader.path(), torn_at,
        "no valid record is here, in spite of " + std::to_string(reader.file_bytes() - torn_at) + " bytes more");
  }
  if (reader.file_bytes() < reader.header().size_bytes) {
    return log_damage(
        reader.path(), torn_at,
        "no valid record is here, and the file is shorter than it was made: " + std::to_string(reader.file_bytes()) +
            " of " + std::to_string(reader.header().size_bytes) + " bytes");
  }
  if (reader.header().ordinal < range_.last_ordinal) {
    return log_damage(reader.path(), torn_at, "no valid record is here, but the manifest knows of a later segment");
  }
  if (range_.durable_sequence >= expected()) {
    return log_damage(reader.path(), torn_at,
                      "no valid record is here, but the manifest knows that sequence " +
                          std::to_string(range_.durable_sequence) + " was synced");
  }
  result_.torn = true;
  TUSKV_RETURN_IF_ERROR(judge_rest(reader, reader, torn_at));
  for (const std::uint64_t ordinal : ordinals_) {
    if (ordinal <= reader.header().ordinal) continue;
    Result<std::unique_ptr<SegmentReader>> later = open(ordinal);
    if (!later.ok()) return std::move(later).status();
    TUSKV_RETURN_IF_ERROR(judge_rest(*later.value(), reader, torn_at));
    result_.unusable.push_back(ordinal);
  }
  return {};
}

/// Looks from the reader's offset on for anything that attests what is missing at `torn_at`.
Status Survey::judge_rest(SegmentReader& reader, const SegmentReader& torn, std::uint64_t torn_at) {
  const std::uint64_t from = reader.offset();
  const std::uint64_t here = &reader == &torn ? expected() : 0;
  RecordHeader header;
  std::string_view record;
  Result<bool> attested = reader.find(expected(), here, header, record);
  if (!attested.ok()) return std::move(attested).status();
  if (attested.value()) {
    return log_damage(torn.path(), torn_at,
                      "no valid record is here, but one at offset " + std::to_string(reader.offset() - header.length) +
                          " of " + segment_name(reader.header().ordinal) + " knows that sequence " +
                          std::to_string(header.synced) + " was synced");
  }
  Result<std::uint64_t> end = reader.used_end(from);
  if (!end.ok()) return std::move(end).status();
  result_.torn_bytes += end.value() - from;
  return {};
}

}  // namespace

Result<LogSurvey> survey_log(os::FileSystem& file_system, const LogRange& range) {
  return Survey(file_system, range).run();
}

}  // namespace tuskv::embedded
