// The URL of a store and the options in it. Whatever is given: an answer or a Config error, never more of the text than
// may be shown; and an option that was accepted is written so that it is accepted again and means the same.
#include <string>
#include <string_view>

#include "fuzz_target.h"
#include "option_table.h"
#include "url.h"

namespace {

constexpr std::string_view kSecret = "sEcReT7";

void check_options(const tuskv::StoreUrl& url) {
  tuskv::Options options;
  for (const auto& [name, value] : url.parameters) {
    TUSKV_FUZZ_CHECK(tuskv::find_option(tuskv::nearest_option(name)) != nullptr);
    const tuskv::OptionRow* row = tuskv::find_option(name);
    if (row == nullptr) continue;
    const tuskv::Status set = tuskv::set_option(*row, value, options);
    if (!set.ok()) {
      TUSKV_FUZZ_CHECK(set.failure().code == tuskv::Code::Config);
      TUSKV_FUZZ_CHECK(set.failure().message.find(name) != std::string::npos);
      continue;
    }
    const std::string text = tuskv::option_text(*row, options);
    tuskv::Options again;
    TUSKV_FUZZ_CHECK(tuskv::set_option(*row, text, again).ok());
    TUSKV_FUZZ_CHECK(tuskv::option_text(*row, again) == text);
  }
  TUSKV_FUZZ_CHECK(tuskv::check_options(options).ok());
}

void check(const std::string& text) {
  const auto parsed = tuskv::parse_url(text);
  if (!parsed.ok()) {
    TUSKV_FUZZ_CHECK(parsed.failure().code == tuskv::Code::Config);
    return;
  }
  const tuskv::StoreUrl& url = parsed.value();
  TUSKV_FUZZ_CHECK(url.directory.find('\0') == std::string::npos);
  TUSKV_FUZZ_CHECK((url.scheme == tuskv::StoreUrl::Scheme::file) == !url.directory.empty());
  check_options(url);
}

/// A password may stand in any URL that has an authority: no message repeats it.
void check_secrecy(const std::string& text) {
  const auto parsed = tuskv::parse_url(text + "://user:" + std::string(kSecret) + "@host/x");
  if (!parsed.ok()) TUSKV_FUZZ_CHECK(parsed.failure().message.find(kSecret) == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(text);
  check("file:d?" + text);
  check_secrecy(text);
  return 0;
}
