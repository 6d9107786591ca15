// Values encrypted at rest, and a change of the key.
#include <tuskv/encryption.h>
#include <tuskv/tuskv.h>

#include <filesystem>
#include <iostream>
#include <string>

int main() {
  const std::string directory = std::filesystem::temp_directory_path() / "tuskv-example-encrypted";
  std::filesystem::remove_all(directory);
  const std::string url = "file:" + directory;

  // Keys belong into a file that nobody else can read (KeyRing::from_file), or into a secret of the environment.
  const std::string first_key(32, 'a');
  const std::string second_key(32, 'b');
  const auto first = tuskv::KeyRing().add(1, first_key);
  {
    const auto store = tuskv::Store::open(url, {.encryptor = tuskv::aes_256_gcm(first)});
    store.set("card:7", "4000 1234 5678 9010");
    std::cout << store.get("card:7").value() << ", " << store.increment("uses") << " use\n";
  }

  // Whoever has the files, but not the keys, gets nothing.
  try {
    tuskv::Store::open(url);
  } catch (const tuskv::Error& error) {
    std::cout << tuskv::to_string(error.code()) << ": " << std::string(error.what()).substr(0, 22) << "\n";
  }

  // A new key: first in the ring, for new values; the old one behind it, for those there are.
  {
    const auto both = tuskv::KeyRing().add(2, second_key).add(1, first_key);
    const auto store = tuskv::Store::open(url, {.encryptor = tuskv::aes_256_gcm(both)});
    const auto report = store.reencrypt();
    std::cout << "reencrypted " << report.rewritten << " of " << report.examined << "\n";
  }
  const auto second = tuskv::KeyRing().add(2, second_key);
  const auto store = tuskv::Store::open(url, {.encryptor = tuskv::aes_256_gcm(second)});
  std::cout << store.get("card:7").value() << ", without the first key\n";
  store.close();
  std::filesystem::remove_all(directory);
}
