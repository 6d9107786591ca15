// One session with a server. Everything is non-blocking underneath, so that each wait ends at a deadline; statements
// are sent together and answered in order (libpq's pipeline mode), so that several cost one round trip.
//
// A connection whose state is not certain (lost, late, interrupted) is broken for good: its owner closes it and makes
// another.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include "os/deadline.h"
#include "postgres/parameters.h"
#include "postgres/route.h"
#include "postgres/rows.h"
#include "postgres/target.h"
#include "status.h"
#include "tuskv/options.h"

namespace tuskv::postgres {

/// A statement of this engine, made once; or one without a name, made for an exchange, which is never prepared and has
/// to live until that has ended.
struct Statement {
  std::size_t index = 0;  ///< among the statements of the engine; below kStatementsMax
  std::string name;
  std::string text;
  std::vector<unsigned> types;
};
inline constexpr std::size_t kStatementsMax = 64;

/// Whether statements are prepared on the server. Shared by the connections of a store, since what one of them learns
/// of a pooler is true for all.
class PreparePolicy final {
 public:
  explicit PreparePolicy(PrepareMode mode) : mode_(mode) {}
  bool prepares(bool through_pooler) const {
    if (mode_ != PrepareMode::automatic) return mode_ == PrepareMode::always;
    return !through_pooler && !refused_.load(std::memory_order_relaxed);
  }
  /// The server did not know what had been prepared, or knew it already: a pooler is in between.
  void note_refusal() { refused_.store(true, std::memory_order_relaxed); }

 private:
  const PrepareMode mode_;
  std::atomic<bool> refused_ = false;
};

/// Facts of a session, asked once.
struct SessionFacts {
  bool through_pooler = false;
  int server_version = 0;
  std::string encoding = {};  ///< of the database
  /// So are transactions that do not say of what level they are.
  bool is_read_committed = true;
};

class Connection final {
  struct OnlyOpen {};  // a constructor parameter nobody else can name

 public:
  struct Options {
    Route& route;
    SessionSettings settings;
    PreparePolicy& policy;
    std::int64_t attempt_timeout_ms = 5000;
  };
  /// Connects and finds out what is at the other end.
  static Result<std::unique_ptr<Connection>> open(const Options& options, os::Deadline deadline);
  /// Takes the session, which was asked for at `turns` of the route.
  Connection(OnlyOpen, PGconn* session, const Options& options, std::uint64_t turns);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const SessionFacts& facts() const { return facts_; }
  /// By the steady clock.
  std::int64_t opened_us() const { return opened_us_; }
  bool prepares() const { return prepares_; }

  /// Adds a statement to the next exchange and returns its place in it. Statements up to end_transaction() are one
  /// transaction, unless they begin and commit one themselves.
  std::size_t add(const Statement& statement, const Parameters& parameters = {});
  /// A text without parameters, never prepared.
  std::size_t add_text(const std::string& text);
  void end_transaction();
  /// Sends what was added and waits for every answer. The first failure of any statement, or one with outcome `unknown`
  /// where there is one: when the connection was lost after something had been sent, or the server itself cannot say.
  Status exchange(os::Deadline deadline);
  /// Of the last exchange; empty where a statement failed.
  const Rows& rows(std::size_t place) const { return rows_[place]; }
  /// The same, to outlive the next exchange.
  Rows take_rows(std::size_t place) { return std::move(rows_[place]); }
  /// Of the last exchange, for each transaction of it: its failure.
  const Status& transaction_status(std::size_t transaction) const { return transactions_[transaction]; }

  /// Of the last exchange: its end was answered, so its status holds, whatever became of the connection.
  bool transaction_ended(std::size_t transaction) const { return transaction < transaction_; }

  /// The server has said, as the session began or since, that it takes no writes now: a standby, or a role that shall
  /// only read. A pooler may not pass that on.
  bool is_read_only() const;

  bool broken() const { return broken_; }
  /// Since this session began, one has met a server that takes no writes any more: a new session may lead elsewhere.
  bool is_outdated() const { return route_.turns() != turns_; }
  /// A transaction is open on the server, or has failed and not been rolled back.
  bool in_transaction() const { return PQtransactionStatus(session_.get()) != PQTRANS_IDLE; }
  /// The other end has closed the session, or said something unasked: not to be used any more.
  bool looks_dead() const;

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  enum class Answer : std::uint8_t { prepared, rows, text, sync };
  struct Expected {
    Answer answer;
    const Statement* statement = nullptr;
    std::size_t place = 0;
  };

  Status ask_facts(os::Deadline deadline);

  Status send(os::Deadline deadline);
  Status receive(os::Deadline deadline);
  /// Handles one result of the statement answered at the moment.
  void take(const Expected& expected, PGresult* result);
  Status wait(short events, os::Deadline deadline);
  Status lost(std::string_view what);
  Status failure_of(const PGresult* result);
  void note_refused_write();
  /// What the server says unasked.
  static void take_notice(void* connection, const PGresult* notice);
  void start_over();

  std::unique_ptr<PGconn, Finish> session_;
  Route& route_;
  PreparePolicy& policy_;
  const std::uint64_t turns_;
  bool always_read_only_ = false;  ///< since it began
  SessionFacts facts_;
  const std::int64_t opened_us_ = os::steady_us();
  bool prepares_ = false;
  bool broken_ = false;
  bool sent_ = false;
  bool finished_ = false;  ///< an exchange has ended: the next add starts another
  std::uint64_t prepared_[(kStatementsMax + 63) / 64] = {};
  std::vector<Expected> expected_;
  std::vector<Rows> rows_;
  std::vector<Status> transactions_;
  std::size_t transaction_ = 0;
};

}  // namespace tuskv::postgres
