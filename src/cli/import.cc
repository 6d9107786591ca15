// import: entries from outside, in batches. It can be started again after any interruption: writing an entry twice is
// writing it once, and --skip goes on behind the last line that --acknowledge reported.
#include <algorithm>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/batch_writer.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/record_reader.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

struct ImportArguments {
  std::optional<std::string> given_file;
  std::string format = "ndjson";
  JsonMapping json;
  std::string prefix;
  std::uint64_t batch = kBatchEntries;
  std::uint64_t skip = 0;
  bool keep_going = false;
  bool acknowledge = false;
};

std::unique_ptr<RecordReader> open_reader(const ImportArguments& options, Input& input) {
  const bool mapped = !options.json.pointer.empty() || options.json.key || options.json.value;
  if (mapped && options.format != "json") throw UsageError("--pointer, --key and --value need --format json");
  if (options.format == "ndjson") return read_ndjson(input);
  if (options.format == "tsv") return read_tsv(input);
  if (options.format == "json") return read_json(input, options.json);
  throw UsageError("--format is ndjson, tsv or json, not \"" + options.format + "\"");
}

/// One run of import.
class Import final {
 public:
  Import(const ImportArguments& options, Call& call)
      : options_(options),
        call_(call),
        input_(options.given_file.value_or("-")),
        reader_(open_reader(options, input_)),
        writer_(call.store(Access::write), options.batch,
                [this](const Record& record, const Error& error) {
                  report(BadLine(reader_->place(record.position) + ": " + error.what()));
                }),
        progress_("imported", input_.size_bytes()) {}

  ExitCode run() {
    try {
      read_all();
    } catch (const OutputError&) {
      throw;  // who reads the acknowledgements knows the last one
    } catch (...) {
      if (reader_->position() == 0) throw;  // it never began
      print_total();
      const int code = report_current_exception();
      complain("import ended early: " + where_to_go_on());
      return static_cast<ExitCode>(code);
    }
    print_total();
    return bad_lines_ == 0 ? ExitCode::done : ExitCode::usage;
  }

 private:
  void read_all() {
    try {
      while (step()) {
        progress_.update(input_.bytes_read(), writer_.written());
        stop_when_interrupted();
      }
    } catch (const Error&) {
      throw;  // of the store: writing on makes it no better
    } catch (const OutputError&) {
      throw;
    } catch (...) {
      write_rest();  // what was read before counts
      throw;
    }
    write_rest();
  }

  /// Takes one record. False at the end.
  bool step() {
    // A pipe that has nothing to say for now gets its acknowledgement at once.
    if (reader_->would_wait()) write_rest();
    std::optional<Record> record;
    try {
      record = reader_->next();
    } catch (const BadLine& error) {
      if (reader_->position() > options_.skip) report(error);
      return true;
    }
    if (!record) return false;
    if (record->position <= options_.skip) return true;
    record->key = options_.prefix + record->key;
    if (writer_.add(*std::move(record))) acknowledge();
    return true;
  }

  void report(const BadLine& error) {
    if (!options_.keep_going) throw error;
    ++bad_lines_;
    complain(error.what());
  }

  void write_rest() {
    writer_.flush();
    acknowledge();
  }

  void acknowledge() {
    if (!options_.acknowledge || writer_.position() == acknowledged_) return;
    acknowledged_ = writer_.position();
    call_.output.line(std::to_string(writer_.position()));
    call_.output.flush();
  }

  void print_total() {
    if (options_.acknowledge) return;
    if (call_.settings.json) {
      call_.output.json({{"imported", writer_.written()}, {"bad_lines", bad_lines_}});
    } else {
      call_.output.line(std::to_string(writer_.written()));
    }
  }

  std::string where_to_go_on() const {
    const std::uint64_t last = std::max(writer_.position(), options_.skip);
    if (last == 0) return "nothing is written";
    return "everything is written up to " + reader_->place(last) + " (--skip " + std::to_string(last) +
           " goes on behind it)";
  }

  const ImportArguments& options_;
  Call& call_;
  Input input_;
  std::unique_ptr<RecordReader> reader_;
  BatchWriter writer_;
  Progress progress_;
  std::uint64_t bad_lines_ = 0;
  std::uint64_t acknowledged_ = 0;
};

}  // namespace

Action add_import(Arguments& arguments) {
  const auto options = std::make_shared<ImportArguments>();
  arguments.word("FILE", options->given_file, "The file (default: standard input)");
  arguments.text(
      "--format", options->format, "FORMAT",
      "ndjson (default; what export writes): a line {\"key\": K, \"value\": V}, with \"namespace\": N and "
      "\"expires_at_ms\": MS (since 1970) where wanted; K, V and N are strings, or {\"base64\": \"...\"}. An "
      "expiry that has passed removes the key. tsv: key, tab, value, neither of which can hold a newline, nor "
      "the key a tab; a carriage return before the newline is part of the value. json: one document, whose numbers "
      "stay as they are written");
  arguments.text("--pointer", options->json.pointer, "POINTER", "json: where the entries are, for example /data");
  arguments.text("--key", options->json.key, "FIELD", "json: the field that is the key, of an array of objects");
  arguments.text("--value", options->json.value, "FIELD", "json: the field that is the value (default: the object)");
  arguments.text("--prefix", options->prefix, "P", "Put P before every key");
  arguments.number("--batch", options->batch, 1, kBatchEntriesMax, "Entries written at once (default 1000)");
  arguments.number("--skip", options->skip, 0, UINT64_MAX, "Leave out the first N lines");
  arguments.flag("--keep-going", options->keep_going,
                 "Report lines that are no entry, or that the store refuses, and go on (exit code 2 at the end)");
  arguments.flag("--acknowledge", options->acknowledge,
                 "After each batch print the number of the last line written, instead of the total");
  return [options](Call& call) {
    if (options->given_file.value_or("-") == "-") call.require_standard_input();
    return Import(*options, call).run();
  };
}

}  // namespace tuskv::cli
