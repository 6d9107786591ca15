#include "postgres/sqlstate.h"

#include <algorithm>
#include <array>

namespace tuskv::postgres {
namespace {

using Remedy = ErrorClass::Remedy;

struct Row {
  std::string_view prefix;  ///< a whole code, or the two characters of a class
  ErrorClass meaning;
};

// The first row whose prefix fits counts: codes stand before their classes.
constexpr std::array kRows = {
    // Lost in the middle of something: nobody can say.
    Row{"08007", {.code = Code::Connection, .outcome = Outcome::unknown}},
    Row{"40003", {.code = Code::Connection, .outcome = Outcome::unknown}},
    // An administrator or a crash ended the session. It may have been committing at that moment.
    Row{"57P01", {.code = Code::Connection, .outcome = Outcome::unknown}},
    Row{"57P02", {.code = Code::Connection, .outcome = Outcome::unknown}},
    Row{"57P05", {.code = Code::Connection, .outcome = Outcome::unknown}},
    Row{"25P03", {.code = Code::Timeout, .remedy = Remedy::reconnect}},
    Row{"25P04", {.code = Code::Timeout, .remedy = Remedy::reconnect}},
    // Others are in the way.
    Row{"40001", {.code = Code::Conflict, .remedy = Remedy::retry}},
    Row{"40P01", {.code = Code::Conflict, .remedy = Remedy::retry}},
    Row{"2201W", {.code = Code::Conflict, .remedy = Remedy::retry}},  // Statements::still_before
    Row{"55P03", {.code = Code::Timeout, .remedy = Remedy::alone}},
    Row{"57014", {.code = Code::Timeout, .remedy = Remedy::alone}},
    // The wrong server, or one that is not ready.
    Row{"25006", {.code = Code::Connection, .remedy = Remedy::reconnect}},
    Row{"53300", {.code = Code::Connection, .remedy = Remedy::reconnect}},
    Row{"57P03", {.code = Code::Connection, .remedy = Remedy::reconnect}},
    Row{"57P04", {.code = Code::Connection}},
    // Statements prepared under another definition of the table, or on another backend behind a pooler.
    Row{"0A000", {.code = Code::Unsupported, .remedy = Remedy::reconnect}},
    Row{"26000", {.code = Code::Connection, .remedy = Remedy::reconnect}},
    Row{"42P05", {.code = Code::Connection, .remedy = Remedy::reconnect}},
    // Values that the column refuses.
    Row{"22P02", {.code = Code::InvalidValue, .remedy = Remedy::alone}},
    Row{"22P05", {.code = Code::InvalidValue, .remedy = Remedy::alone}},
    Row{"22021", {.code = Code::InvalidValue, .remedy = Remedy::alone}},
    Row{"22", {.code = Code::InvalidValue, .remedy = Remedy::alone}},
    Row{"54000", {.code = Code::TooLarge, .remedy = Remedy::alone}},
    Row{"54", {.code = Code::TooLarge, .remedy = Remedy::alone}},
    Row{"23", {.code = Code::InvalidValue, .remedy = Remedy::alone}},  // a constraint that somebody has added
    Row{"P0", {.code = Code::InvalidValue, .remedy = Remedy::alone}},  // somebody's trigger, in PL/pgSQL
    // The server is out of something.
    Row{"53100", {.code = Code::NoSpace, .remedy = Remedy::alone}},
    Row{"53200", {.code = Code::NoSpace, .remedy = Remedy::alone}},
    Row{"53", {.code = Code::NoSpace, .remedy = Remedy::alone}},
    Row{"58", {.code = Code::Io}},
    Row{"XX001", {.code = Code::Corruption}},
    Row{"XX002", {.code = Code::Corruption}},
    // The table, the database, the role or the rights are not what they should be.
    Row{"28", {.code = Code::Config}},
    Row{"3D", {.code = Code::Config}},
    Row{"3F", {.code = Code::Config}},
    Row{"42", {.code = Code::Config}},
    Row{"55000", {.code = Code::Config}},
    Row{"08P01", {.code = Code::Connection, .outcome = Outcome::unknown}},
    Row{"08", {.code = Code::Connection}},
};

}  // namespace

ErrorClass classify(std::string_view sqlstate) {
  const auto row =
      std::find_if(kRows.begin(), kRows.end(), [&](const Row& known) { return sqlstate.starts_with(known.prefix); });
  return row == kRows.end() ? ErrorClass{} : row->meaning;
}

ErrorClass classify_fatal(std::string_view sqlstate) {
  // The session never began, or was ended with its transaction rolled back.
  constexpr std::array<std::string_view, 5> kCertain = {"53300", "57P03", "28", "25P03", "25P04"};
  ErrorClass meaning = classify(sqlstate);
  const auto fits = [&](std::string_view prefix) { return sqlstate.starts_with(prefix); };
  if (std::none_of(kCertain.begin(), kCertain.end(), fits)) meaning.outcome = Outcome::unknown;
  return meaning;
}

}  // namespace tuskv::postgres
