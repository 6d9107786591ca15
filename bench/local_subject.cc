#include <stdexcept>

#include "bench/subject.h"
#include "bench/throughput.h"

namespace tuskv::bench {
namespace {

/// One thread's part of a Work: its own session, random sequence and buffers.
struct Client {
  std::unique_ptr<Session> session;
  Random random;
  KeyWriter keys;
  const ValueSource* values;
  std::uint64_t entries;
  std::string value = {};

  void get(std::uint64_t calls) {
    for (std::uint64_t i = 0; i < calls; ++i) {
      if (!session->get(keys.key(random.below(entries)), value)) throw std::runtime_error("a loaded key is missing");
      keep(value);
    }
  }
  void set(std::uint64_t calls) {
    for (std::uint64_t i = 0; i < calls; ++i) {
      const std::uint64_t picked = random.next();
      session->set(keys.key(picked % entries), values->value(picked));
    }
  }
  void get_and_set(std::uint64_t calls) {
    constexpr std::uint64_t kGetsForEachSet = 4;
    for (std::uint64_t i = 0; i < calls; ++i) random.below(kGetsForEachSet + 1) == 0 ? set(1) : get(1);
  }
};

}  // namespace

double LocalSubject::run(const Work& work) {
  const ValueSource values(work.data.value_bytes, work.seed);
  std::vector<Worker> workers;
  for (std::size_t i = 0; i < work.threads; ++i) {
    auto client = std::make_shared<Client>(Client{.session = session(),
                                                  .random = Random(mix(work.seed) + i),
                                                  .keys = KeyWriter(work.data.key_bytes),
                                                  .values = &values,
                                                  .entries = work.data.entries});
    switch (work.kind) {
      case Work::Kind::get: workers.emplace_back([client](std::uint64_t calls) { client->get(calls); }); break;
      case Work::Kind::set: workers.emplace_back([client](std::uint64_t calls) { client->set(calls); }); break;
      case Work::Kind::mixed:
        workers.emplace_back([client](std::uint64_t calls) { client->get_and_set(calls); });
        break;
    }
  }
  return throughput(workers, work.duration, work.calls_per_look);
}

}  // namespace tuskv::bench
