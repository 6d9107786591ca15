#include "model/text.h"

namespace tuskv::test {

std::string Texts::units_left(std::int64_t us) const {
  const std::int64_t whole = us / unit_us_;
  return std::to_string(whole + (whole * unit_us_ < us ? 1 : 0));
}

std::string Texts::operator()(const std::vector<std::optional<std::string>>& values) const {
  std::string text;
  for (const auto& value : values) (text += (*this)(value)) += ",";
  return text;
}

std::string Texts::operator()(const Ttl& ttl) const {
  if (ttl.state == Ttl::State::missing) return "missing";
  if (ttl.state == Ttl::State::persistent) return "persistent";
  return units_left(ttl.left.count() * 1000) + " left";
}

std::string Texts::operator()(const CompareResult& result) const {
  if (result) return "success";
  if (result.status == CompareResult::Status::not_found) return "not found";
  return "mismatch " + (*this)(result.current);
}

std::string Texts::operator()(const PersistResult& result) const {
  constexpr const char* kTexts[] = {"missing", "had none", "removed"};
  return kTexts[static_cast<int>(result.status)];
}

std::string Texts::operator()(const Entry& entry) const {
  std::string text = shown(entry.key) + "=" + shown(entry.value);
  if (entry.expires_at) text += "@" + units_left(entry.expires_at->time_since_epoch().count() - now_us_);
  if (tells_creation_)
    text += " c" + std::to_string((now_us_ - entry.created_at.time_since_epoch().count()) / unit_us_);
  text += " u" + std::to_string((now_us_ - entry.updated_at.time_since_epoch().count()) / unit_us_);
  return text;
}

std::string Texts::operator()(const Error& error) const {
  return "throws " + std::string(to_string(error.code())) + ", " + std::string(to_string(error.outcome()));
}

}  // namespace tuskv::test
