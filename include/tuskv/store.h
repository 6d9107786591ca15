#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "tuskv/function_ref.h"
#include "tuskv/operations.h"
#include "tuskv/options.h"

namespace tuskv {
class Engine;  // internal

inline namespace v0 {

/// What an `update` function wants done with the key. Converts from a string (set: without options a present entry
/// keeps its expiry, and a new one gets the default of the view) and from nullopt (erase).
class TUSKV_API Change {
 public:
  Change(std::string value, const SetOptions& options = {});
  Change(std::string_view value, const SetOptions& options = {});
  Change(const char* value, const SetOptions& options = {});
  Change(std::nullopt_t) noexcept;
  Change(std::nullptr_t) = delete;  // `return 0`
  Change(std::optional<std::string> value);
  /// Sets as `set` does: without options the expiry of a present entry is replaced, too.
  static Change replace(std::string value, const SetOptions& options = {});
  /// Leaves the entry as it is.
  static Change keep() noexcept;
  /// Leaves the value as it is and gives the entry this expiry; an absent entry stays absent.
  static Change keep(const SetOptions& options) noexcept;

  enum class Kind { set, replace, erase, keep, touch };
  Kind kind() const noexcept { return kind_; }
  const std::string& value() const noexcept { return value_; }
  const SetOptions& options() const noexcept { return options_; }

 private:
  Change(Kind kind, std::string value, const SetOptions& options) noexcept;

  Kind kind_ = Kind::keep;
  std::string value_ = {};
  SetOptions options_ = {};
};

class EntryRange;
class Transaction;
template <class T>
struct Codec;
template <class T, class Key = std::string, class C = Codec<T>>
class TypedView;  // incomplete here: include tuskv/typed.h, or tuskv/json.h or tuskv/protobuf.h, which include it

/// What functions take that should work on a store and inside a transaction alike: every operation, blocking.
class TUSKV_API KeyValue : public Operations<Blocking> {
 public:
  KeyValue(const KeyValue&) = default;
  KeyValue(KeyValue&&) noexcept = default;

  /// Reads into `value`, reusing its memory; false (and `value` empty) when absent.
  bool get_into(Bytes key, std::string& value) const;

  /// Replaces the value by what `change` makes of it, atomically; returns what `get` would then (nothing when absent).
  /// `change` gets the present value or nullopt and returns a Change; it may run again when another write came in
  /// between, runs under no lock, and leaves the entry alone by throwing. Conflict after 256 attempts, Timeout
  /// when the deadline passes first. What is sent has one deadline together, which the time of `change` does not count
  /// for; but it does not run again once the timeout has passed since the beginning.
  template <class F>
    requires std::is_invocable_r_v<Change, F&, std::optional<std::string_view>>
  std::optional<std::string> update(Bytes key, F&& change) const {
    return update_erased(key, FunctionRef<Change(std::optional<std::string_view>)>(change));
  }

  /// Runs `function(tx)`; commits when it returns (returning its result), rolls back when it throws (rethrowing).
  /// Serializable. The function runs again when another write changed what it read, so it must have no other effects;
  /// Conflict after 256 attempts, Timeout when the deadline passes first. A call that failed with Conflict inside dooms
  /// the attempt even when the function swallowed it. Calls on the store itself, by the same thread while the function
  /// runs, are refused.
  ///
  /// In a transaction it is a savepoint, up to 64 deep: when `function` throws, what it wrote is undone and the
  /// exception goes on; the outer transaction, which alone commits, can continue.
  template <std::invocable<Transaction&> F>
  auto transaction(F&& function) const {
    using R = std::remove_cvref_t<std::invoke_result_t<F&, Transaction&>>;
    if constexpr (std::is_void_v<R>) {
      run_transaction([&](Transaction& tx) { function(tx); });
    } else {
      std::optional<R> result;
      run_transaction([&](Transaction& tx) { result.emplace(function(tx)); });
      return std::move(*result);
    }
  }

  /// All entries that match, page by page, in bounded memory. An entry that is live and unchanged throughout is seen
  /// exactly once; `limit` is the page size. The range owns copies of what it was given.
  [[nodiscard]] EntryRange entries(const ScanOptions& options = {}) const;

  /// Takes the lock if nobody holds it; never waits. A caller that does not get it writes nothing.
  [[nodiscard]] std::optional<Lease> try_lock(Bytes name, const TryLockOptions& options = {}) const;

  /// Claims a name, 1 to max_key_bytes bytes, for an owner, 1 to 255 bytes: of all who ask one gets it. To ask again is
  /// to be granted again, and gives the claim the expiry of these options. In a transaction with the data that it is
  /// about, both are there or neither: when it was granted. When it was not, nothing keeps the transaction from
  /// committing the data but you.
  [[nodiscard("not granted: somebody else has the name")]] ClaimResult claim(Bytes name, Bytes owner,
                                                                             const ClaimOptions& options = {}) const;
  /// Hands a claim on, with its expiry; true when `to` has it now: `from` had it, or `to` already did.
  [[nodiscard("false: nothing was handed on")]] bool move_claim(Bytes name, Bytes from, Bytes to) const;

  /// The entries whose keys start with `prefix`, as values of T under keys of Key: `typed<User>("user:")`,
  /// `typed<Event, std::uint64_t>("event:")`. The codec is that of T (tuskv/codec.h, tuskv/json.h, tuskv/protobuf.h, or
  /// your own); another can be named, `typed<T, Key, RawCodec<T>>(prefix)`, or given. Made in a transaction, the view
  /// is part of it and ends with it. Defined in tuskv/typed.h, which must be included: see TypedView there.
  template <class T, class Key = std::string, class C = Codec<T>>
  TypedView<T, Key, C> typed(Bytes prefix, const TypedOptions& options = {}) const;
  template <class T, class Key = std::string, class C>
  TypedView<T, Key, C> typed(Bytes prefix, const TypedOptions& options, C codec) const;

 protected:
  using Operations::Operations;
  // Of the handles themselves alone: through a KeyValue& a store would become a handle of a transaction.
  KeyValue& operator=(const KeyValue&) = default;
  KeyValue& operator=(KeyValue&&) noexcept = default;

 private:
  friend class EntryRange;
  template <class T, class Key, class C>
  friend class TypedView;
  /// This handle below a prefix: keys are given and returned without it.
  KeyValue with_prefix(Bytes prefix, const TypedOptions& options) const;
  /// `version` becomes that of what was written, or kept without another expiry; 0 when nothing is there.
  std::optional<std::string> update_erased(Bytes key, FunctionRef<Change(std::optional<std::string_view>)> change,
                                           Version* version = nullptr) const;
  void run_transaction(FunctionRef<void(Transaction&)> function) const;
};

/// A single-pass range over entries; see KeyValue::entries. One thread at a time; iterators end with the range, and
/// when it is moved.
class TUSKV_API EntryRange {
 public:
  class TUSKV_API Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(EntryRange* range) : range_(range) {}
    const Entry& operator*() const { return range_->page_.entries[range_->position_]; }
    const Entry* operator->() const { return &**this; }
    Iterator& operator++() {
      range_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return range_ == nullptr || range_->done_; }

   private:
    EntryRange* range_ = nullptr;
  };

  EntryRange(EntryRange&&) noexcept;
  EntryRange& operator=(EntryRange&&) noexcept;
  ~EntryRange();

  /// Where the range stands: at first the first entry, whose page it reads. After an error the range goes on from
  /// there.
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

 private:
  friend class KeyValue;
  EntryRange(std::shared_ptr<const View> view, const ScanOptions& options);

  void advance();
  void read_page();

  std::shared_ptr<const View> view_;
  std::string prefix_;
  std::string from_;
  std::optional<std::string> to_;
  std::string glob_;
  std::string after_;
  ScanOptions options_;
  Page page_;
  std::size_t position_ = 0;
  bool started_ = false;
  bool done_ = false;
};

struct NamespaceOptions {
  /// Given to every write of this view that says nothing about expiry. `{.persistent = true}` opts out. Views and
  /// transactions made from this one have it, too, unless they are given their own.
  std::optional<Duration> ttl = {};
};

/// Operations inside a transaction. Valid during the callback only: later calls throw Closed. Thread-safe as a store
/// is, but for savepoints, which end in the reverse of their order: one thread at a time.
class TUSKV_API Transaction final : public KeyValue {
 public:
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  /// The same transaction seen from another namespace of the store (nested below the one this one sees).
  [[nodiscard("another handle: this one is as before")]] Transaction with_namespace(
      Bytes name, const NamespaceOptions& options = {});

 private:
  friend struct TransactionAccess;
  explicit Transaction(std::shared_ptr<const View> view);
};

struct SweeperOptions {
  std::optional<Duration> interval = {};  ///< default: Options::sweep_interval
  std::optional<std::size_t> batch = {};  ///< default: Options::sweep_batch
};

struct SnapshotInfo {
  std::uint64_t ordinal = 0;
  TimePoint taken_at = {};
  /// Without the mark of an encrypted store. Off by one in two cases, as it is told from what stands beside the
  /// entries: too many in a snapshot of a version that did not say there that they are encrypted, too few in one that
  /// repair() made after the mark was lost.
  std::uint64_t entries = 0;
  std::uint64_t size_bytes = 0;
  /// The sequence of the last write it contains.
  std::uint64_t sequence = 0;
  /// It holds the state before a restore: `keep_snapshots` passes over it, and it goes only with prune_snapshots.
  bool pinned = false;
};

/// What a store holds and has done since it was opened. Counts are exact at some moment during the call; on an
/// embedded store every part of the keys has a moment of its own.
struct Stats {
  std::string engine = {};  ///< "memory", "file" or "postgresql"
  Durability durability = Durability::durable;
  std::uint64_t entries = 0;    ///< stored, expired ones included, all namespaces
  std::uint64_t expired = 0;    ///< of these, expired and not yet removed
  std::uint64_t key_bytes = 0;  ///< namespace included
  std::uint64_t value_bytes = 0;
  std::uint64_t value_bytes_max = 0;  ///< largest value written since open or loaded
  std::uint64_t memory_bytes = 0;     ///< estimate: entries and indexes
  std::uint64_t sequence = 0;         ///< of the last write
  std::uint64_t synced_sequence = 0;  ///< every write up to it survives a crash of the machine
  std::uint64_t syncs = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t log_segments = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t snapshot_failures = 0;
  std::optional<SnapshotInfo> newest_snapshot = {};
  std::uint64_t recovered_records = 0;     ///< read from the log at open
  std::uint64_t recovered_torn_bytes = 0;  ///< unfinished tail cut off at open
  std::uint64_t swept = 0;                 ///< expired entries removed
  std::uint64_t conflicts = 0;             ///< attempts of transactions and updates that others' writes undid
};

/// One thing that Store::diagnose has looked at.
struct Finding {
  enum class Severity {
    ok,
    note,     ///< as somebody may have wanted it
    warning,  ///< something is wrong or soon will be
  };
  Severity severity = Severity::ok;
  /// What was looked at, always by the same name: "durability", "dead_rows", … On PostgreSQL "store" says which table
  /// of which server it is, the same whatever URL led to it.
  std::string topic = {};
  std::string value = {};   ///< how it is
  std::string advice = {};  ///< what that means and what to do; empty when all is well
};

class AsyncStore;

/// What Store::reencrypt has done so far.
struct ReencryptReport {
  std::uint64_t examined = 0;
  std::uint64_t rewritten = 0;
  /// Values that none of the keys decrypts, whichever they name; left as they are.
  std::uint64_t unreadable = 0;
  std::string first_unreadable = {};  ///< its key, in quotes
  /// Readable values that stayed under an older key: their entries have expired, and only a store opened with
  /// TtlMode::disabled rewrites those; or others held them, or kept writing them, until the deadline.
  std::uint64_t left = 0;
};

/// A store: a cheap, copyable, thread-safe handle; copies and namespaced stores share one open store. After fork() the
/// child must open a store of its own: calls on one opened before are Unsupported, and so is the rest of a call whose
/// function forked. A child that is forked in a callback on a thread of the store (a completion, an offloaded function,
/// an event, an encryptor) must end there instead of returning. A handle that was moved from may be assigned to and
/// destroyed, nothing else.
class TUSKV_API Store final : public KeyValue {
 public:
  /// Opens `memory:`, `file:DIR` or `postgresql://…`; options may also be query parameters of the URL. Throws Config
  /// for a wrong URL or option, Busy (with the pid of the holder) when the directory is open elsewhere (a store of this
  /// process that closes in the background, see ~Store, is waited for up to `timeout`, except on a thread of a store),
  /// Corruption naming file and offset, Io, NoSpace; a directory that cannot be written, and a kept snapshot that lies
  /// in its store, opens for reading, as with Options::read_only, and calls that would write are Unsupported; with
  /// PostgreSQL Connection, Timeout, and Unsupported for a server before 14 or in a build without libpq.
  static Store open(Bytes url, const Options& options = {});
  /// With what open() would open it: `options`, and what the URL says instead. Looks at nothing but the two; throws
  /// Config for a wrong URL or option.
  static Options options_for(Bytes url, const Options& options = {});

  Store(const Store&);
  Store(Store&&) noexcept;
  Store& operator=(const Store&);
  Store& operator=(Store&&) noexcept;
  /// The last handle closes the store; problems go to the event hook. Call close() to see them. A handle that dies on a
  /// thread of the store (in a callback, or a coroutine that it has resumed) does not wait: a thread made for it closes
  /// the store, and exit() waits for that, unless it is called on a thread of a store.
  ~Store();

  /// Waits for a lock and holds it as long as the Lock lives. Timeout, naming the holder, when it could not be had in
  /// time. Who waits asks again and again, so the lock goes to whoever asks first after it is free. When this fails
  /// with an outcome of unknown, the lock may be held until its TTL ends.
  [[nodiscard]] Lock lock(Bytes name, const LockOptions& options = {}) const;

  /// A store whose keys are isolated from every other namespace. Names are 1 to 255 bytes without NUL and do not start
  /// with byte 0x01. Nesting joins the names with "/": with_namespace("a").with_namespace("b") is
  /// with_namespace("a/b"): refuse "/" in names that come from outside.
  [[nodiscard("another handle: this one is as before")]] Store with_namespace(
      Bytes name, const NamespaceOptions& options = {}) const;
  /// The same store with another deadline for every call.
  [[nodiscard("another handle: this one is as before")]] Store with_timeout(Duration timeout) const;
  /// The same store, asynchronously.
  [[nodiscard]] AsyncStore async() const;

  /// Names of all namespaces of the store that hold entries, in order, whatever namespace this handle sees; the root
  /// namespace is not among them. Each name is a round trip, with a deadline of its own, as for the pages of entries().
  std::vector<std::string> namespaces() const;

  /// Removes up to `limit` (0 = all) expired entries of all namespaces, earliest first; returns how many: fewer when
  /// the deadline comes first. The files of a directory hold them until its next snapshot, older snapshots for longer.
  std::uint64_t cleanup_expired(std::uint64_t limit = 0) const;
  /// Starts the sweeper, or restarts it with other settings.
  void start_sweeper(const SweeperOptions& options = {}) const;
  void stop_sweeper() const;

  Stats stats() const;
  /// Looks at what the store stands on: the durability really in force, the disk or the server, the table. Changes
  /// nothing; reads no entries but those that have expired.
  std::vector<Finding> diagnose() const;
  // Indexes are for PostgreSQL tables of `value_type=jsonb`; elsewhere these three are Unsupported.

  /// Makes an index on the top-level member `field` of the documents of all namespaces, for find_by_field. True when it
  /// was made now, false when it was there. Writers wait while it is made, which must end by the deadline of the store
  /// (`with_timeout`): make it before the table is large. Every write of a document pays for it. Only the owner of the
  /// table can make and drop indexes; it is Config for others.
  bool create_index(Bytes field) const;
  /// True when it was there. Waits for all that is under way on the table, readers too, and keeps others from it for
  /// moments only.
  bool drop_index(Bytes field) const;
  /// The fields that have an index, in order.
  std::vector<std::string> indexes() const;

  /// Returns once every write answered before the call survives a crash of the machine (`unlogged`: writes a snapshot).
  /// Nothing to do for `memory:`; Unsupported for an unlogged PostgreSQL table.
  void sync() const;

  // Snapshots are for `file:`; elsewhere these three are Unsupported.

  /// Writes a snapshot now, while other calls go on; it takes as long as the disk needs, whatever the deadline.
  SnapshotInfo snapshot() const;
  /// Snapshots on disk, oldest first.
  std::vector<SnapshotInfo> snapshots() const;
  /// Removes the oldest snapshots until `keep` older ones remain beside the newest; returns how many were removed.
  std::size_t prune_snapshots(std::size_t keep) const;

  /// Rewrites every value that is not encrypted with the first key, in all namespaces, while other calls go on; each
  /// keeps its expiry and created_at, and gets a new version and updated_at. `progress` is called after each page. May
  /// be broken off, by an exception of `progress` too, and started again. When it has returned with nothing unreadable
  /// and nothing left, and every process writes with the first key, the others can go. The deadline is that of each
  /// step: a page that is read, or a part of one that is written. Unsupported for a store that is not encrypted.
  ReencryptReport reencrypt() const;
  ReencryptReport reencrypt(FunctionRef<void(const ReencryptReport&)> progress) const;

  /// Ends background work, makes everything durable and releases the directory. Closes every copy and view: their calls
  /// throw Closed. Idempotent: when it fails, so does every later call.
  /// InvalidArgument, and nothing has happened, on a thread of a store: in a callback or a coroutine that one of its
  /// asynchronous calls has resumed, or in an offloaded function (but for one that `wait()` runs on its own thread).
  void close() const;

 private:
  friend class AsyncStore;
  friend struct StoreAccess;
  explicit Store(std::shared_ptr<const View> view);
};

namespace detail {

/// A function of the user's for AsyncStore::offload, until it has run.
class TUSKV_API OffloadedFunction {
 public:
  virtual ~OffloadedFunction();
  /// Called once; what it throws is thrown where the result is taken.
  virtual void run(Store& store) = 0;
};

/// The function of an operation that has ended; throws what it threw.
TUSKV_API OffloadedFunction& function_of(Operation& operation);

template <class R, class F, class... Arguments>
class OffloadedCall final : public OffloadedFunction {
 public:
  OffloadedCall(F function, Arguments... arguments)
      : function_(std::move(function)), arguments_(std::move(arguments)...) {}

  void run(Store& store) override {
    std::apply(
        [&](Arguments&... arguments) {
          if constexpr (std::is_void_v<R>) {
            function_(store, std::move(arguments)...);
          } else {
            result_.emplace(function_(store, std::move(arguments)...));
          }
        },
        arguments_);
  }
  static R take(Operation& operation) {
    auto& call = static_cast<OffloadedCall&>(function_of(operation));
    if constexpr (!std::is_void_v<R>) return std::move(*call.result_);
  }

 private:
  F function_;
  std::tuple<Arguments...> arguments_;
  std::optional<std::conditional_t<std::is_void_v<R>, char, R>> result_ = {};
};

}  // namespace detail

/// Every operation of `Operations`, returning Async<T>; cheap to copy, thread-safe, keeps the store open. What KeyValue
/// and Store add (update, entries, typed, try_lock, claim, move_claim, lock, transaction) is for blocking handles, and
/// for functions given to `offload`. For another deadline: `store.with_timeout(t).async()`.
class TUSKV_API AsyncStore final : public Operations<Asynchronous> {
 public:
  [[nodiscard("another handle: this one is as before")]] AsyncStore with_namespace(
      Bytes name, const NamespaceOptions& options = {}) const;

  /// Runs `function(store, arguments…)`, which may block, on one of up to 8 threads of the store's own, made for it and
  /// ended by close(): for transactions, update, locks, entries. The store is this one, as a blocking handle. Result
  /// and exceptions of the function are those of the call. Function and arguments are moved or copied, as std::thread
  /// does: the function has to be trivially destructible, so what it needs (a string, say) is an argument, not
  /// captured. (g++ 12 destroys twice what a lambda within a co_await expression has captured.)
  ///
  /// When all threads are taken it waits for its turn, without a deadline of its own; Busy when more than 10,000 do.
  /// close() ends those with Closed and waits for what runs. `wait()` runs the function on the calling thread. A
  /// coroutine destroyed while it waits does not keep the function from running: give it no reference to the frame.
  template <class F, class... Arguments>
    requires std::is_invocable_v<F&, Store&, Arguments...>
  auto offload(F function, Arguments... arguments) const
      -> Async<std::remove_cvref_t<std::invoke_result_t<F&, Store&, Arguments...>>> {
    static_assert(std::is_trivially_destructible_v<F>,
                  "tuskv: what an offloaded function needs is given as further arguments, not captured");
    using Call =
        detail::OffloadedCall<std::remove_cvref_t<std::invoke_result_t<F&, Store&, Arguments...>>, F, Arguments...>;
    return {make_offloaded(std::make_unique<Call>(std::move(function), std::move(arguments)...)), &Call::take};
  }

 private:
  friend class Store;
  explicit AsyncStore(std::shared_ptr<const View> view);
  detail::OperationHandle make_offloaded(std::unique_ptr<detail::OffloadedFunction> function) const;
};

}  // namespace v0
}  // namespace tuskv
