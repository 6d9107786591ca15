// The calls a step can be, each with arguments drawn from its seed and its answer as a text; step.cc has the lists, the
// transactions and the choice.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "model/draw.h"
#include "model/step.h"
#include "model/text.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

/// The result of a call, also of an asynchronous one.
template <class T>
auto ended(T&& result) {
  if constexpr (requires { std::move(result).wait(); }) {
    return std::move(result).wait();
  } else {
    return std::forward<T>(result);
  }
}

inline std::vector<Bytes> lend(const std::vector<std::string>& keys) { return {keys.begin(), keys.end()}; }

/// One step on one handle.
template <class Handle>
class Step final {
 public:
  Step(StepContext& context, Handle& handle, Draw& draw) : context_(context), handle_(handle), draw_(draw) {}

  std::string run();

 private:
  struct Row {
    std::uint64_t weight;
    std::string (Step::*make)();
  };

  /// Makes the call and tells its answer; the arguments have been drawn.
  template <class F>
  std::string answer(F&& call) {
    using R = std::invoke_result_t<F>;
    if constexpr (std::is_void_v<R>) {
      call();
      return "done";
    } else if constexpr (requires { call().wait(); }) {
      return answer([&] { return call().wait(); });
    } else {
      return texts()(call());
    }
  }

  std::int64_t now_us() const { return context_.side.now_us(); }
  Texts texts() const {
    const Texts texts(now_us(), context_.rules.unit_ms);
    return context_.transaction_depth > 0 ? texts.without_creation() : texts;
  }
  Place place(const std::string& key) const { return {context_.space, key}; }
  SetOptions write_options() { return draw_.write_options(now_us()); }

  // ---- read

  std::string get() {
    draw_.call("get");
    const std::string key = draw_.key();
    return answer([&] { return handle_.get(key); });
  }

  std::string get_into() {
    if (context_.is_asynchronous) return get();
    if constexpr (requires(std::string& value) { handle_.get_into("", value); }) {
      draw_.call("get_into");
      const std::string key = draw_.key();
      std::string value = "what was there";
      const bool found = handle_.get_into(key, value);
      return texts()(found) + texts()(value);
    }
    return get();
  }

  std::string get_or_throw() {
    draw_.call("get_or_throw");
    const std::string key = draw_.key();
    return answer([&] { return handle_.get_or_throw(key); });
  }

  std::string get_entry() {
    draw_.call("get_entry");
    const std::string key = draw_.key();
    const std::optional<Entry> entry = ended(handle_.get_entry(key));
    return entry ? texts()(*entry) + version_text(key, entry->version) : "absent";
  }

  std::string get_many() {
    draw_.call("get_many");
    const std::vector<std::string> keys = draw_.keys();
    const std::vector<Bytes> lent = lend(keys);
    return answer([&] { return handle_.get_many(std::span<const Bytes>(lent)); });
  }

  std::string exists() {
    draw_.call("exists");
    const std::string key = draw_.key();
    return answer([&] { return handle_.exists(key); });
  }

  std::string exists_many() {
    draw_.call("exists_many");
    const std::vector<std::string> keys = draw_.keys();
    const std::vector<Bytes> lent = lend(keys);
    return answer([&] { return handle_.exists_many(std::span<const Bytes>(lent)); });
  }

  std::string ttl() {
    draw_.call("ttl");
    const std::string key = draw_.key();
    return answer([&] { return handle_.ttl(key); });
  }

  // ---- write

  std::string set() {
    draw_.call("set");
    const std::string key = draw_.key();
    const std::string value = draw_.value();
    const SetOptions options = write_options();
    return answer([&] { return handle_.set(key, value, options); });
  }

  std::string set_if_absent() {
    draw_.call("set_if_absent");
    const std::string key = draw_.key();
    const std::string value = draw_.value();
    const SetOptions options = write_options();
    return answer([&] { return handle_.set_if_absent(key, value, options); });
  }

  std::string set_if_present() {
    draw_.call("set_if_present");
    const std::string key = draw_.key();
    const std::string value = draw_.value();
    const SetOptions options = write_options();
    return answer([&] { return handle_.set_if_present(key, value, options); });
  }

  template <class Call>
  std::string write_many(Call call) {
    const std::vector<std::string> keys = draw_.keys();
    const SetOptions options = write_options();
    std::vector<std::string> values;
    for (std::size_t i = 0; i < keys.size(); ++i) values.push_back(draw_.value());
    std::vector<Item> items;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      items.push_back({.key = keys[i], .value = values[i], .ttl = draw_.item_ttl()});
    }
    return answer([&] { return call(std::span<const Item>(items), options); });
  }

  std::string set_many() {
    draw_.call("set_many");
    return write_many(
        [&](std::span<const Item> items, const SetOptions& options) { return handle_.set_many(items, options); });
  }

  std::string set_many_if_absent() {
    draw_.call("set_many_if_absent");
    return write_many([&](std::span<const Item> items, const SetOptions& options) {
      return handle_.set_many_if_absent(items, options);
    });
  }

  std::string erase() {
    draw_.call("erase");
    const std::string key = draw_.key();
    return answer([&] { return handle_.erase(key); });
  }

  std::string erase_many() {
    draw_.call("erase_many");
    const std::vector<std::string> keys = draw_.keys();
    const std::vector<Bytes> lent = lend(keys);
    return answer([&] { return handle_.erase_many(std::span<const Bytes>(lent)); });
  }

  std::string erase_prefix() {
    draw_.call("erase_prefix");
    const std::string prefix = draw_.prefix();
    const EraseOptions options{.allow_empty_prefix = draw_.chance(20)};
    return answer([&] { return handle_.erase_prefix(prefix, options); });
  }

  std::string erase_range() {
    draw_.call("erase_range");
    const std::string from = draw_.bound();
    const std::optional<std::string> to = draw_.end();
    return answer([&] { return handle_.erase_range(from, to); });
  }

  std::string clear() {
    draw_.call("clear");
    return answer([&] { return handle_.clear(); });
  }

  // ---- atomic

  std::string increment() {
    draw_.call("increment");
    const std::string key = draw_.key();
    const std::int64_t by = draw_.number();
    const CounterOptions options = draw_.counter_options();
    return answer([&] { return handle_.increment(key, by, options); });
  }

  std::string decrement() {
    draw_.call("decrement");
    const std::string key = draw_.key();
    const std::int64_t by = draw_.number();
    const CounterOptions options = draw_.counter_options();
    return answer([&] { return handle_.decrement(key, by, options); });
  }

  std::string swap_by_value() {
    draw_.call("compare_and_swap");
    const std::string key = draw_.key();
    const std::string expected = draw_.value();
    const bool expects_absence = draw_.chance(25);
    const std::string value = draw_.value();
    const SetOptions options = write_options();
    if (expects_absence) return answer([&] { return handle_.compare_and_swap(key, std::nullopt, value, options); });
    return answer([&] { return handle_.compare_and_swap(key, Bytes(expected), value, options); });
  }

  std::string swap_by_version() {
    draw_.call("compare_and_swap by version");
    const std::string key = draw_.key();
    const std::string value = draw_.value();
    const SetOptions options = write_options();
    const Version* version = version_seen(key);
    if (version == nullptr) return get_entry();
    return answer([&] { return handle_.compare_and_swap(key, *version, value, options); });
  }

  std::string erase_by_value() {
    draw_.call("compare_and_erase");
    const std::string key = draw_.key();
    const std::string expected = draw_.value();
    return answer([&] { return handle_.compare_and_erase(key, Bytes(expected)); });
  }

  std::string erase_by_version() {
    draw_.call("compare_and_erase by version");
    const std::string key = draw_.key();
    const Version* version = version_seen(key);
    if (version == nullptr) return get_entry();
    return answer([&] { return handle_.compare_and_erase(key, *version); });
  }

  std::string get_and_set() {
    draw_.call("get_and_set");
    const std::string key = draw_.key();
    const std::string value = draw_.value();
    const SetOptions options = write_options();
    return answer([&] { return handle_.get_and_set(key, value, options); });
  }

  std::string get_and_erase() {
    draw_.call("get_and_erase");
    const std::string key = draw_.key();
    return answer([&] { return handle_.get_and_erase(key); });
  }

  std::string get_and_touch() {
    draw_.call("get_and_touch");
    const std::string key = draw_.key();
    const Duration ttl = draw_.ttl();
    return answer([&] { return handle_.get_and_touch(key, ttl); });
  }

  std::string update() {
    const auto nothing = [](std::optional<std::string_view>) { return Change::keep(); };
    if (context_.is_asynchronous) return get_and_set();
    if constexpr (requires { handle_.update("", nothing); }) {
      draw_.call("update");
      const std::string key = draw_.key();
      const std::uint64_t kind = draw_.below(10);
      const std::string added = draw_.value();
      const SetOptions options = write_options();
      return answer([&] {
        return handle_.update(key, [&](std::optional<std::string_view> present) -> Change {
          if (kind == 0) return Change::keep();
          if (kind == 1) return std::nullopt;
          const std::string value = draw_.joined(present, added);
          return kind < 6 ? Change(value) : Change(value, options);
        });
      });
    }
    return get_and_set();
  }

  // ---- expiry

  std::string expire() {
    draw_.call("expire");
    const std::string key = draw_.key();
    const Duration ttl = draw_.ttl();
    return answer([&] { return handle_.expire(key, ttl); });
  }

  std::string expire_at() {
    draw_.call("expire_at");
    const std::string key = draw_.key();
    const Instant instant = draw_.instant(now_us());
    return answer([&] { return handle_.expire_at(key, instant); });
  }

  std::string persist() {
    draw_.call("persist");
    const std::string key = draw_.key();
    return answer([&] { return handle_.persist(key); });
  }

  std::string version_text(const std::string& key, Version version) {
    if (context_.transaction_depth > 0) return {};  // provisional
    const auto [known, is_new] = context_.side.versions.try_emplace(place(key), version);
    if (is_new) return " first version";
    const Version last = std::exchange(known->second, version);
    return version == last ? " same version" : version > last ? " later version" : " EARLIER VERSION";
  }

  const Version* version_seen(const std::string& key) const {
    const auto known = context_.side.versions.find(place(key));
    return known == context_.side.versions.end() ? nullptr : &known->second;
  }

  // ---- list and several (step.cc)

  std::string keys();
  std::string scan();
  std::string entries();
  std::string count();
  std::string search();
  std::string find();
  std::string transaction();

  template <class Read>
  std::string read_pages(Read read);
  std::vector<std::uint64_t> inner_seeds();

  StepContext& context_;
  Handle& handle_;
  Draw& draw_;
};

}  // namespace tuskv::test
