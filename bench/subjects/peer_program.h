// Peers written in another language: programs under bench/peers that make the same calls (the protocol is described in
// bench/peers/peer/src/lib.rs).
#pragma once

#include <string>
#include <vector>

#include "bench/child_process.h"
#include "bench/subject.h"

namespace tuskv::bench {

class PeerProgram final : public Subject {
 public:
  /// `arguments[0]` is the program.
  PeerProgram(const std::vector<std::string>& arguments, std::string version);

  void load(const Dataset& data) override;
  double run(const Work& work) override;
  std::uint64_t read_all() override;
  std::string version() const override { return version_; }

  /// Sets `size` entries a call, from one thread; entries a second.
  double run_set_many(const Dataset& data, std::size_t size, std::chrono::nanoseconds duration, std::uint64_t seed);

 private:
  void expect(const std::string& wanted);

  const std::string program_;
  const std::string version_;
  ChildProcess process_;
};

}  // namespace tuskv::bench
