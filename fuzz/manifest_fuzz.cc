// The text of a manifest, which the fuzzer writes up to the line of its checksum: a decoder must not rely on nobody
// being able to make that line. Whatever is accepted is spelled as tuskv would spell it.
#include <xxhash.h>

#include <string>

#include "embedded/manifest.h"
#include "fuzz_target.h"

namespace {

std::string with_checksum_line(std::string text) {
  char line[32];
  std::snprintf(line, sizeof line, "checksum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return text + line;
}

void check(const std::string& bytes) {
  const auto manifest = tuskv::embedded::decode_manifest(bytes, "MANIFEST");
  if (manifest.ok()) {
    TUSKV_FUZZ_CHECK(tuskv::embedded::encode_manifest(manifest.value()) == bytes);
  } else {
    const tuskv::Code code = manifest.failure().code;
    TUSKV_FUZZ_CHECK(code == tuskv::Code::Corruption || code == tuskv::Code::Config);
    TUSKV_FUZZ_CHECK(manifest.failure().message.find("MANIFEST") != std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(with_checksum_line(text));
  return 0;
}
