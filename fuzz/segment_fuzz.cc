// Log segments: their headers, and a log of two of them. The records get right checksums, since a reader must not rely
// on nobody being able to make one. What is accepted can be replayed, and what recovery would cut off leaves a log that
// holds the same and ends well.
//
// Input: the header of a segment and its records, which count as two segments when the header asks for that: bytes 0 to
// 63 as in the file; of the last eight the first is where the second segment starts, in 8 bytes each (0: there is
// none), and the second is how much the manifest knows to be synced.
#include <xxhash.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "embedded/byte_order.h"
#include "embedded/log_reader.h"
#include "embedded/record.h"
#include "embedded/segment.h"
#include "embedded/segment_scan.h"
#include "fuzz_target.h"
#include "memory_files.h"

namespace {

using tuskv::embedded::Change;
using tuskv::embedded::LogSurvey;
using tuskv::embedded::RecordHeader;
using tuskv::embedded::SegmentHeader;

constexpr std::size_t kHeaderBytes = tuskv::embedded::kSegmentHeaderBytes;
constexpr std::size_t kHeaderChecksumAt = kHeaderBytes - 8;
constexpr std::size_t kRecordChecksumBytes = 8;
constexpr std::uint64_t kSegmentId = 0x5eed;
constexpr tuskv::embedded::StoreId kStoreId = {1, 2, 3};

class Collector final : public tuskv::embedded::ChangeSink {
 public:
  void change(const Change& change, std::uint64_t sequence) override {
    TUSKV_FUZZ_CHECK(sequence >= last);
    last = sequence;
    bytes += change.key.size() + change.value.size();
  }
  std::uint64_t last = 0;
  std::size_t bytes = 0;
};

void check_header(std::string bytes) {
  for (const bool sealed : {false, true}) {
    if (sealed) {
      if (bytes.size() < kHeaderBytes) return;
      bytes.resize(kHeaderBytes);
      tuskv::embedded::store_integer(bytes, kHeaderChecksumAt,
                                     std::uint64_t{XXH3_64bits(bytes.data(), kHeaderChecksumAt)});
    }
    const auto header = tuskv::embedded::decode_segment_header(bytes, "log-1.tlog", kStoreId, 1);
    if (header.ok()) {
      TUSKV_FUZZ_CHECK(bytes.starts_with(tuskv::embedded::encode_segment_header(header.value())));
    } else {
      const tuskv::Code code = header.failure().code;
      TUSKV_FUZZ_CHECK(code == tuskv::Code::Corruption || code == tuskv::Code::Config);
    }
  }
}

std::string segment_of(std::uint64_t ordinal, std::string_view records) {
  const SegmentHeader header{.store_id = kStoreId, .segment_id = kSegmentId + ordinal, .ordinal = ordinal};
  std::string bytes = tuskv::embedded::encode_segment_header(header);
  bytes += records;
  for (std::size_t offset = kHeaderBytes; offset < bytes.size();) {
    RecordHeader record;
    const std::string_view rest = std::string_view(bytes).substr(offset);
    if (!tuskv::embedded::peek_record_header(rest, record) || record.length > rest.size()) break;
    const std::string_view covered = rest.substr(kRecordChecksumBytes, record.length - kRecordChecksumBytes);
    const std::uint64_t checksum = XXH3_64bits_withSeed(covered.data(), covered.size(), header.segment_id + offset);
    tuskv::embedded::store_integer(bytes, offset, checksum);
    offset += record.length;
  }
  return bytes;
}

std::string path_of(std::uint64_t ordinal) { return "d/" + tuskv::embedded::segment_name(ordinal); }

Collector replayed(tuskv::fuzz::MemoryFiles& files, const LogSurvey& survey) {
  Collector changes;
  TUSKV_FUZZ_CHECK(tuskv::embedded::replay_segments(files, "d", kStoreId, survey.segments, changes).ok());
  TUSKV_FUZZ_CHECK(changes.last <= survey.last_sequence);
  return changes;
}

/// What recovery does with a torn tail.
void cut(tuskv::fuzz::MemoryFiles& files, const LogSurvey& survey) {
  for (const std::uint64_t ordinal : survey.unusable) files.remove(path_of(ordinal));
  const auto& last = survey.segments.back();
  std::string& bytes = files.bytes(path_of(last.ordinal));
  bytes.resize(last.end_bytes);
  tuskv::embedded::RecordBuffer close;
  close.start(tuskv::embedded::RecordKind::close);
  bytes += close.finish(kSegmentId + last.ordinal, last.end_bytes, survey.last_sequence, survey.last_sequence);
}

void check_log(tuskv::fuzz::MemoryFiles& files, std::uint64_t durable) {
  const tuskv::embedded::LogRange range{
      .directory = "d", .store_id = kStoreId, .last_ordinal = 1, .durable_sequence = durable};
  const auto surveyed = tuskv::embedded::survey_log(files, range);
  if (!surveyed.ok()) {
    TUSKV_FUZZ_CHECK(surveyed.failure().code == tuskv::Code::Corruption);
    TUSKV_FUZZ_CHECK(surveyed.failure().message.find(".tlog") != std::string::npos);
    return;
  }
  const LogSurvey& survey = surveyed.value();
  TUSKV_FUZZ_CHECK(survey.records == survey.last_sequence && survey.last_sequence >= durable);
  const Collector before = replayed(files, survey);
  if (!survey.torn) {
    // A seal promises a successor.
    const auto& segments = survey.segments;
    TUSKV_FUZZ_CHECK(segments.empty() || segments.back().ending != tuskv::embedded::RecordKind::seal);
    return;
  }
  cut(files, survey);
  const auto again = tuskv::embedded::survey_log(files, range);
  TUSKV_FUZZ_CHECK(again.ok() && !again.value().torn && again.value().last_sequence == survey.last_sequence);
  TUSKV_FUZZ_CHECK(replayed(files, again.value()).bytes == before.bytes);
}

void check_scan(tuskv::fuzz::MemoryFiles& files, std::uint64_t ordinal) {
  const auto scan = tuskv::embedded::scan_segment(files, path_of(ordinal), ordinal, &kStoreId, nullptr);
  TUSKV_FUZZ_CHECK(scan.ok());
  TUSKV_FUZZ_CHECK(scan.value().end_bytes + scan.value().tail_bytes <= scan.value().file_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_header(std::string(bytes));
  if (size < kHeaderBytes) return 0;
  const std::string_view records = bytes.substr(kHeaderBytes);
  const std::size_t split = std::min<std::size_t>(std::size_t{data[kHeaderChecksumAt]} * 8, records.size());
  tuskv::fuzz::MemoryFiles files;
  files.bytes(path_of(1)) = segment_of(1, split == 0 ? records : records.substr(0, split));
  if (split != 0) files.bytes(path_of(2)) = segment_of(2, records.substr(split));
  check_scan(files, 1);
  if (split != 0) check_scan(files, 2);
  check_log(files, data[kHeaderChecksumAt + 1]);
  return 0;
}
