#include "cli/record_reader.h"

#include <optional>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/json_document.h"
#include "cli/limits.h"
#include "cli/output.h"

namespace tuskv::cli {

namespace {

std::string required_bytes(const Json& record, const char* field) {
  const auto found = record.find(field);
  if (found == record.end()) throw UsageError(std::string("no \"") + field + "\"");
  auto bytes = bytes_of_json(*found);
  if (!bytes) throw UsageError(std::string("\"") + field + R"(" is neither a string nor {"base64": "..."})");
  return *std::move(bytes);
}

TimePoint instant_of(const Json& milliseconds) {
  constexpr std::int64_t kMax = 253'402'300'799'000;  // 9999-12-31
  // One by one: compared as they are, an unsigned number becomes a signed one, and 2^64 - 1 would be before 1970.
  const bool fits = milliseconds.is_number_unsigned()
                        ? milliseconds.get<std::uint64_t>() <= std::uint64_t{kMax}
                        : milliseconds.is_number_integer() && milliseconds.get<std::int64_t>() >= -kMax;
  if (!fits) throw UsageError("\"expires_at_ms\" is no number of milliseconds since 1970");
  return TimePoint(std::chrono::milliseconds(milliseconds.get<std::int64_t>()));
}

Record record_of(const Json& line) {
  if (!line.is_object()) throw UsageError("not a JSON object");
  for (const auto& [field, value] : line.items()) {
    const bool known = field == "namespace" || field == "key" || field == "value" || field == "expires_at_ms" ||
                       field == "version" || field == "created_at_ms" || field == "updated_at_ms";
    if (!known) throw UsageError("unknown field \"" + field + "\"");
  }
  Record record;
  record.key = required_bytes(line, "key");
  record.value = required_bytes(line, "value");
  if (line.contains("namespace")) record.name_space = required_bytes(line, "namespace");
  if (line.contains("expires_at_ms")) record.expires_at = instant_of(line["expires_at_ms"]);
  return record;
}

/// Lines, empty ones left out; a failure to understand one names it.
class LineReader : public RecordReader {
 public:
  explicit LineReader(Input& input) : input_(input) {}

  std::optional<Record> next() final {
    for (;;) {
      const auto line = input_.line();
      if (!line) return std::nullopt;
      if (line->empty()) continue;
      try {
        Record record = parse(*line);
        record.position = position();
        return record;
      } catch (const UsageError& error) {
        throw BadLine(place(position()) + ": " + error.what());
      }
    }
  }
  std::uint64_t position() const final { return input_.line_number(); }
  std::string place(std::uint64_t position) const final { return input_.name() + ", line " + std::to_string(position); }
  bool would_wait() const final { return input_.would_wait(); }

 protected:
  virtual Record parse(std::string_view line) = 0;

 private:
  Input& input_;
};

class NdjsonReader final : public LineReader {
 public:
  using LineReader::LineReader;

 protected:
  Record parse(std::string_view line) override {
    const bool is_first = !std::exchange(begun_, true);
    try {
      return record_of(parse_json(line));
    } catch (const UsageError& error) {
      if (!is_first) throw;
      throw UsageError(std::string(error.what()) + "; a file of another form needs --format (tuskv import --help)");
    }
  }

 private:
  bool begun_ = false;
};

class TsvReader final : public LineReader {
 public:
  using LineReader::LineReader;

 protected:
  Record parse(std::string_view line) override {
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) throw UsageError("no tab between key and value");
    Record record;
    record.key = line.substr(0, tab);
    record.value = line.substr(tab + 1);
    return record;
  }
};

class DocumentReader final : public RecordReader {
 public:
  DocumentReader(Input& input, JsonMapping mapping) : name_(input.name()), mapping_(std::move(mapping)) {
    try {
      Json document = parse_json(input.rest(kInputBytesMax));
      entries_ = document.at(Json::json_pointer(mapping_.pointer));
    } catch (const Json::exception&) {
      throw UsageError(name_ + ": nothing at \"" + mapping_.pointer + "\"");
    } catch (const UsageError& error) {
      throw UsageError(name_ + ": " + error.what());
    }
    const bool fits = mapping_.key ? entries_.is_array() : entries_.is_object();
    if (!fits) throw UsageError(name_ + ": an array needs --key FIELD, an object takes none; see --pointer");
    position_of_next_ = entries_.begin();
  }

  std::optional<Record> next() override {
    if (position_of_next_ == entries_.end()) return std::nullopt;
    ++position_;
    const auto entry = position_of_next_++;
    try {
      Record record;
      record.position = position_;
      record.key = mapping_.key ? text_of(member(*entry, *mapping_.key)) : entry.key();
      record.value = mapping_.value ? text_of(member(*entry, *mapping_.value)) : text_of(*entry);
      return record;
    } catch (const UsageError& error) {
      throw BadLine(place(position_) + ": " + error.what());
    }
  }
  std::uint64_t position() const override { return position_; }
  std::string place(std::uint64_t position) const override { return name_ + ", entry " + std::to_string(position); }
  bool would_wait() const override { return false; }

 private:
  static const Json& member(const Json& entry, const std::string& field) {
    if (!entry.is_object() || !entry.contains(field)) throw UsageError("no field \"" + field + "\"");
    return entry[field];
  }
  /// Strings are themselves, everything else is its JSON.
  static std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : compact_json(value);
  }

  std::string name_;
  JsonMapping mapping_;
  Json entries_;
  Json::iterator position_of_next_;
  std::uint64_t position_ = 0;
};

}  // namespace

std::unique_ptr<RecordReader> read_ndjson(Input& input) { return std::make_unique<NdjsonReader>(input); }

std::unique_ptr<RecordReader> read_tsv(Input& input) { return std::make_unique<TsvReader>(input); }

std::unique_ptr<RecordReader> read_json(Input& input, const JsonMapping& mapping) {
  return std::make_unique<DocumentReader>(input, mapping);
}

}  // namespace tuskv::cli
