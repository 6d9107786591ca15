// An engine whose values are encrypted: it stands in front of another, which sees what it stores and never what that
// means.
//
//  - Keys, expiry, conditions on presence or version, ranges and sweeping need no plaintext: units of these go through,
//    their values encrypted on the way in and decrypted on the way out. So do transactions, which judge values
//    themselves.
//  - A search in values asks the engine for pages of entries, decrypts them and judges them here (encrypted_search.cc).
//  - A unit that is judged by a value, computes with one, or shows one that it changes, is run as a small optimistic
//    transaction over this very engine (plaintext_units.h).
//
// What cannot be decrypted fails its call with Code::Encryption and is left as it is. Writes that need not know it
// (set, erase, expire) work over it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "encryption/plaintext_units.h"
#include "encryption/sealer.h"
#include "engine.h"
#include "reencryption.h"
#include "submission_threads.h"
#include "tuskv/function_ref.h"

namespace tuskv::encryption {

struct EncryptedEngineSetup {
  std::unique_ptr<Engine> engine = {};
  std::shared_ptr<const Encryptor> encryptor = {};
  std::int64_t timeout_ms = 5000;
  bool expiry_disabled = false;  ///< TtlMode::disabled
  bool is_kept = true;           ///< it outlives the process, so it has a marker
  bool marks_at_open = true;     ///< or with the first value that is written
  bool is_alone = false;         ///< no other process has the store open: nobody takes its marker back
};

class EncryptedEngine final : public Engine, public Reencryption {
  struct OnlyOpen {};  // a constructor parameter nobody else can name

 public:
  /// Config when the store and the keys do not fit together (marker.h).
  static Result<std::unique_ptr<EncryptedEngine>> open(EncryptedEngineSetup setup);
  EncryptedEngine(OnlyOpen, EncryptedEngineSetup setup);

  void execute(std::span<Unit> units) override;
  void submit(Submission& submission) override;
  Status read(OptimisticTransaction& transaction, Unit& unit) override;
  Status commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) override;
  std::int64_t now_us(std::int64_t timeout_ms) override { return engine_->now_us(timeout_ms); }
  Result<std::uint64_t> remove_expired(std::uint64_t limit, std::int64_t timeout_ms) override {
    return noted(engine_->remove_expired(limit, timeout_ms), timeout_ms);
  }
  Status set_sweeper(std::optional<EngineSweeperOptions> options) override { return engine_->set_sweeper(options); }
  /// Sizes are of what is stored.
  Result<Stats> stats(std::int64_t timeout_ms) override;
  Result<std::vector<Finding>> diagnose(std::int64_t timeout_ms) override;
  Status sync(std::int64_t timeout_ms) override { return noted(engine_->sync(timeout_ms), timeout_ms); }
  /// An engine finds no field in what it cannot read: there is nothing to index.
  Result<bool> create_index(std::string_view field, std::int64_t timeout_ms) override {
    return noted(engine_->create_index(field, timeout_ms), timeout_ms);
  }
  Result<bool> drop_index(std::string_view field, std::int64_t timeout_ms) override {
    return noted(engine_->drop_index(field, timeout_ms), timeout_ms);
  }
  Result<std::vector<std::string>> indexes(std::int64_t timeout_ms) override {
    return noted(engine_->indexes(timeout_ms), timeout_ms);
  }
  Result<SnapshotInfo> snapshot() override { return engine_->snapshot(); }
  Result<std::vector<SnapshotInfo>> snapshots() override { return engine_->snapshots(); }
  Result<std::size_t> prune_snapshots(std::size_t keep) override { return engine_->prune_snapshots(keep); }
  Status close() override;

  // reencryption.cc
  Status reencrypt_page(ReencryptionWalk& walk, std::int64_t timeout_ms, ReencryptReport& report) override;
  Status reencrypt_marker(std::int64_t timeout_ms) override;

 private:
  struct Passing;

  Status rewrite_page(ReencryptionWalk& walk, std::int64_t timeout_ms, ReencryptReport& report);
  Status rewrite_marker(std::int64_t timeout_ms);
  void pass(std::span<Unit> units);
  void run(std::span<Unit> units);
  void run_on_plaintext(Unit& unit);
  /// `run_page` runs a unit of one Scan on the engine. Values come decrypted; the filter of `scan` judges them.
  Status search(Scan& scan, std::int64_t timeout_ms, FunctionRef<Status(Unit&)> run_page);
  void wait_for_marker(std::unique_ptr<Passing> passing);
  /// On the thread, or, with a failure, anywhere.
  static void end_waiting(Submission& submission) noexcept;
  void pass_on(std::unique_ptr<Passing> passing);
  static void end_passing(Submission& submission) noexcept;
  static void end_marking(Submission& submission) noexcept;
  void run_on_thread(Submission& submission);
  /// A server may have emptied the table, and with it the marker. It says so to one call alone: whichever that is, a
  /// store that was marked is so again when the call ends, for others may have values on their way. What that takes
  /// has `timeout_ms` of its own; where it fails, the next value waits for it.
  void note_reset(const Failure* failure, std::int64_t timeout_ms);
  /// Whether it is one, and of a store that was marked.
  bool count_reset(const Failure* failure);
  template <class Answer>
  Answer noted(Answer answer, std::int64_t timeout_ms) {
    if (!answer.ok()) note_reset(&answer.failure(), timeout_ms);
    return answer;
  }
  bool needs_marker() const { return is_kept_ && marked_for_.load() != resets_.load(); }
  /// Sees to it that no value gets into a store without a marker. Takes its time from `timeout_ms`.
  Status mark(std::int64_t& timeout_ms);

  const Sealer sealer_;
  const bool is_kept_;
  /// How often the store was found emptied, counted from 1, and for which of these times a value has looked for the
  /// marker. Where others may have the store open, that of the opening does not count: whoever put it may have taken it
  /// back since.
  std::atomic<std::uint64_t> resets_ = 1;
  std::atomic<std::uint64_t> marked_for_ = 0;
  std::atomic<bool> was_marked_ = false;  ///< has had a marker
  /// Submissions that wait for the marker, or behind one that does, and have not been handed to the engine yet.
  std::atomic<std::size_t> waiting_for_marker_ = 0;
  const std::unique_ptr<Engine> engine_;  ///< ends what is on its way before the above goes
  PlaintextUnits plaintext_;
  /// A single one, for asynchronous calls that need plaintext, or a marker first: they are several steps, and a
  /// submitter does not wait.
  SubmissionThreads thread_;
};

/// The scan of a unit that looks at values; null when it is none.
Scan* search_in(const Unit& unit);

}  // namespace tuskv::encryption
