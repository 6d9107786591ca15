// The formats that import reads, one record at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cli/batch_writer.h"
#include "cli/exit_code.h"
#include "cli/input.h"

namespace tuskv::cli {

/// How a JSON document becomes entries.
struct JsonMapping {
  std::string pointer = {};               ///< where in the document the entries are (RFC 6901); "" is the document
  std::optional<std::string> key = {};    ///< of an array of objects: the field that is the key
  std::optional<std::string> value = {};  ///< the field that is the value; default: the whole object
};

/// A line that is no record, or one that the store refuses; what() says where and why.
class BadLine : public UsageError {
 public:
  using UsageError::UsageError;
};

class RecordReader {
 public:
  virtual ~RecordReader() = default;
  /// The next record, or nothing at the end. After a BadLine the next call goes on behind it.
  virtual std::optional<Record> next() = 0;
  /// Line (for a JSON document: entry) of the last record, from 1.
  virtual std::uint64_t position() const = 0;
  /// How messages call a position: `line 3 of FILE` is `FILE, line 3`.
  virtual std::string place(std::uint64_t position) const = 0;
  virtual bool would_wait() const = 0;
};

/// `{"key": …, "value": …, "expires_at_ms": …, "namespace": …}` a line, as export writes it.
std::unique_ptr<RecordReader> read_ndjson(Input& input);
/// Key, tab, value a line; the value is the rest of the line.
std::unique_ptr<RecordReader> read_tsv(Input& input);
/// One JSON document: an object (member names are keys) or an array of objects. It is held in memory.
std::unique_ptr<RecordReader> read_json(Input& input, const JsonMapping& mapping);

}  // namespace tuskv::cli
