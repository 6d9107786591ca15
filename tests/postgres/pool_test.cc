// The pool on a real server, with attempts to connect that fail or take their time as a test wants.
#include "postgres/pool.h"

#include <atomic>
#include <memory>
#include <new>
#include <thread>

#include "postgres/limits.h"
#include "postgres/server_test.h"

namespace tuskv::test {
namespace {

using namespace std::chrono_literals;
using postgres::Connection;
using postgres::Lease;
using postgres::Pool;
using Clock = std::chrono::steady_clock;

class PostgresPool : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    Result<postgres::Target> target = postgres::Target::parse(url());
    ASSERT_TRUE(target.ok());
    target_.emplace(std::move(target).value());
    route_.emplace(*target_);
  }
  /// What every attempt does first.
  using Before = std::function<Status(os::Deadline deadline)>;
  void make_pool(std::size_t size, Before before) {
    pool_.emplace(
        size, [this, before = std::move(before)](os::Deadline deadline) -> Result<std::unique_ptr<Connection>> {
          ++attempts_;
          TUSKV_RETURN_IF_ERROR(before(deadline));
          return Connection::open({.route = *route_, .settings = {}, .policy = policy_}, os::deadline_in(10'000));
        });
  }
  static Status refused() { return Status(Code::Connection, "refused", Outcome::not_applied); }
  Status hung(os::Deadline until) const {
    while (Clock::now() < until && !released_) std::this_thread::sleep_for(1ms);
    return Status(Code::Timeout, "hung", Outcome::not_applied);
  }
  Result<Lease> acquire(std::int64_t timeout_ms) { return pool_->acquire(os::deadline_in(timeout_ms)); }

  std::optional<postgres::Target> target_;
  std::optional<postgres::Route> route_;
  postgres::PreparePolicy policy_{PrepareMode::automatic};
  std::atomic<int> attempts_ = 0;
  std::atomic<bool> released_ = false;  ///< attempts that hang end
  std::optional<Pool> pool_;            // after what its attempts use
};

/// However long the pause before the next attempt is: a connection may come back until the deadline.
TEST_F(PostgresPool, R60_WhoCannotConnectWaitsForAConnectionToComeBack) {
  make_pool(2, [this](os::Deadline) { return attempts_ == 1 ? Status() : refused(); });
  for (int round = 0; round < 3; ++round) {
    const Result<Lease> lent = acquire(10'000);
    ASSERT_TRUE(lent.ok());
    const auto start = Clock::now();
    const Result<Lease> none = acquire(300);
    EXPECT_GE(Clock::now() - start, 300ms);
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.failure().message, "refused");
  }
  EXPECT_TRUE(acquire(0).ok());
}

/// Calls with less time than it takes to connect are served all the same, once the pool has connected for them.
TEST_F(PostgresPool, R61_AConnectionThatTakesLongerThanACallIsMadeForTheNext) {
  std::atomic<bool> slow = false;
  make_pool(2, [&](os::Deadline deadline) {
    const os::Deadline made = os::deadline_in(slow ? 300 : 0);
    if (made > deadline) return hung(deadline);
    std::this_thread::sleep_until(made);
    return Status();
  });
  slow = true;
  EXPECT_FALSE(acquire(20).ok()) << "it is not open yet: nobody goes on";
  std::this_thread::sleep_for(400ms);
  EXPECT_FALSE(acquire(20).ok());
  pool_->connect_on();
  EXPECT_FALSE(acquire(20).ok());
  EXPECT_TRUE(eventually([&] { return acquire(20).ok(); }));
  EXPECT_LE(attempts_, 5);
}

/// A new connection that hangs keeps a caller from one that comes back for a moment, and the callers after it not at
/// all.
TEST_F(PostgresPool, R62_ANewConnectionThatHangsHoldsUpNobodyForLong) {
  make_pool(3, [this](os::Deadline deadline) { return attempts_ == 1 ? Status() : hung(deadline); });
  pool_->connect_on();
  for (const auto longest : {std::chrono::milliseconds(postgres::kOwnAttemptMsMax) + 1s, 1000ms}) {
    std::optional<Result<Lease>> lent(acquire(10'000));
    ASSERT_TRUE(lent->ok());
    const auto start = Clock::now();
    std::thread another([&] { EXPECT_TRUE(acquire(30'000).ok()); });
    std::this_thread::sleep_for(50ms);
    lent.reset();
    another.join();
    EXPECT_LT(Clock::now() - start, longest);
  }
  released_ = true;
  pool_->close();  // waits for the attempt
  const Result<Lease> closed = acquire(1000);
  ASSERT_FALSE(closed.ok());
  EXPECT_EQ(closed.failure().code, Code::Closed);
}

/// After one that has failed, callers try no more themselves while a connection may come back.
TEST_F(PostgresPool, R62_AfterAFailureThePoolConnectsAndCallersWaitForWhateverComes) {
  make_pool(3, [this](os::Deadline deadline) -> Status {
    const int attempt = attempts_;
    if (attempt == 1) return {};
    return attempt == 2 ? refused() : hung(deadline);
  });
  pool_->connect_on();
  std::optional<Result<Lease>> lent(acquire(10'000));
  ASSERT_TRUE(lent->ok());
  const auto start = Clock::now();
  std::thread another([&] { EXPECT_TRUE(acquire(30'000).ok()); });
  EXPECT_TRUE(eventually([&] { return attempts_ == 3; }));
  lent.reset();
  another.join();
  EXPECT_LT(Clock::now() - start, std::chrono::milliseconds(postgres::kOwnAttemptMsMax) - 200ms);
  released_ = true;
}

/// The pool is as large as before, and closing does not wait for it.
TEST_F(PostgresPool, R140_AnAttemptThatFindsNoMemoryGivesItsPlaceBack) {
  make_pool(1, [this](os::Deadline) {
    if (attempts_ == 1) throw std::bad_alloc();
    return Status();
  });
  EXPECT_THROW(acquire(10'000), std::bad_alloc);
  EXPECT_TRUE(acquire(10'000).ok());
  pool_->close();
}

}  // namespace
}  // namespace tuskv::test
