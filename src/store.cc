#include "tuskv/store.h"

#include <utility>

#include "checks.h"
#include "operation.h"
#include "reencryption.h"
#include "run.h"
#include "search_filter.h"
#include "store_access.h"
#include "stored_range.h"
#include "submission_threads.h"
#include "throw.h"

namespace tuskv {

std::shared_ptr<const View> view_of_namespace(const View& view, Bytes name, const NamespaceOptions& options) {
  auto nested = std::make_shared<View>(view);
  nested->prefix = checked_namespace_prefix(view, name.view());
  if (options.ttl) nested->default_ttl_ms = checked_ttl_ms(*options.ttl, "ttl");
  return nested;
}

namespace {

/// The stored key of the first entry from `from` on; empty when there is none. Each page has a deadline of its own.
std::string first_stored_key(const View& view, const std::string& from) {
  std::string cursor;
  do {
    Command command(Scan{.range = {.from = from}, .after = cursor, .limit = 1, .want = Want::nothing});
    execute(view, std::span(&command, 1));
    Scan& scan = std::get<Scan>(command);
    if (!scan.entries.empty()) return std::move(scan.entries.front().key);
    cursor = std::move(scan.next);
  } while (!cursor.empty());
  return {};
}

/// The engine, for calls that are not commands.
Engine& engine_for_call(const View& view) {
  throw_if_refused(view);
  return *view.engine;
}

}  // namespace

inline namespace v0 {

Store::Store(std::shared_ptr<const View> view) : KeyValue(std::move(view)) {}
Store::Store(const Store&) = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(const Store&) = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Store Store::with_namespace(Bytes name, const NamespaceOptions& options) const {
  return Store(view_of_namespace(*view(), name, options));
}

Store Store::with_timeout(Duration timeout) const {
  auto changed = std::make_shared<View>(*view());
  changed->timeout_ms = checked_timeout_ms(timeout, "the timeout");
  return Store(std::move(changed));
}

AsyncStore Store::async() const { return AsyncStore(view()); }

std::vector<std::string> Store::namespaces() const {
  std::vector<std::string> names;
  // Behind the root namespace and those of our own.
  std::string from(1, static_cast<char>(kReservedNamespaceByte + 1));
  for (;;) {
    const std::string found = first_stored_key(*view(), from);
    if (found.empty()) return names;
    std::string prefix = found.substr(0, found.find('\0') + 1);
    from = behind_prefix(prefix);
    prefix.pop_back();
    names.push_back(std::move(prefix));
  }
}

std::uint64_t Store::cleanup_expired(std::uint64_t limit) const {
  return value_or_throw(engine_for_call(*view()).remove_expired(limit, view()->timeout_ms));
}

void Store::start_sweeper(const SweeperOptions& options) const {
  EngineSweeperOptions settings = view()->sweeper;
  if (options.interval) settings.interval_ms = checked_timeout_ms(*options.interval, "the interval");
  if (options.batch) {
    if (*options.batch < 1 || *options.batch > kSweepBatchMax) {
      throw_refused(Code::InvalidArgument, "a batch must be 1 to " + std::to_string(kSweepBatchMax));
    }
    settings.batch = *options.batch;
  }
  throw_if_failed(engine_for_call(*view()).set_sweeper(settings));
}

void Store::stop_sweeper() const { throw_if_failed(engine_for_call(*view()).set_sweeper(std::nullopt)); }

Stats Store::stats() const {
  Stats stats = value_or_throw(engine_for_call(*view()).stats(view()->timeout_ms));
  stats.conflicts += view()->conflicts->load(std::memory_order_relaxed);
  return stats;
}

std::vector<Finding> Store::diagnose() const {
  return value_or_throw(engine_for_call(*view()).diagnose(view()->timeout_ms));
}

void Store::sync() const { throw_if_failed(engine_for_call(*view()).sync(view()->timeout_ms)); }

bool Store::create_index(Bytes field) const {
  check_indexed_field(field);
  return value_or_throw(engine_for_call(*view()).create_index(field.view(), view()->timeout_ms));
}

bool Store::drop_index(Bytes field) const {
  check_indexed_field(field);
  return value_or_throw(engine_for_call(*view()).drop_index(field.view(), view()->timeout_ms));
}

std::vector<std::string> Store::indexes() const {
  return value_or_throw(engine_for_call(*view()).indexes(view()->timeout_ms));
}

SnapshotInfo Store::snapshot() const { return value_or_throw(engine_for_call(*view()).snapshot()); }

std::vector<SnapshotInfo> Store::snapshots() const { return value_or_throw(engine_for_call(*view()).snapshots()); }

std::size_t Store::prune_snapshots(std::size_t keep) const {
  return value_or_throw(engine_for_call(*view()).prune_snapshots(keep));
}

ReencryptReport Store::reencrypt() const {
  return reencrypt([](const ReencryptReport&) {});
}

ReencryptReport Store::reencrypt(FunctionRef<void(const ReencryptReport&)> progress) const {
  throw_if_refused(*view());
  Reencryption* const reencryption = view()->reencryption;
  if (reencryption == nullptr) {
    execute(*view(), {});  // which fails when the store is closed
    throw_refused(Code::Unsupported, "the store is not encrypted");
  }
  ReencryptReport report;
  for (ReencryptionWalk walk; !walk.done;) {
    throw_if_failed(reencryption->reencrypt_page(walk, view()->timeout_ms, report));
    progress(report);
    throw_if_refused(*view());  // it may have forked
  }
  if (report.unreadable == 0 && report.left == 0) throw_if_failed(reencryption->reencrypt_marker(view()->timeout_ms));
  return report;
}

void Store::close() const {
  Engine& engine = engine_for_call(*view());
  if (in_completion() || view()->offload->runs_this_thread()) {
    throw_refused(Code::InvalidArgument,
                  "close() in an offloaded call, or in the completion of an asynchronous one, would wait for itself: "
                  "close the store elsewhere, or let its last handle go");
  }
  view()->offload->close();
  view()->offload->wait_until_idle();
  throw_if_failed(engine.close());
}

namespace detail {

OffloadedFunction::~OffloadedFunction() = default;

}  // namespace detail

AsyncStore::AsyncStore(std::shared_ptr<const View> view) : Operations(std::move(view)) {}

detail::OperationHandle AsyncStore::make_offloaded(std::unique_ptr<detail::OffloadedFunction> function) const {
  return detail::make_operation(view(), std::move(function));
}

AsyncStore AsyncStore::with_namespace(Bytes name, const NamespaceOptions& options) const {
  return AsyncStore(view_of_namespace(*view(), name, options));
}

}  // namespace v0
}  // namespace tuskv
