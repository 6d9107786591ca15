#include "embedded/record.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/random.h"

namespace tuskv::embedded {
namespace {

constexpr std::uint64_t kSegmentId = 0x1122334455667788;
constexpr std::uint64_t kOffset = 64;

/// The bytes that hexadecimal text with spaces in it stands for.
std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    if (text[i] == ' ') ++i;
    if (i + 2 <= text.size()) bytes += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

std::vector<Change> every_op() {
  return {
      {.op = ChangeOp::put, .key = "k", .value = "value", .expires_us = 3, .created_us = 1, .updated_us = 2},
      {.op = ChangeOp::erase, .key = "gone"},
      {.op = ChangeOp::touch, .key = "t", .expires_us = -1, .updated_us = 9},
      {.op = ChangeOp::erase_range, .key = "a", .value = "b"},
  };
}

std::string encode(const std::vector<Change>& changes, std::uint64_t offset = kOffset) {
  RecordBuffer buffer;
  buffer.start(RecordKind::changes);
  for (const Change& change : changes) buffer.add(change);
  return std::string(buffer.finish(kSegmentId, offset, 7, 5));
}

bool same(const Change& a, const Change& b) {
  return a.op == b.op && a.key == b.key && a.value == b.value && a.expires_us == b.expires_us &&
         a.created_us == b.created_us && a.updated_us == b.updated_us;
}

TEST(Record, BytesOfEachKindAreFixed) {
  EXPECT_EQ(encode(every_op()),
            from_hex("37e46587fd315428 80000000 01000000 0700000000000000 0500000000000000 04000000 00000000 "
                     "01 07 0100 05000000 0300000000000000 0100000000000000 0200000000000000 6b 76616c7565 "
                     "02 00 0400 00000000 676f6e65 "
                     "03 05 0100 00000000 ffffffffffffffff 0900000000000000 74 "
                     "04 00 0100 01000000 61 62 000000"));
  RecordBuffer buffer;
  buffer.start(RecordKind::seal);
  EXPECT_EQ(std::string(buffer.finish(kSegmentId, kOffset, 7, 5)),
            from_hex("e7b0bcd33ac9f6fc 28000000 02000000 0700000000000000 0500000000000000 0000000000000000"));
  buffer.start(RecordKind::close);
  EXPECT_EQ(std::string(buffer.finish(kSegmentId, kOffset, 7, 5)),
            from_hex("f0ecd0588195b29d 28000000 03000000 0700000000000000 0500000000000000 0000000000000000"));
}

TEST(Record, ReadsBackWhatWasWritten) {
  const std::string record = encode(every_op());
  RecordHeader header;
  ASSERT_TRUE(decode_record_header(record + "more bytes", kSegmentId, kOffset, header));
  EXPECT_EQ(header.length, record.size());
  EXPECT_EQ(header.kind, RecordKind::changes);
  EXPECT_EQ(header.sequence, 7);
  EXPECT_EQ(header.synced, 5);
  ASSERT_EQ(header.change_count, 4);
  ChangeReader reader(record, header.change_count);
  Change change;
  for (const Change& expected : every_op()) {
    ASSERT_TRUE(reader.next(change));
    EXPECT_TRUE(same(change, expected)) << expected.key;
  }
  EXPECT_FALSE(reader.next(change));
  EXPECT_FALSE(reader.malformed());
}

// K1: an empty value is a value.
TEST(Record, K1EmptyValueIsAPut) {
  const std::string record = encode({{.op = ChangeOp::put, .key = "k"}, {.op = ChangeOp::put, .key = "l"}});
  ChangeReader reader(record, 2);
  Change change;
  ASSERT_TRUE(reader.next(change));
  EXPECT_EQ(change.op, ChangeOp::put);
  EXPECT_EQ(change.key, "k");
  ASSERT_TRUE(reader.next(change));
  EXPECT_EQ(change.op, ChangeOp::put);
  EXPECT_FALSE(reader.next(change));
  EXPECT_FALSE(reader.malformed());
}

TEST(Record, EveryBitFlipIsSeen) {
  const std::string record = encode(every_op());
  RecordHeader header;
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string flipped = record;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode_record_header(flipped, kSegmentId, kOffset, header)) << "bit " << bit;
  }
}

TEST(Record, EveryTruncationIsSeen) {
  const std::string record = encode(every_op());
  RecordHeader header;
  for (std::size_t size = 0; size < record.size(); ++size) {
    EXPECT_FALSE(decode_record_header(record.substr(0, size), kSegmentId, kOffset, header)) << size;
  }
}

TEST(Record, IsValidOnlyInItsPlace) {
  const std::string record = encode(every_op());
  RecordHeader header;
  EXPECT_FALSE(decode_record_header(record, kSegmentId, kOffset + 8, header));
  EXPECT_FALSE(decode_record_header(record, kSegmentId + 1, kOffset, header));
  EXPECT_FALSE(decode_record_header(std::string(4096, '\0'), kSegmentId, kOffset, header));
}

// K7: the hole of a lost write is no record, whatever the keys are.
TEST(Record, K7ZerosAreNoRecord) {
  RecordHeader header;
  for (const std::size_t size : {0U, 8U, 40U, 4096U}) {
    EXPECT_FALSE(peek_record_header(std::string(size, '\0'), header)) << size;
  }
}

TEST(Record, KnowsWhetherItOnlyErases) {
  RecordBuffer buffer;
  buffer.start(RecordKind::changes);
  buffer.add({.op = ChangeOp::erase, .key = "a"});
  buffer.add({.op = ChangeOp::erase_range, .key = "a", .value = "b"});
  EXPECT_TRUE(buffer.only_erases());
  buffer.add({.op = ChangeOp::touch, .key = "a"});
  EXPECT_FALSE(buffer.only_erases());
  buffer.start(RecordKind::changes);
  EXPECT_TRUE(buffer.only_erases());
}

// A record with a right checksum whose changes do not parse was written by something broken: it must be noticed, not
// read beyond. The parser gets every mutation of one byte, and every wrong count.
TEST(Record, ChangesThatDoNotParseAreMalformed) {
  const std::string record = encode(every_op());
  std::size_t malformed = 0;
  for (std::size_t at = kRecordHeaderBytes; at < record.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string mutated = record;
      mutated[at] = static_cast<char>(value);
      ChangeReader reader(mutated, 4);
      Change change;
      std::size_t bytes = 0;
      while (reader.next(change)) bytes += change.key.size() + change.value.size();
      EXPECT_LE(bytes, record.size());
      malformed += reader.malformed() ? 1 : 0;
    }
  }
  EXPECT_GT(malformed, 1000);
  for (const std::uint32_t count : {0U, 3U, 5U, 0xffffffffU}) {
    ChangeReader reader(record, count);
    Change change;
    while (reader.next(change)) {
    }
    EXPECT_TRUE(reader.malformed()) << count;
  }
}

/// The last byte of a key's size, its first one, a stamp that says nothing, and bytes behind the last change.
TEST(Record, S37_WhatTuskvWouldNotWriteIsMalformed) {
  constexpr std::size_t kStampAt = kRecordHeaderBytes + 8;
  const Change put{.op = ChangeOp::put, .key = "k", .value = "v", .expires_us = 1};
  const auto is_malformed = [](const std::string& record) {
    ChangeReader reader(record, 1);
    for (Change change; reader.next(change);) {
    }
    return reader.malformed();
  };
  const std::string record = encode({put});
  EXPECT_FALSE(is_malformed(record));
  std::string padded = record;
  padded.back() = '\1';
  EXPECT_TRUE(is_malformed(padded));
  std::string stamped = record;
  stamped[kStampAt] = '\0';
  EXPECT_TRUE(is_malformed(stamped));
  std::string nameless = encode({{.op = ChangeOp::erase, .key = "k"}});
  nameless.resize(kRecordHeaderBytes + 8);
  nameless[kRecordHeaderBytes + 2] = '\0';
  EXPECT_TRUE(is_malformed(nameless));
  nameless[kRecordHeaderBytes] = static_cast<char>(ChangeOp::erase_range);
  EXPECT_FALSE(is_malformed(nameless)) << "a range may begin with the first key";
  for (const std::size_t size : {kChangeKeyBytesMax, kChangeKeyBytesMax + 1}) {
    std::string large =
        encode({{.op = ChangeOp::put, .key = std::string(kChangeKeyBytesMax, 'k')}}) + std::string(8, '\0');
    large[kRecordHeaderBytes + 2] = static_cast<char>(size & 0xff);
    large[kRecordHeaderBytes + 3] = static_cast<char>(size >> 8U);
    large.resize(kRecordHeaderBytes + 8 + size);
    EXPECT_EQ(is_malformed(large), size > kChangeKeyBytesMax);
  }
}

TEST(Record, SizesAreCheckedWithoutOverflow) {
  std::string record = encode({{.op = ChangeOp::put, .key = "key", .value = "value"}});
  for (std::size_t at = kRecordHeaderBytes + 2; at < kRecordHeaderBytes + 8; ++at) record[at] = '\xff';
  ChangeReader reader(record, 1);
  Change change;
  EXPECT_FALSE(reader.next(change));
  EXPECT_TRUE(reader.malformed());
}

TEST(Record, AMillionSmallChangesAndOneLargeValue) {
  RecordBuffer buffer;
  buffer.start(RecordKind::changes);
  for (int i = 0; i < 1'000'000; ++i) buffer.add({.op = ChangeOp::put, .key = "k", .value = "v"});
  const std::string large(std::size_t{8} << 20, 'x');
  buffer.add({.op = ChangeOp::put, .key = "k", .value = large});
  const std::string_view record = buffer.finish(kSegmentId, kOffset, 1, 0);
  RecordHeader header;
  ASSERT_TRUE(decode_record_header(record, kSegmentId, kOffset, header));
  EXPECT_EQ(header.change_count, 1'000'001);
  ChangeReader reader(record, header.change_count);
  Change change;
  std::uint32_t count = 0;
  while (reader.next(change)) ++count;
  EXPECT_FALSE(reader.malformed());
  EXPECT_EQ(count, header.change_count);
  EXPECT_EQ(change.value.size(), large.size());
}

}  // namespace
}  // namespace tuskv::embedded
