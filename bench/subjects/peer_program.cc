#include "bench/subjects/peer_program.h"

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <utility>

#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

constexpr const char* kPrograms = TUSKV_BENCH_PEERS;

std::string words(const Dataset& data) {
  return std::to_string(data.entries) + " " + std::to_string(data.key_bytes) + " " + std::to_string(data.value_bytes);
}

/// Null when it has not been built.
std::unique_ptr<Subject> make(const std::string& name, std::vector<std::string> arguments, const char* version) {
  arguments.insert(arguments.begin(), std::string(kPrograms) + "/release/" + name);
  if (!std::filesystem::exists(arguments.front())) return nullptr;
  return std::make_unique<PeerProgram>(arguments, version);
}

}  // namespace

PeerProgram::PeerProgram(const std::vector<std::string>& arguments, std::string version)
    : program_(arguments.front()), version_(std::move(version)), process_(arguments) {
  expect("ready");
}

void PeerProgram::load(const Dataset& data) {
  process_.write_line("load " + words(data));
  expect("loaded");
}

double PeerProgram::run(const Work& work) {
  if (work.kind == Work::Kind::mixed) throw std::invalid_argument(program_ + " does no mixed work");
  process_.write_line(std::string(work.kind == Work::Kind::get ? "get " : "set ") + std::to_string(work.threads) + " " +
                      std::to_string(work.duration.count()) + " " + std::to_string(work.seed) + " " +
                      std::to_string(work.calls_per_look) + " " + words(work.data));
  return std::stod(process_.read_line());
}

double PeerProgram::run_set_many(const Dataset& data, std::size_t size, std::chrono::nanoseconds duration,
                                 std::uint64_t seed) {
  process_.write_line("set_many " + std::to_string(size) + " " + std::to_string(duration.count()) + " " +
                      std::to_string(seed) + " " + words(data));
  return std::stod(process_.read_line());
}

std::uint64_t PeerProgram::read_all() {
  process_.write_line("count");
  return std::stoull(process_.read_line());
}

void PeerProgram::expect(const std::string& wanted) {
  const std::string line = process_.read_line();
  if (line != wanted) throw std::runtime_error(program_ + " answered \"" + line + "\" instead of " + wanted);
}

// The versions are pinned in the Cargo.toml of each.

std::unique_ptr<Subject> make_persistent_kv(const SubjectOptions& options) {
  return make("persistent_kv_peer", {options.directory, options.sync ? "sync" : "written"}, "1.0.2");
}

std::unique_ptr<Subject> make_pgkv(const SubjectOptions& options) {
  return make("pgkv_peer", {options.url, options.table, options.sync ? "sync" : "unlogged"}, "0.1.0");
}

}  // namespace tuskv::bench
