#include "model/step.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <type_traits>
#include <utility>

#include "model/calls.h"
#include "model/text.h"

namespace tuskv::test {
namespace {

struct NamespaceChoice {
  std::vector<std::string> names;  ///< one for each level
  bool has_ttl = false;            ///< whether the view gives a default TTL
};

const std::vector<NamespaceChoice>& namespace_choices() {
  static const std::vector<NamespaceChoice> kChoices = {
      {.names = {"n"}}, {.names = {"n"}, .has_ttl = true}, {.names = {"n", "m"}},    {.names = {"n/m"}},
      {.names = {"a"}}, {.names = {"\xff\xff"}},           {.names = {"*", "\x02"}}, {.names = {std::string(250, 'x')}},
  };
  return kChoices;
}

constexpr int kTransactionDepthMax = 3;

/// What a transaction function of a step throws.
struct RolledBack {};

}  // namespace

// ---- list

/// Where pages end may differ; what they hold together, up to some number of entries, may not.
template <class Handle>
template <class Read>
std::string Step<Handle>::read_pages(Read read) {
  const std::string prefix = draw_.chance(50) ? draw_.prefix() : "";
  const std::string from = draw_.chance(20) ? draw_.bound() : "";
  const std::optional<std::string> to = draw_.chance(20) ? draw_.end() : std::nullopt;
  const std::string glob = draw_.chance(30) ? draw_.glob() : "";
  std::string after = draw_.chance(30) ? draw_.key() : "";
  ScanOptions options{.prefix = prefix, .from = from, .to = to, .glob = glob};
  options.limit = draw_.limit();
  options.reverse = draw_.chance(40);
  options.keys_only = draw_.chance(30);
  const std::size_t wanted = 1 + draw_.below(draw_.chance(10) ? 300 : 30);
  std::vector<std::string> texts;
  constexpr int kPagesMax = 10'000;
  for (int pages = 0; pages < kPagesMax; ++pages) {
    options.after = after;
    const std::size_t before = texts.size();
    after = read(options, texts);
    if (texts.size() - before > options.limit) return "a page over the limit";
    if (!after.empty() && texts.size() < wanted) continue;
    std::string all;
    for (std::size_t i = 0; i < std::min(texts.size(), wanted); ++i) (all += texts[i]) += "|";
    return all + (texts.size() < wanted ? "end" : "");
  }
  return "does not end";
}

template <class Handle>
std::string Step<Handle>::keys() {
  draw_.call("keys");
  return read_pages([&](const ScanOptions& options, std::vector<std::string>& texts) {
    KeyPage page = ended(handle_.keys(options));
    for (const std::string& key : page.keys) texts.push_back(shown(key));
    return std::move(page.next);
  });
}

template <class Handle>
std::string Step<Handle>::scan() {
  draw_.call("scan");
  return read_pages([&](const ScanOptions& options, std::vector<std::string>& texts) {
    Page page = ended(handle_.scan(options));
    for (const Entry& entry : page.entries) texts.push_back(this->texts()(entry));
    return std::move(page.next);
  });
}

template <class Handle>
std::string Step<Handle>::entries() {
  if (context_.is_asynchronous) return scan();
  if constexpr (requires { handle_.entries(); }) {
    draw_.call("entries");
    const std::string prefix = draw_.prefix();
    const std::optional<std::string> to = draw_.chance(20) ? draw_.end() : std::nullopt;
    const ScanOptions options{.prefix = prefix, .to = to, .limit = draw_.limit(), .reverse = draw_.chance(30)};
    const std::size_t wanted = 1 + draw_.below(50);
    std::string all;
    std::size_t seen = 0;
    for (const Entry& entry : handle_.entries(options)) {
      (all += texts()(entry)) += "|";
      if (++seen == wanted) return all;
    }
    return all + "end";
  }
  return scan();
}

template <class Handle>
std::string Step<Handle>::search() {
  draw_.call("search_values");
  const std::string needle = draw_.needle();
  const bool ignore_case = draw_.chance(50);
  return read_pages([&](const ScanOptions& options, std::vector<std::string>& texts) {
    Page page = ended(handle_.search_values(needle, {.ignore_case = ignore_case,
                                                     .prefix = options.prefix,
                                                     .from = options.from,
                                                     .to = options.to,
                                                     .limit = options.limit,
                                                     .after = options.after}));
    for (const Entry& entry : page.entries) texts.push_back(this->texts()(entry));
    return std::move(page.next);
  });
}

/// Of the documents that are drawn, {"a": 0 to 2, "b": []}.
template <class Handle>
std::string Step<Handle>::find() {
  draw_.call("find_by_field");
  const std::string collection = draw_.prefix();
  const std::string value = std::to_string(draw_.below(3));
  const bool text = draw_.chance(30);
  return read_pages([&](const ScanOptions& options, std::vector<std::string>& texts) {
    Page page = ended(
        handle_.find_by_field(collection, "a", value, {.text = text, .limit = options.limit, .after = options.after}));
    for (const Entry& entry : page.entries) texts.push_back(this->texts()(entry));
    return std::move(page.next);
  });
}

template <class Handle>
std::string Step<Handle>::count() {
  draw_.call("count");
  const std::string prefix = draw_.prefix();
  const std::string from = draw_.chance(20) ? draw_.bound() : "";
  const std::optional<std::string> to = draw_.chance(20) ? draw_.end() : std::nullopt;
  const std::string glob = draw_.chance(30) ? draw_.glob() : "";
  return answer([&] { return handle_.count({.prefix = prefix, .from = from, .to = to, .glob = glob}); });
}

// ---- several

template <class Handle>
std::vector<std::uint64_t> Step<Handle>::inner_seeds() {
  std::vector<std::uint64_t> seeds(1 + draw_.below(8));
  for (std::uint64_t& seed : seeds) seed = draw_.next_seed();
  return seeds;
}

template <class Handle>
std::string Step<Handle>::transaction() {
  const auto nothing = [](auto&) {};
  if (context_.is_asynchronous) return get_many();
  if constexpr (requires { handle_.transaction(nothing); }) {
    if (context_.transaction_depth == kTransactionDepthMax) return get();
    draw_.call("transaction {");
    const std::vector<std::uint64_t> seeds = inner_seeds();
    const bool rolls_back = draw_.chance(25);
    std::string all;
    ++context_.transaction_depth;
    try {
      handle_.transaction([&](auto& inside) {
        all += "[";
        for (const std::uint64_t seed : seeds) (all += run_step(context_, inside, seed)) += "; ";
        if (rolls_back) throw RolledBack();
      });
    } catch (const RolledBack&) {
      all += "rolled back";
    }
    --context_.transaction_depth;
    draw_.call(rolls_back ? "} rolled back" : "}");
    return all + "]";
  }
  return get_many();
}

template <class Handle>
std::string Step<Handle>::run() {
  static constexpr Row kRows[] = {
      {40, &Step::get},
      {20, &Step::get_into},
      {20, &Step::get_or_throw},
      {90, &Step::get_entry},
      {30, &Step::get_many},
      {20, &Step::exists},
      {15, &Step::exists_many},
      {30, &Step::ttl},
      {130, &Step::set},
      {40, &Step::set_if_absent},
      {30, &Step::set_if_present},
      {40, &Step::set_many},
      {20, &Step::set_many_if_absent},
      {40, &Step::erase},
      {15, &Step::erase_many},
      {8, &Step::erase_prefix},
      {8, &Step::erase_range},
      {1, &Step::clear},
      {60, &Step::increment},
      {30, &Step::decrement},
      {40, &Step::swap_by_value},
      {30, &Step::swap_by_version},
      {15, &Step::erase_by_value},
      {15, &Step::erase_by_version},
      {25, &Step::get_and_set},
      {15, &Step::get_and_erase},
      {25, &Step::get_and_touch},
      {40, &Step::update},
      {25, &Step::expire},
      {20, &Step::expire_at},
      {25, &Step::persist},
      {25, &Step::keys},
      {20, &Step::scan},
      {10, &Step::entries},
      {15, &Step::count},
      {15, &Step::search},
      {10, &Step::find},
      {30, &Step::transaction},
  };
  ++context_.operations;
  std::uint64_t total = 0;
  for (const Row& row : kRows) total += row.weight;
  std::uint64_t drawn = draw_.below(total);
  for (const Row& row : kRows) {
    if (drawn < row.weight) return (this->*row.make)();
    drawn -= row.weight;
  }
  return {};
}

namespace {

template <class Handle>
auto view_of(Handle& handle, const StepContext& context, const std::string& name, bool has_ttl) {
  const auto ttl = std::chrono::milliseconds(5 * context.rules.unit_ms);
  if constexpr (std::is_same_v<Handle, Transaction>) {
    return handle.with_namespace(name);
  } else {
    const bool gives_ttl = has_ttl && context.transaction_depth == 0;  // views of a transaction have no options
    return handle.with_namespace(name, gives_ttl ? NamespaceOptions{.ttl = ttl} : NamespaceOptions{});
  }
}

/// Calls `use` with the view that the names lead to.
template <class Handle, class Use>
std::string in_namespace(StepContext& context, Handle& handle, std::span<const std::string> names, bool has_ttl,
                         Use use) {
  if (names.empty()) return use(handle);
  auto view = view_of(handle, context, names.front(), has_ttl && names.size() == 1);
  const std::string outer = context.space;
  context.space += (outer.empty() ? "" : "/") + names.front();
  std::string text = in_namespace(context, view, names.subspan(1), has_ttl, use);
  context.space = outer;
  return text;
}

}  // namespace

template <class Handle>
std::string run_step(StepContext& context, Handle& root, std::uint64_t seed) {
  Draw draw(seed, context.rules, context.notes);
  const std::vector<NamespaceChoice>& choices = namespace_choices();
  const bool in_root = draw.chance(45);
  const NamespaceChoice& choice = choices[draw.below(choices.size())];
  const std::string space = context.space;
  const int depth = context.transaction_depth;
  try {
    if (in_root) return Step<Handle>(context, root, draw).run();
    draw.call("in " + shown(choice.names.back()));
    return in_namespace(context, root, choice.names, choice.has_ttl,
                        [&](auto& view) { return Step(context, view, draw).run(); });
  } catch (const Error& error) {
    context.space = space;
    context.transaction_depth = depth;
    return Texts(0, 1)(error);
  }
}

template <class Handle>
std::string text_of_all(StepContext& context, Handle& root) {
  const Texts texts(context.side.now_us(), context.rules.unit_ms);
  const auto list = [&](auto& view) {
    std::string all = "\nin " + shown(context.space) + ":";
    for (const Entry& entry : view.entries({.limit = 1000})) (all += texts(entry)) += "|";
    return all;
  };
  std::string all = list(root);
  for (const NamespaceChoice& choice : namespace_choices()) {
    all += in_namespace(context, root, choice.names, choice.has_ttl, list);
  }
  return all;
}

template std::string run_step(StepContext&, Store&, std::uint64_t);
template std::string run_step(StepContext&, AsyncStore&, std::uint64_t);
template std::string run_step(StepContext&, Reference&, std::uint64_t);
template std::string text_of_all(StepContext&, Store&);
template std::string text_of_all(StepContext&, Reference&);

}  // namespace tuskv::test
