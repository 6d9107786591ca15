#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace tuskv::cli {

namespace {

constexpr std::chrono::milliseconds kInterval(200);
constexpr std::uint64_t kWidth = 30;

bool is_shown() { return ::isatty(STDERR_FILENO) == 1; }

std::uint64_t entries_if_shown(const Store& store) {
  if (!is_shown()) return 0;
  try {
    return store.stats().entries;
  } catch (const Error&) {
    return 0;  // what the verb is about will tell whether anything is wrong
  }
}

void show(std::string_view text) {
  // A terminal that refuses a progress bar is no reason to stop.
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace

Progress::Progress(std::string verb, std::uint64_t total)
    : verb_(std::move(verb)), total_(total), terminal_(is_shown()), next_(std::chrono::steady_clock::now()) {}

Progress::Progress(std::string verb, const Store& store) : Progress(std::move(verb), entries_if_shown(store)) {}

Progress::~Progress() {
  if (shown_) show("\r\x1b[K");
}

void Progress::update(std::uint64_t done, std::uint64_t entries) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  std::string line = "\r\x1b[K" + verb_ + " " + std::to_string(entries) + " entries";
  if (total_ > 0) {
    const std::uint64_t part = std::min(done, total_);
    const std::uint64_t filled = part * kWidth / total_;
    line += " [" + std::string(filled, '#') + std::string(kWidth - filled, ' ') + "] " +
            std::to_string(part * 100 / total_) + "%";
  }
  show(line);
  shown_ = true;
}

}  // namespace tuskv::cli
