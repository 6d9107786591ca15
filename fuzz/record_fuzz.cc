// Log records. As they are: a header that verifies must lie within the bytes. And the changes behind a header taken for
// verified: reading them ends, stays inside the record, and what is accepted is what tuskv would write for it.
#include <algorithm>
#include <string>
#include <string_view>

#include "embedded/record.h"
#include "fuzz_target.h"

namespace {

using tuskv::embedded::Change;
using tuskv::embedded::ChangeReader;
using tuskv::embedded::RecordBuffer;
using tuskv::embedded::RecordHeader;
using tuskv::embedded::RecordKind;

constexpr std::uint64_t kSegmentId = 0x5eed;
constexpr std::uint64_t kOffset = 64;

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

/// Reads all changes, writing them anew; false when they are malformed.
bool copy_changes(std::string_view record, std::uint32_t change_count, RecordBuffer& copy) {
  ChangeReader reader(record, change_count);
  Change change;
  while (reader.next(change)) {
    TUSKV_FUZZ_CHECK(inside(change.key, record) && inside(change.value, record));
    copy.add(change);
  }
  return !reader.malformed();
}

void check_round_trip(RecordBuffer& copy) {
  const std::uint32_t changes = copy.change_count();
  const std::string record(copy.finish(kSegmentId, kOffset, 7, 5));
  RecordHeader header;
  TUSKV_FUZZ_CHECK(tuskv::embedded::decode_record_header(record, kSegmentId, kOffset, header));
  TUSKV_FUZZ_CHECK(header.length == record.size() && header.sequence == 7 && header.synced == 5);
  TUSKV_FUZZ_CHECK(header.change_count == changes);
  TUSKV_FUZZ_CHECK(!tuskv::embedded::decode_record_header(record, kSegmentId, kOffset + 8, header));
  RecordBuffer again;
  again.start(RecordKind::changes);
  TUSKV_FUZZ_CHECK(copy_changes(record, header.change_count, again));
  TUSKV_FUZZ_CHECK(again.finish(kSegmentId, kOffset, 7, 5) == record);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RecordHeader header;
  if (tuskv::embedded::decode_record_header(bytes, kSegmentId, kOffset, header)) {
    TUSKV_FUZZ_CHECK(header.length <= bytes.size());
  }
  if (!tuskv::embedded::peek_record_header(bytes, header)) return 0;
  RecordBuffer copy;
  copy.start(RecordKind::changes);
  const std::string_view record = bytes.substr(0, std::min<std::size_t>(header.length, bytes.size()));
  if (copy_changes(record, header.change_count, copy)) check_round_trip(copy);
  return 0;
}
