#include "bench/subjects/libpq.h"

#include <stdexcept>
#include <utility>

#include "bench/subject.h"
#include "bench/subjects/peers.h"
#include "postgres/target.h"

namespace tuskv::bench {
namespace {

constexpr std::size_t kParametersMax = 4;

struct Arguments {
  Arguments(std::span<const LibpqParameter> parameters) {
    if (parameters.size() > kParametersMax) throw std::invalid_argument("too many parameters");
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      values[i] = parameters[i].data;
      lengths[i] = static_cast<int>(parameters[i].size);
    }
  }
  std::array<const char*, kParametersMax> values = {};
  std::array<int, kParametersMax> lengths = {};
  static constexpr std::array<int, kParametersMax> kFormats = {1, 1, 1, 1};
};

}  // namespace

LibpqConnection::LibpqConnection(const std::string& url, bool sync) {
  const postgres::SessionSettings settings{.synchronous_commit = sync};
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  const postgres::Target target = postgres::Target::parse(url).value();
  const auto given = target.keywords(target.hosts().front(), &settings);
  for (const auto& [keyword, value] : given) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectdbParams(keywords.data(), values.data(), 0));
  if (PQstatus(get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(get()));
  // The engine goes on when it has met a locked row; a program like this one waits.
  check(LibpqResult(PQexec(get(), "set lock_timeout = 0")).get());
}

void LibpqConnection::check(const PGresult* result) const {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_PIPELINE_SYNC) return;
  throw std::runtime_error(std::string("libpq: ") + PQerrorMessage(get()));
}

void LibpqConnection::prepare(const postgres::Statement& statement) {
  const LibpqResult result(PQprepare(get(), statement.name.c_str(), statement.text.c_str(),
                                     static_cast<int>(statement.types.size()), statement.types.data()));
  check(result.get());
}

LibpqResult LibpqConnection::run(const postgres::Statement& statement, std::span<const LibpqParameter> parameters) {
  const Arguments arguments(parameters);
  LibpqResult result(PQexecPrepared(get(), statement.name.c_str(), static_cast<int>(parameters.size()),
                                    arguments.values.data(), arguments.lengths.data(), Arguments::kFormats.data(), 1));
  check(result.get());
  return result;
}

void LibpqConnection::send(const postgres::Statement& statement, std::span<const LibpqParameter> parameters) {
  const Arguments arguments(parameters);
  if (PQsendQueryPrepared(get(), statement.name.c_str(), static_cast<int>(parameters.size()), arguments.values.data(),
                          arguments.lengths.data(), Arguments::kFormats.data(), 1) != 1) {
    throw std::runtime_error(std::string("libpq: ") + PQerrorMessage(get()));
  }
}

postgres::Statements libpq_statements(const std::string& table) {
  return postgres::Statements({.table = "\"public\".\"" + table + "\""});
}

namespace {

class LibpqSubject final : public LocalSubject {
 public:
  explicit LibpqSubject(const SubjectOptions& options)
      : options_(options), statements_(libpq_statements(options.table)) {}

  /// Through tuskv, which also makes the table.
  void load(const Dataset& data) override { make_tuskv_postgres(options_)->load(data); }
  std::unique_ptr<Session> session() override;
  std::uint64_t read_all() override { return 0; }
  std::string version() const override { return std::to_string(PQlibVersion() / 10000); }

 private:
  class CallerSession;

  const SubjectOptions options_;
  const postgres::Statements statements_;
  /// Kept between turns: to connect takes longer than a turn of many callers may.
  std::vector<std::unique_ptr<LibpqConnection>> idle_;
};

class LibpqSubject::CallerSession final : public Session {
 public:
  CallerSession(LibpqSubject& subject, std::unique_ptr<LibpqConnection> connection)
      : subject_(subject), connection_(std::move(connection)) {}
  ~CallerSession() override { subject_.idle_.push_back(std::move(connection_)); }

  void set(std::string_view key, std::string_view value) override {
    const std::array<LibpqParameter, 3> parameters = {{row_key_(key), {value.data(), value.size()}, {}}};
    connection_->run(subject_.statements_.set_one, parameters);
  }
  bool get(std::string_view key, std::string& value) override {
    const std::array<LibpqParameter, 1> parameters = {{row_key_(key)}};
    const LibpqResult result = connection_->run(subject_.statements_.read_value, parameters);
    if (PQntuples(result.get()) == 0) return false;
    value.assign(PQgetvalue(result.get(), 0, 0), static_cast<std::size_t>(PQgetlength(result.get(), 0, 0)));
    return true;
  }

 private:
  LibpqSubject& subject_;
  std::unique_ptr<LibpqConnection> connection_;
  RowKey row_key_;
};

std::unique_ptr<Session> LibpqSubject::session() {
  std::unique_ptr<LibpqConnection> connection;
  if (!idle_.empty()) {
    connection = std::move(idle_.back());
    idle_.pop_back();
  } else {
    connection = std::make_unique<LibpqConnection>(options_.url, options_.sync);
    connection->prepare(statements_.read_value);
    connection->prepare(statements_.set_one);
  }
  return std::make_unique<CallerSession>(*this, std::move(connection));
}

}  // namespace

std::unique_ptr<Subject> make_libpq(const SubjectOptions& options) { return std::make_unique<LibpqSubject>(options); }

}  // namespace tuskv::bench
