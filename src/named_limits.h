// Every limit of tuskv that is not an option, in one place. Limits of options stand in the option table
// (src/option_table.cc).
#pragma once

#include <cstddef>
#include <cstdint>

namespace tuskv {

/// Namespace and key together: such a key still fits a PostgreSQL b-tree entry (2704 bytes), so that data can move.
inline constexpr std::size_t kKeyBytesCeiling = 2048;
/// With the NUL between them.
inline constexpr std::size_t kStoredKeyBytesMax = kKeyBytesCeiling + 1;
inline constexpr std::size_t kNamespaceBytesMax = 255;
/// Names of namespaces that start with this byte are tuskv's own.
inline constexpr char kReservedNamespaceByte = '\x01';

/// A PostgreSQL server needs a 255th more than the value to compress it (lz4), and allocates no more than 1 GiB.
inline constexpr std::size_t kValueBytesCeiling = std::size_t{1016} << 20;
/// Commands in one call (set_many, get_many) and net writes of one transaction.
inline constexpr std::size_t kBatchCommandsMax = 1'000'000;
/// Bytes of keys and values in one atomic batch or transaction: one log record.
inline constexpr std::size_t kBatchBytesMax = std::size_t{1} << 30;

inline constexpr std::int64_t kTtlMsMax = 31'556'952'000'000;  // 1000 years
/// 9999-12-31: the last instant PostgreSQL and people can both write down.
inline constexpr std::int64_t kInstantUsMax = 253'402'300'799'000'000;

inline constexpr std::size_t kScanLimitMax = 10'000;
/// Keys one page looks at before it ends early with a cursor.
inline constexpr std::size_t kScanExaminedMax = 20'000;
/// Bytes of values that one page gives, or looks at in a search, before it ends early with a cursor. The value that
/// goes beyond is the last one.
inline constexpr std::size_t kScanBytesMax = std::size_t{16} << 20;
inline constexpr std::size_t kGlobBytesMax = 1024;
inline constexpr std::size_t kNeedleBytesMax = 4096;
/// The name of a JSON member, and what it is compared with.
inline constexpr std::size_t kFieldBytesMax = 1024;
inline constexpr std::size_t kFieldValueBytesMax = std::size_t{64} << 10;

/// Runs of an update or a transaction that others keep disturbing; what bounds them as a rule is the deadline.
inline constexpr int kConflictAttempts = 256;
inline constexpr int kSavepointDepthMax = 64;
/// Longest pause before the second retry of a conflicting transaction or update; doubled by each further one.
inline constexpr std::int64_t kRetryPauseUsFirst = 20;
inline constexpr std::int64_t kRetryPauseUsMax = 10'000;
/// Who holds a lock or has claimed a name: one byte holds the length (src/coordination/reserved.h).
inline constexpr std::size_t kOwnerBytesMax = 255;
/// Counters that give out the tokens of locks, in each namespace. Part of the format: never changed.
inline constexpr std::uint64_t kTokenCounters = 256;
/// How long a waiting lock may sleep between two looks.
inline constexpr std::int64_t kLockPauseUsMax = 50'000;
/// Limit and cost of a rate limit: their sum stays far within 64 bits.
inline constexpr std::int64_t kRateLimitMax = 1'000'000'000'000'000;
inline constexpr std::size_t kSweepBatchMax = 100'000;
/// Deadlines of a view, and the pause of a sweeper.
inline constexpr std::int64_t kTimeoutMsMax = 86'400'000;  // 1 day

/// Keys of a key ring, and bytes of the file that holds one.
inline constexpr std::size_t kKeyRingKeysMax = 64;
inline constexpr std::size_t kKeyFileBytesMax = std::size_t{64} << 10;
inline constexpr std::int64_t kPathBytesMax = 4096;
/// Values that one key may encrypt: beyond, two of the random nonces may be equal.
inline constexpr std::uint64_t kEncryptionsPerKeyMax = std::uint64_t{1} << 32;
/// Asynchronous calls of an encrypted store that wait for its thread.
inline constexpr std::size_t kPlaintextSubmissionsMax = 100'000;
/// Threads of a store for AsyncStore::offload, and calls that wait for one of them.
inline constexpr std::size_t kOffloadThreadsMax = 8;
inline constexpr std::size_t kOffloadedCallsMax = 10'000;
/// Entries that a search in an encrypted store asks its engine for at first, and at most, at once.
inline constexpr std::size_t kEncryptedPageFirst = 64;
inline constexpr std::size_t kEncryptedPageMax = 1024;
/// Entries of a page of Store::reencrypt, and bytes of values that are written at once. The last one goes beyond.
inline constexpr std::size_t kReencryptedPageMax = 128;
inline constexpr std::size_t kReencryptedAtOnceBytes = std::size_t{1} << 20;

/// Callers waiting in one lane of the PostgreSQL engine, asynchronous ones above all.
inline constexpr std::uint32_t kLaneCallersMax = 4'000'000;
/// Callers of a lane with a batch each, and batches of a lane under way.
inline constexpr std::uint32_t kLaneRunsMax = 500;

/// Entries of a shard copied for a snapshot under one hold of its map lock.
inline constexpr std::size_t kDumpEntriesPerHold = 256;
/// A snapshot is due when the log has more segments than this, however small: each opening makes one, and recovery
/// opens every one.
inline constexpr std::uint64_t kLogSegmentsMax = 64;
/// Pause after a failed snapshot; doubled by each further failure.
inline constexpr std::int64_t kSnapshotRetryMsMin = 1'000;
inline constexpr std::int64_t kSnapshotRetryMsMax = 60'000;
/// How long a snapshot waits for its delta to be synced before it gives up.
inline constexpr std::int64_t kSnapshotSyncTimeoutMs = 60'000;

}  // namespace tuskv
