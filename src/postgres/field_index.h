// Indexes on the fields of jsonb documents, which users ask for by the field's name. They serve find_by_field
// (search.h) in every namespace of the table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "postgres/database.h"

namespace tuskv::postgres {

/// The index of a field, schema and name, quoted. Its own name is made of a hash, so that it fits whatever the field is
/// called; the field stands in the index's comment.
std::string index_name(const TableName& table, std::string_view field);
/// A text that tells whether the index is there and complete.
std::string is_valid_index_text(const std::string& index);
/// UTF-8 as a literal of nothing but letters, digits and escapes, which means the same whatever the session's settings.
std::string escaped_literal(std::string_view text);

/// True when it was made now. Writers wait meanwhile. It is there as a whole or not at all.
Result<bool> create_index(Database& database, std::string_view field, os::Deadline deadline);
/// True when it was there.
Result<bool> drop_index(Database& database, std::string_view field, os::Deadline deadline);
/// The fields that have one, in order.
Result<std::vector<std::string>> indexed_fields(Database& database, os::Deadline deadline);

/// What the comments of our indexes start with; the field follows.
inline constexpr std::string_view kIndexMark = "tuskv index of field ";

}  // namespace tuskv::postgres
