#include "crash/engine_client.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "encryption/encrypted_engine.h"
#include "plan.h"

namespace tuskv::test {
namespace {

Status execute(Engine& engine, std::span<Command> commands) {
  Unit unit{.commands = commands, .timeout_ms = kPatientMs};
  engine.execute(std::span(&unit, 1));
  return Status(std::move(unit.failure));
}

/// A submission that can be waited for.
struct Waiting {
  Submission submission = {};  // first: `done` is given a reference to it
  std::mutex mutex = {};
  std::condition_variable ended = {};
  bool done = false;
};

Status submit_and_wait(Engine& engine, std::span<Command> commands) {
  Waiting waiting;
  waiting.submission.unit = {.commands = commands, .timeout_ms = kPatientMs};
  waiting.submission.done = [](Submission& submission) noexcept {
    auto& owner = reinterpret_cast<Waiting&>(submission);
    const std::lock_guard lock(owner.mutex);
    owner.done = true;
    owner.ended.notify_all();
  };
  engine.submit(waiting.submission);
  std::unique_lock lock(waiting.mutex);
  waiting.ended.wait(lock, [&] { return waiting.done; });
  return Status(std::move(waiting.submission.unit.failure));
}

Status set(Engine& engine, const Step& step, std::uint64_t* version) {
  const std::string key = stored_key(step.key);
  Put put{.key = key, .value = step.value};
  if (step.number != 0) put.expiry = {.kind = Expiry::Kind::after, .value = step.number};
  Command command = put;
  Status status =
      step.asynchronous ? submit_and_wait(engine, std::span(&command, 1)) : execute(engine, std::span(&command, 1));
  if (version != nullptr) *version = std::get<Put>(command).version;
  return status;
}

Status batch(Engine& engine, const Step& step) {
  std::vector<std::string> keys;
  for (const BatchItem& item : step.items) keys.push_back(stored_key(item.key));
  std::vector<Command> commands;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (step.items[i].value) {
      commands.emplace_back(Put{.key = keys[i], .value = *step.items[i].value});
    } else {
      commands.emplace_back(Erase{.key = keys[i]});
    }
  }
  return execute(engine, commands);
}

Status transfer_once(Engine& engine, const Step& step) {
  const std::string names[] = {stored_key(step.key), stored_key(step.value)};
  std::string values[2];
  Command reads[] = {Read{.key = names[0], .into = &values[0]}, Read{.key = names[1], .into = &values[1]}};
  OptimisticTransaction transaction;
  Unit unit{.commands = reads, .timeout_ms = kPatientMs};
  Status status = engine.read(transaction, unit);
  if (!status.ok()) return status;
  for (int i = 0; i < 2; ++i) {
    const bool found = std::get<Read>(reads[i]).seen.found;
    const std::int64_t balance = found ? std::stoll(values[i]) : kAccountStart;
    const std::int64_t after = i == 0 ? balance - step.number : balance + step.number;
    transaction.writes.push_back({.key = names[i], .value = std::to_string(after)});
  }
  return engine.commit(transaction, kPatientMs);
}

Status transfer(Engine& engine, const Step& step) {
  for (;;) {
    Status status = transfer_once(engine, step);
    if (status.ok() || status.failure().code != Code::Conflict) return status;
  }
}

Status erase_prefix(Engine& engine, const Step& step) {
  const std::string from = stored_key(step.key);
  std::string to = from;
  ++to.back();  // no key of these tests has byte 0xff
  Command command = EraseRange{.range = {.from = from, .to = to}};
  return execute(engine, std::span(&command, 1));
}

std::int64_t us_since_1970(TimePoint instant) { return instant.time_since_epoch().count(); }

Status add_page(Engine& engine, std::string& after, Found& found) {
  // The root namespace: an encrypted store has its mark in another.
  Command command =
      Scan{.range = {.from = std::string_view("\0", 1), .to = "\1"}, .after = after, .limit = 10'000, .key_offset = 1};
  Status status = execute(engine, std::span(&command, 1));
  if (!status.ok()) return status;
  auto& page = std::get<Scan>(command);
  for (Entry& entry : page.entries) {
    ModelEntry made{.value = std::move(entry.value),
                    .expires_us = entry.expires_at ? us_since_1970(*entry.expires_at) : 0,
                    .created_us = us_since_1970(entry.created_at),
                    .updated_us = us_since_1970(entry.updated_at)};
    found.digest += digest(entry.key, made);
    found.newest_version = std::max(found.newest_version, entry.version.number);
    found.entries[entry.key] = std::move(made);
  }
  after = page.next;
  return {};
}

Status compare_with_hash_index(Engine& engine, const Found& found) {
  std::vector<std::string> keys;
  for (const auto& [key, entry] : found.entries) keys.push_back(stored_key(key));
  std::vector<std::string> values(keys.size());
  std::vector<Command> commands;
  for (std::size_t i = 0; i < keys.size(); ++i) commands.emplace_back(Read{.key = keys[i], .into = &values[i]});
  Status status = execute(engine, commands);
  if (!status.ok()) return status;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& seen = std::get<Read>(commands[i]).seen;
    if (!seen.found || values[i] != found.entries.at(keys[i].substr(1)).value) {
      return {Code::Internal, "the hash index and the ordered index differ at key " + keys[i].substr(1)};
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Engine>> open_engine(const embedded::EngineOptions& options, os::FileSystem& file_system,
                                            const os::Clock& clock) {
  auto opened = embedded::EmbeddedEngine::open(options, file_system, clock);
  if (!opened.ok()) return std::move(opened).status();
  std::unique_ptr<Engine> engine = std::move(opened).value();
  if (options.options.encryptor == nullptr) return engine;
  auto encrypted = encryption::EncryptedEngine::open({.engine = std::move(engine),
                                                      .encryptor = options.options.encryptor,
                                                      .timeout_ms = kPatientMs,
                                                      .is_alone = true});
  if (!encrypted.ok()) return std::move(encrypted).status();
  return std::unique_ptr<Engine>(std::move(encrypted).value());
}

std::string stored_key(const std::string& key) { return std::string(1, '\0') + key; }

Status perform(Engine& engine, const Step& step, std::uint64_t* version) {
  const std::string key = stored_key(step.key);
  switch (step.kind) {
    case Step::Kind::set: return set(engine, step, version);
    case Step::Kind::batch: return batch(engine, step);
    case Step::Kind::transfer: return transfer(engine, step);
    case Step::Kind::erase_prefix: return erase_prefix(engine, step);
    case Step::Kind::erase: {
      Command command = Erase{.key = key};
      return execute(engine, std::span(&command, 1));
    }
    case Step::Kind::expire: {
      Command command = Touch{.key = key, .expiry = {.kind = Expiry::Kind::after, .value = step.number}};
      return execute(engine, std::span(&command, 1));
    }
    case Step::Kind::add: {
      const auto magnitude = static_cast<std::uint64_t>(step.number < 0 ? -step.number : step.number);
      Command command = Add{.key = key, .magnitude = magnitude, .negative = step.number < 0};
      return execute(engine, std::span(&command, 1));
    }
    default: return {Code::Internal, to_string(step) + " is not a write"};
  }
}

Result<Found> read_everything(Engine& engine) {
  Found found;
  std::string after;
  do {
    Status status = add_page(engine, after, found);
    if (!status.ok()) return status;
  } while (!after.empty());
  Status status = compare_with_hash_index(engine, found);
  if (!status.ok()) return status;
  return found;
}

Result<std::optional<std::string>> read_one(Engine& engine, const std::string& key) {
  const std::string stored = stored_key(key);
  std::string value;
  Command command = Read{.key = stored, .into = &value};
  Status status = execute(engine, std::span(&command, 1));
  if (!status.ok()) return status;
  if (!std::get<Read>(command).seen.found) return std::optional<std::string>();
  return std::optional<std::string>(std::move(value));
}

}  // namespace tuskv::test
