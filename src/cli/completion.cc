#include "cli/completion.h"

#include <algorithm>
#include <utility>

#include "cli/limits.h"
#include "cli/shell_words.h"

namespace tuskv::cli {

namespace {

std::size_t shared_size(std::string_view a, std::string_view b) {
  const auto ends = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(ends.first - a.begin());
}

/// So much of the beginning of a text in UTF-8 that no character is cut: the editor takes no part of one.
std::string_view whole_characters(std::string_view text, std::size_t size) {
  const auto is_continued = [&] {
    return size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80;
  };
  while (size > 0 && is_continued()) --size;
  return text.substr(0, size);
}

/// `last` is the last of all candidates when not all are listed.
Completion completion_of(std::vector<std::string> candidates, std::string_view word, const std::string& last) {
  Completion completion;
  completion.more = !last.empty();
  if (!candidates.empty()) {
    std::string_view shared = candidates.front();
    for (const std::string& candidate : candidates) shared = shared.substr(0, shared_size(shared, candidate));
    if (completion.more) shared = shared.substr(0, shared_size(shared, last));
    shared = whole_characters(candidates.front(), shared.size());
    completion.rest = shared.substr(std::min(word.size(), shared.size()));
    if (candidates.size() == 1 && !completion.more) completion.rest += ' ';
  }
  completion.candidates = std::move(candidates);
  return completion;
}

Completion complete_verb(std::string_view word) {
  std::vector<std::string> candidates;
  for (const std::string_view name : verb_names()) {
    if (name.starts_with(word)) candidates.emplace_back(name);
  }
  return completion_of(std::move(candidates), word, {});
}

Completion complete_key(std::string_view word, Session& session, const Settings& settings) {
  const Store root = session.store(Access::read);
  const Store store = settings.name_space ? root.with_namespace(*settings.name_space) : root;
  KeyPage page = store.keys({.prefix = word, .limit = kCompletions});
  std::erase_if(page.keys, [](const std::string& key) { return !is_plain_word(key); });
  std::string last;
  if (!page.next.empty()) {
    const KeyPage end = store.keys({.prefix = word, .limit = 1, .reverse = true});
    last = end.keys.empty() ? page.next : end.keys.front();
  }
  return completion_of(std::move(page.keys), word, last);
}

}  // namespace

Completion complete(std::string_view line_before_cursor, Session& session, const Settings& settings) {
  const std::size_t blank = line_before_cursor.find_last_of(" \t");
  if (blank == std::string_view::npos) return complete_verb(line_before_cursor);
  return complete_key(line_before_cursor.substr(blank + 1), session, settings);
}

}  // namespace tuskv::cli
