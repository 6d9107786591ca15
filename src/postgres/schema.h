// The table of a store: made at most once, however many processes open it at the same time, and compared with what the
// options ask for. A table without our mark is never altered, nor is one of ours made to fit other options.
#pragma once

#include <string>
#include <string_view>

#include "os/deadline.h"
#include "postgres/connection.h"
#include "status.h"
#include "tuskv/options.h"

namespace tuskv::postgres {

/// A name, and a text, as SQL has them. A text is read the same whatever standard_conforming_strings says: behind a
/// pooler it may be off.
std::string quoted_identifier(std::string_view name);
std::string quoted_literal(std::string_view text);

/// The key of the row that tells an emptied table from an empty one.
std::string canary_key();

struct TableName {
  std::string schema;
  std::string table;
  std::string quoted() const { return quoted_identifier(schema) + "." + quoted_identifier(table); }
};

/// The name that the options ask for, with the schema that an unqualified name would go to.
Result<TableName> resolve_table(Connection& connection, const Options& options, os::Deadline deadline);

/// Finds the table, or makes it when the options allow; Config when it is not what they ask for, naming what differs
/// and what to write. What says nothing, partitions=0, becomes what the table has.
Status open_table(Connection& connection, const TableName& name, Options& options, os::Deadline deadline);

}  // namespace tuskv::postgres
