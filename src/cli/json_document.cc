#include "cli/json_document.h"

#include <cstddef>
#include <cstdint>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/exit_code.h"
#include "cli/limits.h"

namespace tuskv::cli {

namespace {

Json number_as_written(std::string_view text) {
  return Json::binary(Json::binary_t::container_type(text.begin(), text.end()));
}

/// Makes the document of what the parser meets; each function ends the parsing by returning false.
class DocumentBuilder final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(value == 0 ? number_as_written("-0") : Json(value)); }
  bool number_unsigned(std::uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string& text) override {
    Json number(value);
    return add(number.dump() == text ? std::move(number) : number_as_written(text));
  }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    if (!names_[open_.size() - 1].insert(name).second) return fail('"' + name + "\" is given twice in one object");
    name_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: …"
    const std::string_view what = error.what();
    const std::size_t end = what.find("] ");
    return fail("not JSON: " + std::string(end == std::string_view::npos ? what : what.substr(end + 2)));
  }

  const std::string& failure() const noexcept { return failure_; }
  Json take() { return std::move(document_); }

 private:
  bool fail(std::string why) {
    failure_ = std::move(why);
    return false;
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  Json& place(Json value) {
    if (open_.empty()) return document_ = std::move(value);
    Json& parent = *open_.back();
    if (parent.is_array()) return parent.emplace_back(std::move(value));
    // Not by operator[], which looks through all members for the name.
    return parent.get_ref<Json::object_t&>().emplace_back(std::move(name_), std::move(value)).second;
  }
  bool open(Json value) {
    if (open_.size() == kJsonDepthMax) return fail("nested deeper than " + std::to_string(kJsonDepthMax));
    open_.push_back(&place(std::move(value)));
    if (names_.size() < open_.size()) names_.emplace_back();
    names_[open_.size() - 1].clear();
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json document_;
  std::vector<Json*> open_;
  std::vector<std::unordered_set<std::string>> names_;  ///< of the objects that are open, by depth
  std::string name_;                                    ///< of the member whose value comes next
  std::string failure_;
};

void append(const Json& value, std::string& text) {
  if (value.is_binary()) {
    text.append(value.get_binary().begin(), value.get_binary().end());
  } else if (value.is_structured()) {
    text += value.is_object() ? '{' : '[';
    const char* comma = "";
    for (const auto& each : value.items()) {
      text += std::exchange(comma, ",");
      if (value.is_object()) text += Json(each.key()).dump() + ':';
      append(each.value(), text);
    }
    text += value.is_object() ? '}' : ']';
  } else {
    text += value.dump();
  }
}

}  // namespace

Json parse_json(std::string_view text) {
  DocumentBuilder builder;
  if (!Json::sax_parse(text, &builder)) throw UsageError(builder.failure());
  return builder.take();
}

std::string compact_json(const Json& part) {
  std::string text;
  append(part, text);
  return text;
}

}  // namespace tuskv::cli
