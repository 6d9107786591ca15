// Limits of the PostgreSQL engine that are not options.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tuskv::postgres {

/// Keys in one statement of a call that names more; the statements are one transaction.
inline constexpr std::size_t kStatementKeysMax = 4096;
/// The same for those that only move expiries, which look up each row's place among the keys.
inline constexpr std::size_t kTouchedKeysMax = 256;
/// Bytes of values in one statement of a call that sets more.
inline constexpr std::size_t kStatementBytesMax = std::size_t{64} << 20;
/// So large a jsonb document may become with its numbers written out: as many times its size, and as many bytes anyway.
inline constexpr std::size_t kJsonGrowthFactor = 8;
inline constexpr std::size_t kJsonGrowthBytes = std::size_t{1} << 20;
/// Documents of a page that are read at once: only then is it known what they are written out.
inline constexpr std::size_t kJsonRowsAtOnce = 128;
/// Larger values are not read within a batch: they would hold up the others.
inline constexpr std::int32_t kBatchedValueBytesMax = 64 << 10;
/// How long a statement waits for a row that somebody else holds. Then the halves of a batch, down to single units,
/// wait for a moment only, and what wants the row waits apart from all others, a turn at a time.
inline constexpr std::int64_t kLockTimeoutMs = 20;
inline constexpr std::int64_t kHalfLockTimeoutMs = 2;
inline constexpr std::int64_t kLockTurnMs = 200;
/// Through a pooler, the part of a turn that is spent on one of its server connections.
inline constexpr std::int64_t kPooledPartOfTurn = 10;
/// How long a request for the table waits at once: writers queue behind it, and must not be refused for its sake.
inline constexpr std::int64_t kTableLockTimeoutMs = kLockTimeoutMs / 2;
/// The longest pause after the first request for the lock on the table that was in vain, doubled by each further one.
/// The shortest is half of it.
inline constexpr std::int64_t kTablePauseMsFirst = 50;
inline constexpr std::int64_t kTablePauseMsMax = 400;
/// How much longer than deadlock_timeout a call waits for an automatic VACUUM, which then is told to give way.
inline constexpr std::int64_t kVacuumGraceMs = 250;
/// One turn at a time for so many connections of the pool, at least one; asynchronous listings have as many,
/// and range erases.
inline constexpr std::size_t kPoolPerRowTurn = 4;
/// How much longer than its deadline a call waits for the answer that the server has ended it.
inline constexpr std::int64_t kAnswerGraceMs = 50;
/// How long the server waits at least for the rest of a transaction: as long as a statement may take, if that is more,
/// for a large one is still on its way all that time.
inline constexpr std::int64_t kIdleInTransactionMsMin = 5000;
/// So many keys are read behind a pooler without settings of the transaction.
inline constexpr std::size_t kSmallReadKeys = 256;
/// Pause before the second attempt to connect, doubled by each further one.
inline constexpr std::int64_t kReconnectMsFirst = 10;
inline constexpr std::int64_t kReconnectMsMax = 1000;
/// While other connections are lent a caller tries so long to make one; what takes longer is left to the pool's thread.
inline constexpr std::int64_t kOwnAttemptMsMax = 1000;
/// Sessions from before a refused write are given up so often at most: where new ones do not know what they lead to,
/// each of them is refused as well.
inline constexpr std::int64_t kTurnPauseMs = 5000;
/// How often an attempt to connect looks whether the store is closed.
inline constexpr std::int64_t kCloseLookMs = 50;
/// How long the pool's thread tries at once.
inline constexpr std::int64_t kAttemptBehindMs = 5000;
/// An idle connection over TCP is probed, unless the connection string says how: forgotten ones are gone after a
/// minute.
inline constexpr int kKeepalivesIdleS = 30;
inline constexpr int kKeepalivesIntervalS = 10;
inline constexpr int kKeepalivesCount = 3;
/// How young the last answer of a connection must be for it to be used without looking if the server has left it.
inline constexpr std::int64_t kFreshUs = 100;
/// Lookups of names at one time, of all names and of one. Another one of the same name is begun when the last has said
/// nothing for so long: the system asks a name server again after five seconds, but something else may be stuck for
/// good.
inline constexpr std::size_t kLookupsMax = 8;
inline constexpr std::size_t kLookupsOfNameMax = 2;
inline constexpr std::int64_t kLookupSilenceMs = 5000;
/// How old the engine's idea of the server's clock may be.
inline constexpr std::int64_t kClockSampleMsMax = 10'000;
/// By how much that idea may have been wrong when lifetimes of a transaction were counted from it.
inline constexpr std::int64_t kClockErrorUsMax = 1'000'000;
/// Entries of the present bucket, expired or not, that a batch of the sweeper looks at for each it may remove.
inline constexpr std::size_t kSweepLookedAtFactor = 10;

}  // namespace tuskv::postgres
