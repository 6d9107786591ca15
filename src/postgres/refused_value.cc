#include "postgres/refused_value.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "key_text.h"
#include "postgres/respelling.h"

namespace tuskv::postgres {
namespace {

/// Classes 22 (what is no JSON, or no text) and 54 (what is too deep, or too much): also what others' triggers raise.
bool may_refuse_json(const Failure& failure) {
  const std::string_view sqlstate = failure.sqlstate;
  return failure.outcome == Outcome::not_applied && (sqlstate.starts_with("22") || sqlstate.starts_with("54"));
}

Status refusal_of(const std::string& which, const Failure& said) {
  Failure failure = said;
  failure.message = which + " is not JSON that a jsonb column can hold (" + said.message + ")";
  return Status(std::make_unique<Failure>(std::move(failure)));
}

/// Whether the server takes all of them; fails when it cannot be asked.
Result<bool> are_json(Database& database, std::span<const GivenValue> values, os::Deadline deadline) {
  std::vector<std::string_view> documents;
  documents.reserve(values.size());
  for (const GivenValue& given : values) documents.push_back(given.value);
  Status status = database.run(Database::Effect::reads, deadline, [&](Connection& connection) {
    database.add_settings(connection, {.deadline = deadline});
    Respelling().add(database.statements(), connection, documents);
    connection.end_transaction();
    return connection.exchange(deadline);
  });
  if (status.ok()) return true;
  if (may_refuse_json(status.failure())) return false;
  return status;
}

}  // namespace

Status explain_refused_value(Database& database, std::span<const GivenValue> values, Status status,
                             os::Deadline deadline) {
  const bool is_json = database.options().value_type == ValueType::jsonb;
  if (!is_json || values.empty() || status.ok() || !may_refuse_json(status.failure())) return status;
  while (values.size() > 1) {
    const auto half = values.first(values.size() / 2);
    const Result<bool> taken = are_json(database, half, deadline);
    if (!taken.ok()) return refusal_of("a value", status.failure());
    values = taken.value() ? values.subspan(half.size()) : half;
  }
  const Result<bool> taken = are_json(database, values, deadline);
  if (!taken.ok()) return refusal_of("a value", status.failure());
  if (taken.value()) return status;  // what was refused is something else
  return refusal_of("the value of key " + quoted_key(values.front().key), status.failure());
}

}  // namespace tuskv::postgres
