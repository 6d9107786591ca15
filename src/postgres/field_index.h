// Indexes on the fields of jsonb documents, which users ask for by the field's name. They serve find_by_field (page.h)
// in every namespace of the table. An index is known by its table and its comment, which names the field: so it stays
// what it is when the table is renamed or restored from a dump, and another table's is never taken for it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "postgres/database.h"

namespace tuskv::postgres {

/// UTF-8 as a literal of nothing but letters, digits and escapes, which means the same whatever the session's settings.
std::string escaped_literal(std::string_view text);

/// The comment of a field's index, as a literal.
std::string index_comment(std::string_view field);

/// True when it was made now. Writers wait meanwhile. It is there as a whole or not at all.
Result<bool> create_index(Database& database, std::string_view field, os::Deadline deadline);
/// True when it was there.
Result<bool> drop_index(Database& database, std::string_view field, os::Deadline deadline);
/// The fields that have one, in order.
Result<std::vector<std::string>> indexed_fields(Database& database, os::Deadline deadline);

}  // namespace tuskv::postgres
