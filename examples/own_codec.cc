// A format of your own: two functions. This one keeps points as text, with a version in front, and still reads the
// older format.
#include <tuskv/tuskv.h>
#include <tuskv/typed.h>

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace chart {

struct Point {
  double x = 0;
  double y = 0;
};

}  // namespace chart

template <>
struct tuskv::Codec<chart::Point> {
  static std::string encode(const chart::Point& point) {
    char text[64];
    std::snprintf(text, sizeof text, "2 %.17g %.17g", point.x, point.y);
    return text;
  }
  /// Refuses by throwing: callers get an Error that names the key as well.
  static chart::Point decode(std::string_view bytes) {
    const std::string text(bytes);
    chart::Point point;
    if (std::sscanf(text.c_str(), "2 %lf %lf", &point.x, &point.y) == 2) return point;
    if (std::sscanf(text.c_str(), "1 %lf", &point.x) == 1) return point;  // had no y
    throw std::runtime_error("a point is a version and its coordinates");
  }
};

/// Plain data needs no format: its bytes in memory, for machines of one kind.
struct Pixel {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
};

int main() {
  const auto store = tuskv::Store::open("memory:");
  const auto points = store.typed<chart::Point>("point:");
  points.set("a", {.x = 1.5, .y = -2});
  store.set("point:old", "1 7");
  store.set("point:broken", "here");
  for (const auto& entry : points.entries()) {
    if (entry.value) std::cout << entry.key << " " << entry.value->x << " " << entry.value->y << "\n";
    if (entry.value.is_undecodable()) std::cout << entry.value.error() << "\n";
  }

  const auto pixels = store.typed<Pixel, std::uint32_t, tuskv::RawCodec<Pixel>>("pixel:");
  pixels.set(7, {.red = 255, .green = 128});
  std::cout << store.get_or_throw(store.keys({.prefix = "pixel:"}).keys.at(0)).size() << " bytes, green is "
            << int{pixels.get_or_throw(7).green} << "\n";
}
