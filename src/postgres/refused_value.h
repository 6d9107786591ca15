// A jsonb column refuses a document, and the server does not say of which key. So it is asked again, about halves of
// all that a call has set: some round trips more, and only for a call that has failed.
#pragma once

#include <span>
#include <string_view>

#include "os/deadline.h"
#include "postgres/database.h"
#include "status.h"

namespace tuskv::postgres {

struct GivenValue {
  std::string_view key;  ///< as it is stored
  std::string_view value;
};

/// What a call has failed with, and where that is because one of its values is no JSON, which key's: the first one's.
/// Without time to find out, that it is one of them. Values are lent until it returns.
Status explain_refused_value(Database& database, std::span<const GivenValue> values, Status status,
                             os::Deadline deadline);

}  // namespace tuskv::postgres
