// Protocol buffers as values. The message is in order.proto.
#include <tuskv/protobuf.h>
#include <tuskv/tuskv.h>

#include <cstdint>
#include <iostream>
#include <optional>

#include <order.pb.h>

int main() {
  const auto store = tuskv::Store::open("memory:");
  const auto orders = store.typed<shop::Order, std::uint64_t>("order:");

  shop::Order order;
  order.set_customer("Alice");
  (*order.mutable_items())["apple"] = 3;
  orders.set(7, order);
  orders.set(1000, {});  // nothing but defaults: no bytes, and yet there

  orders.update(7, [](std::optional<shop::Order> present) -> tuskv::TypedChange<shop::Order> {
    if (!present) return std::nullopt;
    present->set_is_paid(true);
    return *present;
  });

  // Messages are compared by what they say.
  order.set_is_paid(true);
  std::cout << "swapped: " << static_cast<bool>(orders.compare_and_swap(7, order, order)) << "\n";

  for (const auto& entry : orders.entries()) {
    const shop::Order& each = *entry.value;
    std::cout << "order " << entry.key << " of \"" << each.customer() << "\", " << each.items_size()
              << " items, paid: " << each.is_paid() << "\n";
  }
}
