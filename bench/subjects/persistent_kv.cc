// persistent-kv is a Rust crate: bench/peers/persistent_kv is a program around it that makes the same calls.
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "bench/child_process.h"
#include "bench/subjects/peers.h"

namespace tuskv::bench {
namespace {

constexpr const char* kProgram = TUSKV_BENCH_PERSISTENT_KV;
constexpr const char* kVersion = "1.0.2";  // pinned in peers/persistent_kv/Cargo.toml

std::string words(const Dataset& data) {
  return std::to_string(data.entries) + " " + std::to_string(data.key_bytes) + " " + std::to_string(data.value_bytes);
}

class PersistentKv final : public Subject {
 public:
  explicit PersistentKv(const SubjectOptions& options)
      : process_({kProgram, options.directory, options.sync ? "sync" : "written"}) {
    expect("ready");
  }

  void load(const Dataset& data) override {
    process_.write_line("load " + words(data));
    expect("loaded");
  }

  double run(const Work& work) override {
    process_.write_line(std::string(work.kind == Work::Kind::get ? "get " : "set ") + std::to_string(work.threads) +
                        " " + std::to_string(work.duration.count()) + " " + std::to_string(work.seed) + " " +
                        std::to_string(work.calls_per_look) + " " + words(work.data));
    return std::stod(process_.read_line());
  }

  std::uint64_t read_all() override {
    process_.write_line("count");
    return std::stoull(process_.read_line());
  }

  std::string version() const override { return kVersion; }

 private:
  void expect(const std::string& wanted) {
    const std::string line = process_.read_line();
    if (line != wanted) throw std::runtime_error("persistent-kv answered \"" + line + "\" instead of " + wanted);
  }

  ChildProcess process_;
};

}  // namespace

std::unique_ptr<Subject> make_persistent_kv(const SubjectOptions& options) {
  if (!std::filesystem::exists(kProgram)) return nullptr;
  return std::make_unique<PersistentKv>(options);
}

}  // namespace tuskv::bench
