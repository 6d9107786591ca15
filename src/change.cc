#include <utility>

#include "tuskv/store.h"

namespace tuskv {
inline namespace v0 {

Change::Change(std::string value, const SetOptions& options)
    : kind_(Kind::set), value_(std::move(value)), options_(options) {}
Change::Change(std::string_view value, const SetOptions& options) : Change(std::string(value), options) {}
Change::Change(const char* value, const SetOptions& options) : Change(std::string(Bytes(value).view()), options) {}
Change::Change(std::nullopt_t) noexcept : kind_(Kind::erase) {}
Change::Change(std::optional<std::string> value) : kind_(Kind::erase) {
  if (value) *this = Change(*std::move(value));
}
Change::Change(Kind kind, std::string value, const SetOptions& options) noexcept
    : kind_(kind), value_(std::move(value)), options_(options) {}

Change Change::replace(std::string value, const SetOptions& options) {
  return Change(Kind::replace, std::move(value), options);
}
Change Change::keep() noexcept { return Change(Kind::keep, {}, {}); }
Change Change::keep(const SetOptions& options) noexcept { return Change(Kind::touch, {}, options); }

}  // namespace v0
}  // namespace tuskv
