// Reading files and standard input in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tuskv::cli {

/// A file or, for "-", standard input. What cannot be opened, is a directory or is too long is a UsageError naming the
/// file, what the system fails to read an InputError.
class Input final {
 public:
  explicit Input(const std::string& path);
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input();

  const std::string& name() const noexcept { return name_; }
  /// The next line without its newline, valid until the next call; nothing at the end.
  std::optional<std::string_view> line();
  /// Everything that is left.
  std::string rest(std::size_t size_bytes_max);
  /// Number of the line returned last, from 1.
  std::uint64_t line_number() const noexcept { return line_number_; }
  /// True when line() would have to wait: no line is buffered and nothing has arrived.
  bool would_wait() const;
  std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  /// Of a regular file; 0 for a pipe or a terminal.
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }

 private:
  bool fill();

  std::string name_;
  int descriptor_ = 0;
  std::string buffer_;
  std::size_t begin_ = 0;
  bool ended_ = false;
  std::uint64_t line_number_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace tuskv::cli
