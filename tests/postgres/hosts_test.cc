// Several hosts, wherever their names come from: the one that takes writes is found, in time.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "open.h"
#include "os/unique_fd.h"
#include "postgres/database.h"
#include "postgres/route.h"
#include "postgres/server_test.h"
#include "support/fault_proxy.h"
#include "support/temporary_directory.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::HasSubstr;
using testing::Optional;
using Clock = std::chrono::steady_clock;

class PostgresHosts : public ServerTest {
 protected:
  /// The database by way of these two, in their order.
  std::string by_way_of(const FaultProxy& first, const FaultProxy& second, const std::string& parameters) const {
    return "postgresql://tuskv@127.0.0.1:" + std::to_string(first.address().port) +
           ",127.0.0.1:" + std::to_string(second.address().port) + "/" + database() +
           "?sslmode=disable&ttl_mode=manual" + parameters;
  }
};

/// One that takes the connection and says nothing, as one whose packets are dropped.
TEST_F(PostgresHosts, R30_ASilentHostIsPassedBy) {
  FaultProxy first(shared().server());
  FaultProxy second(shared().server());
  first.set_behaviour({.holds = true});
  std::optional<Store> store;
  auto begin = Clock::now();
  const auto failure =
      failure_of(2s, [&] { store = Store::open(by_way_of(first, second, "&timeout=2s&pool_size=4")); });
  ASSERT_FALSE(failure) << failure->what();
  EXPECT_LT(Clock::now() - begin, 1500ms) << "its share of the time, no more";
  // What has been found is kept: further connections ask the silent one no more.
  begin = Clock::now();
  run_threads(4, [&](int t) { store->set("k" + std::to_string(t), "v"); });
  EXPECT_LT(Clock::now() - begin, 500ms);
  // And the other way round.
  first.set_behaviour({});
  second.act_on_all(ProxyAction::reset);
  second.set_behaviour({.holds = true});
  const auto later = failure_of(2s, [&] { EXPECT_THAT(store->get("k0"), Optional(std::string("v"))); });
  EXPECT_FALSE(later) << later->what();
  EXPECT_EQ(store->count(), 4u);
}

/// One name can stand for several addresses, of which some are gone.
TEST_F(PostgresHosts, R30_ASilentAddressOfANameIsPassedBy) {
  const FaultProxy good(shared().server());
  const os::UniqueFd silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(good.address().port));
  ::inet_pton(AF_INET, "127.0.0.2", &address.sin_addr);
  ASSERT_EQ(::bind(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(silent.get(), 1), 0);
  const auto target = postgres::Target::parse("postgresql://tuskv@db.example:" + std::to_string(good.address().port) +
                                              "/" + database() + "?sslmode=disable");
  ASSERT_TRUE(target.ok());
  postgres::Route route(target.value(), {.look_up_name = [](const std::string& name) {
                          EXPECT_EQ(name, "db.example");
                          return std::vector<std::string>{"127.0.0.2", "127.0.0.1"};
                        }});
  for (const auto at_most : {800ms, 300ms}) {  // the second time it begins with the one that was good
    const auto begin = Clock::now();
    const Result<PGconn*> session = route.connect({}, 1000, os::deadline_in(1000));
    ASSERT_TRUE(session.ok()) << session.failure().message;
    EXPECT_STREQ(::PQhost(session.value()), "db.example") << "which certificates and passwords belong to";
    EXPECT_STREQ(::PQhostaddr(session.value()), "127.0.0.1");
    ::PQfinish(session.value());
    EXPECT_LT(Clock::now() - begin, at_most);
  }
}

/// One name can stand for a primary and its standbys, in any order, and at times the primary is away.
TEST_F(PostgresHosts, R83_ANameLeadsToTheAddressThatTakesWrites) {
  const PostgresServer primary({.lines = {"max_wal_senders = 4", "wal_level = replica"}});
  const std::string name = create_database(primary.address());
  const PostgresServer standby({.standby_of = &primary});
  const FaultProxy first(standby.address());
  FaultProxy second(primary.address(), {.host = "127.0.0.2", .port = first.address().port});
  const auto open_named = [&](const std::string& parameters) {
    const auto look_up = [](const std::string&) { return std::vector<std::string>{"127.0.0.1", "127.0.0.2"}; };
    return open_store("postgresql://tuskv@db.example:" + std::to_string(first.address().port) + "/" + name +
                          "?sslmode=disable&ttl_mode=manual&pool_size=1&timeout=2s" + parameters,
                      {}, {.look_up_name = look_up});
  };
  const Store store = open_named("");
  store.set("k", "old");
  ASSERT_TRUE(eventually([&] {
    try {
      return SqlConnection(standby.url(name)).value("select count(*) from tuskv") == "1";
    } catch (const SqlError&) {
      return false;
    }
  }));
  second.set_behaviour({.refuses = true});
  second.act_on_all(ProxyAction::reset);
  const auto failure = failure_of(2s, [&] { store.get("k"); });
  ASSERT_TRUE(failure) << "the standby's answers may be old";
  EXPECT_EQ(failure->code(), Code::Connection) << failure->what();
  EXPECT_THAT(failure->what(), HasSubstr("target_session_attrs=any"));
  second.set_behaviour({});
  store.set("k", "new");
  EXPECT_THAT(store.get("k"), Optional(std::string("new")));
  // Where any will do, one that has refused a write is passed by.
  const Store anywhere = open_named("&target_session_attrs=any");
  EXPECT_EQ(first.connections(), 1u);
  anywhere.set("k", "newer");
  EXPECT_THAT(anywhere.get("k"), Optional(std::string("newer")));
  EXPECT_TRUE(eventually([&] { return first.connections() == 0; }));
}

/// What all of them say is told, when none will do.
TEST_F(PostgresHosts, R30_EveryHostSaysWhyItWouldNotDo) {
  FaultProxy silent(shared().server());
  silent.set_behaviour({.holds = true});
  const Error error = error_of([&] {
    return Store::open("postgresql://tuskv@127.0.0.1:1,127.0.0.1:" + std::to_string(silent.address().port) +
                       "/x?timeout=300ms&sslmode=disable");
  });
  EXPECT_EQ(error.code(), Code::Connection);
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  EXPECT_THAT(error.what(), HasSubstr("refused"));
  EXPECT_THAT(error.what(), HasSubstr("did not answer in time"));
}

/// A variable of the environment, for a scope in which no other thread of this process reads it.
class Environment final {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Environment() { ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

/// Hosts that libpq finds elsewhere are several, too: one that takes no writes is passed by.
TEST_F(PostgresHosts, R31_HostsOfTheServiceFileAndTheEnvironmentAreSeen) {
  PostgresServer read_only;
  SqlConnection(read_only.url("postgres")).run("create database " + database());
  read_only.add_setting("default_transaction_read_only = on");
  read_only.restart(Shutdown::immediate);
  const std::string hosts = read_only.address().host + "," + shared().server().host;
  const std::string ports = std::to_string(read_only.address().port) + "," + std::to_string(shared().server().port);
  const std::string options = "?timeout=2s&ttl_mode=manual&user=tuskv";
  const auto expect_writable = [&](const std::string& url) {
    const auto failure = failure_of(2s, [&] { Store::open(url).increment("n"); });
    EXPECT_FALSE(failure) << url << ": " << failure->what();
  };
  {
    const Environment host("PGHOST", hosts);
    const Environment port("PGPORT", ports);
    expect_writable("postgresql:///" + database() + options);
  }
  const TemporaryDirectory directory;
  const Environment file("PGSERVICEFILE", directory.path("services"));
  std::ofstream(directory.path("services")) << "[two]\nhost=" << hosts << "\nport=" << ports << "\n";
  expect_writable("postgresql:///" + database() + options + "&service=two");
  {
    const Environment service("PGSERVICE", "two");
    expect_writable("postgresql:///" + database() + options);
  }
  EXPECT_EQ(open().get("n"), "3");
  const Error error = error_of([&] { return Store::open("postgresql:///" + database() + options + "&service=three"); });
  EXPECT_EQ(error.code(), Code::Config);
  EXPECT_THAT(error.what(), HasSubstr("three"));
}

/// Takes so many connections of the pool at the same time; what each says, the last one first.
std::vector<std::string> answers_of(postgres::Database& database, std::size_t connections, const std::string& text) {
  std::vector<std::string> answers;
  const os::Deadline deadline = os::deadline_in(10'000);
  const Status status =
      database.run(postgres::Database::Effect::reads, deadline, [&](postgres::Connection& connection) {
        if (connections > 1) answers = answers_of(database, connections - 1, text);
        const std::size_t place = connection.add_text(text);
        connection.end_transaction();
        TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
        answers.emplace_back(connection.rows(place).bytes(0, 0));
        return Status();
      });
  EXPECT_TRUE(status.ok()) << status.failure().message;
  return answers;
}

std::vector<std::string> processes_of(postgres::Database& database, std::size_t connections) {
  return answers_of(database, connections, "select pg_backend_pid()::text");
}

std::size_t count_kept(const std::vector<std::string>& before, const std::vector<std::string>& now) {
  return static_cast<std::size_t>(std::count_if(now.begin(), now.end(), [&](const std::string& process) {
    return std::find(before.begin(), before.end(), process) != before.end();
  }));
}

Status write_to(postgres::Database& database) {
  const os::Deadline deadline = os::deadline_in(10'000);
  return database.run(postgres::Database::Effect::writes, deadline, [&](postgres::Connection& connection) {
    connection.add_text("create table written ()");
    connection.end_transaction();
    return connection.exchange(deadline);
  });
}

/// As after a failover that cuts no session: behind a proxy, or where a primary is told to take no more writes.
TEST_F(PostgresHosts, R90_TheFirstRefusalOfAWriteRetiresAllSessionsOfBefore) {
  PostgresServer old;
  SqlConnection(old.url("postgres")).run("create database " + database());
  const PostgresAddress& other = shared().server();
  auto target = postgres::Target::parse("postgresql:///" + database() + "?user=tuskv&host=" + old.address().host + "," +
                                        other.host + "&port=" + std::to_string(old.address().port) + "," +
                                        std::to_string(other.port));
  ASSERT_TRUE(target.ok()) << target.failure().message;
  auto opened = postgres::Database::open(
      {.target = std::move(target).value(), .options = {.pool_size = 4, .retries = 1}, .clock = {}});
  ASSERT_TRUE(opened.ok()) << opened.failure().message;
  postgres::Database& database = *opened.value();
  processes_of(database, 4);
  old.add_setting("default_transaction_read_only = on");
  old.reload();
  ASSERT_TRUE(eventually(
      [&] { return SqlConnection(old.url("postgres")).value("show default_transaction_read_only") == "on"; }));
  const Status status = write_to(database);
  EXPECT_TRUE(status.ok()) << "the second try met another session of before: " << status.failure().message;
  EXPECT_EQ(sql().value("select count(*) from pg_class where relname = 'written'"), "1");
  processes_of(database, 4);
  EXPECT_TRUE(eventually([&] {
    return SqlConnection(old.url("postgres"))
               .value("select count(*) from pg_stat_activity where datname = '" + this->database() + "'") == "0";
  })) << "a read went on with what may be old";
}

/// Where sessions are read-only from their beginning, a refusal says nothing new.
TEST_F(PostgresHosts, R90_ARefusalByWhatHasAlwaysBeenReadOnlyRetiresNoOther) {
  open();
  sql().run("alter database " + database() + " set default_transaction_read_only = on");
  auto target = postgres::Target::parse(url());
  ASSERT_TRUE(target.ok()) << target.failure().message;
  auto opened = postgres::Database::open(
      {.target = std::move(target).value(), .options = {.create = false, .pool_size = 3, .retries = 0}, .clock = {}});
  ASSERT_TRUE(opened.ok()) << opened.failure().message;
  postgres::Database& database = *opened.value();
  const std::vector<std::string> before = processes_of(database, 3);
  const Status status = write_to(database);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.failure().sqlstate, "25006");
  EXPECT_EQ(count_kept(before, processes_of(database, 3)), 2u) << "the refused session alone is replaced";
}

/// One that began read-only and has taken writes since says something new when it refuses one again.
TEST_F(PostgresHosts, R97_ARefusalByWhatHasTakenWritesMeanwhileRetiresTheOthers) {
  PostgresServer server;
  const std::string name = create_database(server.address());
  Store::open(server.url(name));  // the table
  auto target = postgres::Target::parse(server.url(name));
  ASSERT_TRUE(target.ok()) << target.failure().message;
  const auto become = [&](const std::string& read_only, const std::function<std::string()>& said) {
    server.add_setting("default_transaction_read_only = " + read_only);
    server.reload();
    ASSERT_TRUE(eventually([&] { return said() == read_only; }));
  };
  become("on", [&] { return SqlConnection(server.url(name)).value("show default_transaction_read_only"); });
  auto opened = postgres::Database::open(
      {.target = std::move(target).value(), .options = {.create = false, .pool_size = 3, .retries = 0}, .clock = {}});
  ASSERT_TRUE(opened.ok()) << opened.failure().message;
  postgres::Database& database = *opened.value();
  const auto said_by_all = [&] {
    const std::vector<std::string> said = answers_of(database, 3, "show default_transaction_read_only");
    return said[0] == said[1] && said[1] == said[2] ? said[0] : "one and the other";
  };
  const std::vector<std::string> before = processes_of(database, 3);
  become("off", said_by_all);
  become("on", said_by_all);
  ASSERT_EQ(count_kept(before, processes_of(database, 3)), 3u);
  const Status status = write_to(database);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.failure().sqlstate, "25006");
  EXPECT_EQ(count_kept(before, processes_of(database, 3)), 0u);
}

/// Where new sessions do not know what they lead to, as behind a pooler, each of them is refused as well.
TEST(PostgresRoute, R90_SessionsAreRetiredOnceInAWhile) {
  const auto target = postgres::Target::parse("postgresql://localhost/any");
  ASSERT_TRUE(target.ok());
  postgres::Route route(target.value());
  route.note_turn(0);
  EXPECT_EQ(route.turns(), 1u);
  route.note_turn(0);  // of a session from before
  route.note_turn(1);  // of a new one
  EXPECT_EQ(route.turns(), 1u);
}

/// A server that cannot look for lost clients refuses the session for it; one before version 14 does not know of it.
TEST_F(PostgresHosts, R84_AServerThatCannotLookForLostClientsIsUsedAllTheSame) {
  using Replaced = std::vector<std::pair<std::string, std::string>>;
  for (const Replaced& replaced : {
           Replaced{{"client_connection_check_interval=1s", "client_connection_check_interval=1x"}},
           Replaced{{"client_connection_check_interval=1s", "client_connection_check_intervax=1s"},
                    {"client_connection_check_intervax\"", "client_connection_check_interval\""}},
       }) {
    FaultProxy proxy(shared().server());
    proxy.set_behaviour({.replaced = replaced});
    const Store store = Store::open(proxy.address().url(database()) + "&sslmode=disable&ttl_mode=manual&pool_size=1");
    store.set("k", "v");
    EXPECT_THAT(store.get("k"), Optional(std::string("v")));
    EXPECT_GE(proxy.faults_met(), replaced.size()) << "nobody asked for it";
  }
}

/// The pool's thread may try for seconds; nobody who closes waits for it.
TEST_F(PostgresHosts, R61_AStoreClosesAtOnceWhileAConnectionIsMade) {
  FaultProxy proxy(shared().server());
  const Store store = Store::open(proxy.address().url(database()) + "&sslmode=disable&ttl_mode=manual");
  proxy.set_behaviour({.holds = true});
  proxy.act_on_all(ProxyAction::reset);
  EXPECT_TRUE(failure_of(200ms, [&] { store.with_timeout(200ms).get("k"); }));
  const auto start = std::chrono::steady_clock::now();
  store.close();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
}

TEST_F(PostgresHosts, R61_AStoreClosesAtOnceWhileItsSweeperWaitsForAConnection) {
  FaultProxy proxy(shared().server());
  const Store store = Store::open(proxy.address().url(database()) + "&sslmode=disable&sweep_interval=10ms");
  proxy.set_behaviour({.holds = true});
  proxy.act_on_all(ProxyAction::reset);
  ASSERT_TRUE(eventually([&] { return proxy.connections() > 0; })) << "the sweeper connects again";
  const auto start = std::chrono::steady_clock::now();
  store.close();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
}

/// Seconds until the kernel probes the first idle connection of this machine to the port; -1: there is none.
double next_probe_s(int port) {
  constexpr double kTicksPerSecond = 100;
  std::ifstream table("/proc/net/tcp");
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    unsigned remote_port = 0;
    unsigned state = 0;
    unsigned timer = 0;
    unsigned long when = 0;
    if (std::sscanf(line.c_str(), "%*d: %*[^:]:%*x %*[^:]:%x %x %*[^:]:%*x %x:%lx", &remote_port, &state, &timer,
                    &when) != 4) {
      continue;
    }
    constexpr unsigned kEstablished = 1;
    constexpr unsigned kKeepalive = 2;
    if (static_cast<int>(remote_port) == port && state == kEstablished && timer == kKeepalive) {
      return static_cast<double>(when) / kTicksPerSecond;
    }
  }
  return -1;
}

/// A connection that something in between has forgotten is found out while nobody waits for it.
TEST_F(PostgresHosts, R72_IdleConnectionsAreProbedUnlessTheUserSaysHow) {
  const FaultProxy proxy(shared().server());
  for (const auto& [parameters, longest_s] : std::map<std::string, double>{{"", 30}, {"&keepalives_idle=300", 300}}) {
    const Store store = Store::open(proxy.address().url(database()) + "&sslmode=disable&ttl_mode=manual" + parameters);
    double probe_s = -1;
    EXPECT_TRUE(eventually([&] { return (probe_s = next_probe_s(proxy.address().port)) > 0; }));
    EXPECT_LE(probe_s, longest_s);
    EXPECT_GT(probe_s, longest_s - 20);
    store.close();
    EXPECT_TRUE(eventually([&] { return next_probe_s(proxy.address().port) < 0; }));
  }
}

}  // namespace
}  // namespace tuskv::test
