#include "contract/histories.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>

namespace tuskv::test {
namespace {

constexpr int kTimePassesPercent = 4;

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

}  // namespace

void CallRecorder::record(const std::function<void(Call&)>& act) {
  Call call;
  call.called = now_ns();
  act(call);
  call.returned = now_ns();
  calls_.push_back(std::move(call));
}

void HistoryClient::record_read(Call& call, const std::string& key) {
  if (random_.chance(70)) {
    last_seen_ = store_.get(key);
    call.seen = {saw(key, last_seen_)};
  } else if (store_.exists(key)) {
    call.seen = {{key, Sighting::Kind::present}};
  } else {
    call.seen = {{key, Sighting::Kind::absent}};
  }
}

void HistoryClient::record_swap(Call& call, const std::string& key) {
  const std::string value = fresh_value();
  const std::optional<std::string> expected = last_seen_;
  const CompareResult result =
      expected ? store_.compare_and_swap(key, *expected, value) : store_.compare_and_swap(key, std::nullopt, value);
  switch (result.status) {
    case CompareResult::Status::success:
      call.seen = {saw(key, expected)};
      call.done = {{key, value}};
      last_seen_ = value;
      break;
    case CompareResult::Status::mismatch:
      EXPECT_NE(result.current, expected);  // what was compared, not what came later
      call.seen = {saw(key, result.current)};
      last_seen_ = result.current;
      break;
    case CompareResult::Status::not_found:
      EXPECT_TRUE(expected);
      call.seen = {saw(key, std::nullopt)};
      last_seen_ = std::nullopt;
      break;
  }
}

void HistoryClient::record_counter(Call& call, const std::string& key) {
  const auto by = static_cast<std::int64_t>(1 + random_.below(9));
  const std::int64_t sum = store_.increment(key, by);
  // Absent counts as 0, and nobody writes a 0.
  call.seen = {saw(key, sum == by ? std::nullopt : std::optional(std::to_string(sum - by)))};
  call.done = {{key, std::to_string(sum)}};
}

void HistoryClient::record_condition(Call& call, const std::string& key) {
  const std::string value = fresh_value();
  if (random_.chance(50)) {
    const bool set = store_.set_if_absent(key, value);
    call.seen = {{key, set ? Sighting::Kind::absent : Sighting::Kind::present}};
    if (set) call.done = {{key, value}};
  } else {
    const bool set = store_.set_if_present(key, value);
    call.seen = {{key, set ? Sighting::Kind::present : Sighting::Kind::absent}};
    if (set) call.done = {{key, value}};
  }
}

void HistoryClient::record_exchange(Call& call, const std::string& key) {
  switch (random_.below(4)) {
    case 0: {
      const std::string value = fresh_value();
      call.seen = {saw(key, store_.get_and_set(key, value))};
      call.done = {{key, value}};
      break;
    }
    case 1:
      call.seen = {saw(key, store_.get_and_erase(key))};
      call.done = {{key, std::nullopt}};
      break;
    case 2: {
      std::optional<std::string> before;
      const auto result = store_.update(key, [&](std::optional<std::string_view> value) -> Change {
        before = value;
        if (value && random_.chance(20)) return std::nullopt;
        return fresh_value();
      });
      call.seen = {saw(key, before)};
      call.done = {{key, result}};
      break;
    }
    default:
      call.seen = {{key, store_.erase(key) ? Sighting::Kind::present : Sighting::Kind::absent}};
      call.done = {{key, std::nullopt}};
      break;
  }
}

void HistoryClient::record_one_key(Call& call) {
  const std::string& key = any_key();
  const std::uint64_t choice = random_.below(100);
  if (choice < 30) {
    record_read(call, key);
  } else if (choice < 45) {
    record_swap(call, key);
  } else if (choice < 60) {
    record_counter(call, key);
  } else if (choice < 72) {
    record_condition(call, key);
  } else if (choice < 88) {
    record_exchange(call, key);
  } else {
    const std::string value = fresh_value();
    store_.set(key, value);
    call.done = {{key, value}};
  }
}

void HistoryClient::record_batch(Call& call) {
  switch (random_.below(4)) {
    case 0: {
      const auto values = store_.get_many(keys_);
      for (std::size_t i = 0; i < keys_.size(); ++i) call.seen.push_back(saw(keys_[i], values[i]));
      break;
    }
    case 1: {
      const std::string value = fresh_value();
      std::vector<Item> items;
      for (const std::string& key : keys_) items.push_back({.key = key, .value = value});
      store_.set_many(items);
      for (const std::string& key : keys_) call.done.push_back({key, value});
      break;
    }
    case 2: {
      const std::string value = fresh_value();
      std::vector<Item> items;
      for (const std::string& key : keys_) items.push_back({.key = key, .value = value});
      if (!store_.set_many_if_absent(items)) break;  // some key was there: not one that can be named
      for (const std::string& key : keys_) {
        call.seen.push_back(saw(key, std::nullopt));
        call.done.push_back({key, value});
      }
      break;
    }
    default: {
      const std::uint64_t erased = store_.erase_many(keys_);
      for (const std::string& key : keys_) {
        if (erased == 0) call.seen.push_back(saw(key, std::nullopt));
        if (erased == keys_.size()) call.seen.push_back({key, Sighting::Kind::present});
        call.done.push_back({key, std::nullopt});
      }
      break;
    }
  }
}

void HistoryClient::record_transaction(Call& call) {
  const bool lists = random_.chance(30);
  const std::string from = any_key();
  const std::string to = any_key();
  const bool writes = random_.chance(70);
  const std::string value = fresh_value();
  store_.transaction([&](Transaction& tx) {
    call.seen.clear();
    call.done.clear();
    if (lists) {
      // A list reveals every key, those that are missing too.
      std::vector<Sighting> seen;
      for (const std::string& key : keys_) seen.push_back(saw(key, std::nullopt));
      for (const Entry& entry : tx.scan().entries) {
        for (Sighting& sighting : seen) {
          if (sighting.key == entry.key) sighting = saw(entry.key, entry.value);
        }
      }
      call.seen = std::move(seen);
    } else {
      call.seen = {saw(from, tx.get(from))};
      if (from != to) call.seen.push_back(saw(to, tx.get(to)));
    }
    if (!writes) return;
    tx.erase(from);
    tx.set(to, value);
    if (from != to) call.done.push_back({from, std::nullopt});
    call.done.push_back({to, value});
  });
}

void HistoryClient::call_one(const std::function<void(Call&)>& act) {
  if (time_ == nullptr) return recorder_.record(act);
  if (random_.chance(kTimePassesPercent)) {
    const std::unique_lock<std::shared_mutex> alone(time_->passing);
    return recorder_.record([&](Call& call) {
      time_->pass_span();
      for (const std::string& key : keys_) call.done.push_back({key, std::nullopt});
    });
  }
  const std::shared_lock<std::shared_mutex> together(time_->passing);
  recorder_.record(act);
}

void HistoryClient::call_one_key() {
  call_one([this](Call& call) { record_one_key(call); });
}

void HistoryClient::call_any() {
  call_one([this](Call& call) {
    const std::uint64_t choice = random_.below(100);
    if (choice < 70) {
      record_one_key(call);
    } else if (choice < 85) {
      record_batch(call);
    } else {
      record_transaction(call);
    }
  });
}

}  // namespace tuskv::test
