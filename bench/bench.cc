#include "bench/bench.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <system_error>
#include <thread>

#include "bench/postgres_server.h"

namespace tuskv::bench {
namespace {

constexpr std::chrono::milliseconds kRestWindow{20};
constexpr std::chrono::milliseconds kRestProcessorTime{2};
constexpr std::uint64_t kSeed = 20'261'121;

std::chrono::nanoseconds processor_time() {
  timespec used = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

void write_out(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  syncfs(fd);
  close(fd);
}

Scale quick_scale() {
  return {.entries_small = 1000,
          .entries = 20'000,
          .entries_large = 50'000,
          .entries_long_keys = 2000,
          .entries_server = 1000,
          .entries_grown = 3000,
          .entries_expired = 5000,
          .round = std::chrono::milliseconds(10),
          .round_durable = std::chrono::milliseconds(20),
          .stall_run = std::chrono::milliseconds(300),
          .sweep_slice = std::chrono::milliseconds(20),
          .settle = std::chrono::milliseconds(0),
          .rounds = 2,
          .rounds_long = 1,
          .rounds_few = 2};
}

}  // namespace

Bench::Bench(const Settings& settings)
    : settings_(settings), scale_(settings.quick ? quick_scale() : Scale()), data_(settings.output + "/data-XXXXXX") {
  std::filesystem::create_directories(settings.output);
  if (mkdtemp(data_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), data_);
  machine_ = describe_machine(data_);
  print(machine_);
}

Bench::~Bench() {
  std::error_code ignored;
  std::filesystem::remove_all(data_, ignored);
}

std::string Bench::fresh_directory(std::string_view name) {
  const std::string directory = data_ + "/" + std::string(name);
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  return directory;
}

void Bench::drop_directory(const std::string& directory) { std::filesystem::remove_all(directory); }

std::unique_ptr<Subject> Bench::open(SubjectKind kind, const SubjectOptions& options) {
  std::unique_ptr<Subject> subject = make_subject(kind, options);
  const std::string name(subject_name(kind));
  if (subject == nullptr) {
    say_left_out(name, missing_reason(kind));
  } else {
    note_version(name, subject->version());
  }
  return subject;
}

void Bench::say_left_out(const std::string& name, const std::string& reason) {
  if (std::find(left_out_.begin(), left_out_.end(), name) != left_out_.end()) return;
  left_out_.push_back(name);
  std::cout << name << " is left out: " << reason << std::endl;
}

PostgresServer* Bench::postgres() {
  if constexpr (TUSKV_BENCH_HAS_POSTGRES) {
    std::string missing;
    if (!postgres_) postgres_ = PostgresServer::start(missing);
    if (postgres_) {
      postgres_->drop_everything();
      note_version("PostgreSQL", postgres_->version());
    } else {
      say_left_out("PostgreSQL", missing);
    }
  }
  return postgres_.get();
}

void Bench::settle() const {
  const auto deadline = std::chrono::steady_clock::now() + scale_.settle;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto before = processor_time();
    std::this_thread::sleep_for(kRestWindow);
    if (processor_time() - before < kRestProcessorTime) break;
  }
  if (scale_.settle.count() > 0) write_out(data_);
}

std::vector<Series> Bench::interleave(std::span<const Contestant> contestants, std::size_t rounds) {
  std::vector<Series> series;
  for (const Contestant& contestant : contestants) {
    series.push_back({.name = contestant.name});
    contestant.round(kSeed);
    settle();
  }
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      const std::size_t turn = (round + i) % contestants.size();
      series[turn].values.push_back(contestants[turn].round(kSeed + 1 + round));
      settle();
    }
  }
  return series;
}

void Bench::note_version(const std::string& subject, const std::string& version) {
  machine_.versions[subject] = version;
}

void Bench::add(Measurement result) {
  print(result);
  results_.push_back(std::move(result));
}

void Bench::write_results() const {
  const std::string path = settings_.output + "/results.json";
  write_json(path, machine_, results_, settings_.quick);
  std::cout << "\nwritten to " << path << std::endl;
}

}  // namespace tuskv::bench
