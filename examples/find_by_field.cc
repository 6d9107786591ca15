// Searching in values: JSON documents by one of their fields, and any values by what they hold.
#include <tuskv/tuskv.h>

#include <iostream>
#include <string>

namespace {

void print(const char* what, const tuskv::Page& page) {
  std::cout << what << ":";
  for (const tuskv::Entry& entry : page.entries) std::cout << " " << entry.key;
  std::cout << "\n";
}

}  // namespace

int main() {
  auto store = tuskv::Store::open("memory:");
  store.set("city:paris", R"({"name": "Paris", "country": "FR", "capital": true, "height": 35})");
  store.set("city:lyon", R"({"name": "Lyon", "country": "FR", "capital": false, "height": 170.0})");
  store.set("city:rome", R"({"name": "Rome", "country": "IT", "capital": true, "height": null})");
  store.set("city:draft", "not JSON at all");
  store.set("note:1", "Lunch in PARIS");

  // A field is compared with a JSON value: by type, and numbers as numbers.
  print("capitals", store.find_by_field("city", "capital", "true"));
  print("in France", store.find_by_field("city", "country", "\"FR\""));
  print("at 170 m", store.find_by_field("city", "height", "170"));
  print("height unknown", store.find_by_field("city", "height", "null"));
  // Or as text, which needs no quotes.
  print("called Lyon", store.find_by_field("city", "name", "Lyon", {.text = true}));

  // Any value, by the bytes in it.
  print("about Paris", store.search_values("paris", {.ignore_case = true}));

  // Page by page: a page looks at a bounded number of entries, so even an empty one can have a next.
  std::string after;
  do {
    const tuskv::Page page = store.find_by_field("city", "country", "\"FR\"", {.limit = 1, .after = after});
    print("page", page);
    after = page.next;
  } while (!after.empty());

  // In a PostgreSQL table of documents (`?value_type=jsonb`) the server searches, with an index on the fields you name.
  try {
    store.create_index("country");
  } catch (const tuskv::Error& error) {
    std::cout << "create_index: " << tuskv::to_string(error.code()) << "\n";
  }
}
