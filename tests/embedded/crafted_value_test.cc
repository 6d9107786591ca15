// Values that a user fills with what looks like records of the log. They must cost recovery no more than others do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedded/append_record.h"
#include "embedded/byte_order.h"
#include "embedded/segment_scan.h"
#include "embedded/store_fixture.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::Operation;
using test::SimulatedFileSystem;

constexpr std::size_t kPageBytes = 4096;

struct Crafted {
  std::size_t value_bytes = 0;
  std::size_t every_bytes = 0;  ///< a header at each multiple
  std::size_t length = 0;       ///< what each says of the length of its record
};

/// Every header says that it is record 3 and knows that record 2, the one it is a part of, was synced.
std::string crafted_value(const Crafted& crafted) {
  std::string header;
  append_integer(header, std::uint64_t{1});
  append_integer(header, static_cast<std::uint32_t>(crafted.length));
  append_integer(header, std::uint32_t{1});
  append_integer(header, std::uint64_t{3});
  append_integer(header, std::uint64_t{2});
  append_integer(header, std::uint64_t{1});
  // The value begins 51 bytes behind the multiple of 8 at which the record does.
  std::string value(5, 'x');
  while (value.size() + header.size() <= crafted.value_bytes) {
    value += header;
    value.append(crafted.every_bytes - header.size(), 'x');
  }
  return value;
}

/// The disk after a crash. Record 1 was synced, and record 2, with the crafted value, was not.
std::unique_ptr<SimulatedFileSystem> crashed_disk(const Crafted& crafted, std::uint64_t& begin, std::uint64_t& end) {
  SimulatedFileSystem disk;
  EXPECT_TRUE(disk.make_directory("d").ok());
  std::unique_ptr<LogStore> store = LogStore::open(disk).value();
  RecordBuffer record;
  record.start(RecordKind::changes);
  record.add({.op = ChangeOp::put, .key = "one", .value = std::string(8192, 'v')});
  EXPECT_TRUE(append_record(store->log(), record).ok());
  EXPECT_TRUE(store->log().wait_synced(1, 60'000).ok());
  EXPECT_TRUE(store->log().roll().ok());
  begin = kSegmentHeaderBytes;
  record.start(RecordKind::changes);
  record.add({.op = ChangeOp::put, .key = "two", .value = crafted_value(crafted)});
  end = begin + record.size_bytes();
  EXPECT_TRUE(append_record(store->log(), record).ok());
  return disk.crash_image(CrashMode::keep_all, 1);
}

/// Of the segment that record 2 is in: the largest one.
std::uint64_t ordinal_of_two(SimulatedFileSystem& disk) {
  std::uint64_t largest = 0;
  std::size_t bytes = 0;
  const std::vector<std::uint64_t> ordinals = list_segments(disk, "d").value();
  for (const std::uint64_t ordinal : ordinals) {
    const std::size_t size = disk.content("d/" + segment_name(ordinal)).value().size();
    if (size > bytes) largest = ordinal;
    bytes = std::max(bytes, size);
  }
  return largest;
}

std::string path_of_two(SimulatedFileSystem& disk) { return "d/" + segment_name(ordinal_of_two(disk)); }

void zero(SimulatedFileSystem& disk, std::uint64_t from, std::size_t bytes) {
  ASSERT_TRUE(disk.overwrite(path_of_two(disk), from, std::string(bytes, '\0')));
}

/// The usual tear: the header is there, the end is not.
TEST(CraftedValue, S14_LookingBehindATornRecordReadsItOnce) {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const auto disk = crashed_disk({.value_bytes = 2 << 20, .every_bytes = 4096, .length = 3 << 19}, begin, end);
  zero(*disk, end - kPageBytes, kPageBytes);
  const std::uint64_t reads = disk->count(Operation::read);
  Result<RecoveredState> found = recover_state(*disk, recovery_options());
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found.value().state.size(), 1U);
  EXPECT_EQ(found.value().recovered.torn_bytes, end - kPageBytes - begin);
  EXPECT_LT(disk->count(Operation::read) - reads, 64U) << "a read for each header";
}

/// The header is gone, so nothing tells where the next record begins. The search ends; what cannot be told is damage.
TEST(CraftedValue, S14_ASearchThatIsLedAstrayTooOftenIsDamage) {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const auto disk = crashed_disk({.value_bytes = 256 << 10, .every_bytes = 40, .length = 128 << 10}, begin, end);
  zero(*disk, begin, kRecordHeaderBytes);
  Result<RecoveredState> found = recover_state(*disk, recovery_options());
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.failure().code, Code::Corruption);
  EXPECT_NE(found.failure().message.find(path_of_two(*disk)), std::string::npos) << found.failure().message;
  EXPECT_NE(found.failure().message.find("only looks like records"), std::string::npos) << found.failure().message;
  const SegmentScan scan = scan_segment(*disk, path_of_two(*disk), ordinal_of_two(*disk), nullptr, nullptr).value();
  ASSERT_EQ(scan.damage.size(), 1U);
  EXPECT_NE(scan.damage[0].what.find("only looks like records"), std::string::npos) << scan.damage[0].what;
}

/// A few are no matter: values may well hold logs.
TEST(CraftedValue, S14_AFewHeadersInATornRecordAreATornTail) {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const auto disk = crashed_disk({.value_bytes = 256 << 10, .every_bytes = 32'768, .length = 32'768}, begin, end);
  zero(*disk, begin, kRecordHeaderBytes);
  Result<RecoveredState> found = recover_state(*disk, recovery_options());
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found.value().state.size(), 1U);
}

}  // namespace
}  // namespace tuskv::embedded
