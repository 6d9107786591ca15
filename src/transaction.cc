// Running transaction functions: attempts, savepoints, and what becomes of an exception.
#include <exception>
#include <utility>

#include "active_transaction.h"
#include "backoff.h"
#include "checks.h"
#include "named_limits.h"
#include "run.h"
#include "session.h"
#include "store_access.h"
#include "throw.h"

namespace tuskv {
namespace {

std::shared_ptr<const View> view_in_session(const View& view, std::shared_ptr<Session> session) {
  auto inside = std::make_shared<View>(view);
  inside->executor = session.get();
  inside->session = std::move(session);
  return inside;
}

/// Runs the function once; returns what it threw.
std::exception_ptr call(const View& view, const std::shared_ptr<Session>& session,
                        FunctionRef<void(Transaction&)> function) {
  const ActiveTransaction active(*view.engine);
  Transaction transaction = TransactionAccess::make(view_in_session(view, session));
  std::exception_ptr thrown;
  try {
    function(transaction);
  } catch (...) {
    thrown = std::current_exception();
  }
  session->end();  // handles that outlive the function answer Closed
  return thrown;
}

/// Commits, or says whether what the function threw came of a state that was. The function may have forked: the child
/// shares the parent's log, or its session on the server, and leaves them alone.
Status finish(const View& view, Session& session, bool commits) {
  if (std::unique_ptr<Failure> refused = refusal(view)) return Status(std::move(refused));
  return commits ? session.commit() : session.validate();
}

/// True when the transaction is done, false on a conflict. Throws every other failure.
bool attempt(const View& view, FunctionRef<void(Transaction&)> function) {
  const auto session = std::make_shared<Session>(
      *view.engine, SessionOptions{.timeout_ms = view.timeout_ms, .expiry_disabled = view.expiry_disabled});
  const std::exception_ptr thrown = call(view, session, function);
  const Status status = finish(view, *session, thrown == nullptr);
  if (!status.ok() && status.failure().code == Code::Conflict) return false;
  if (thrown) std::rethrow_exception(thrown);
  throw_if_failed(status);
  return true;
}

void run_savepoint(const std::shared_ptr<const View>& view, FunctionRef<void(Transaction&)> function) {
  Session& session = *view->session;
  throw_if_failed(session.begin_savepoint());
  try {
    Transaction transaction = TransactionAccess::make(view);
    function(transaction);
  } catch (...) {
    session.roll_back_savepoint();
    throw;
  }
  session.release_savepoint();
}

}  // namespace

inline namespace v0 {

Transaction::Transaction(std::shared_ptr<const View> view) : KeyValue(std::move(view)) {}
Transaction::~Transaction() = default;

Transaction Transaction::with_namespace(Bytes name, const NamespaceOptions& options) {
  return Transaction(view_of_namespace(*view(), name, options));
}

void KeyValue::run_transaction(FunctionRef<void(Transaction&)> function) const {
  throw_if_refused(*view());
  if (view()->session != nullptr) return run_savepoint(view(), function);
  const os::Deadline deadline = os::deadline_in(view()->timeout_ms);
  Backoff backoff;
  for (int attempts = 0; attempts < kConflictAttempts; ++attempts) {
    if (attempt(*view(), function)) return;
    view()->conflicts->fetch_add(1, std::memory_order_relaxed);
    if (!backoff.pause(deadline)) {
      throw_refused(Code::Timeout, "the deadline passed while other writes kept changing what a transaction read");
    }
  }
  throw_refused(Code::Conflict, "other writes kept changing what a transaction read");
}

}  // namespace v0
}  // namespace tuskv
