// Sessions that live as long as they are used: every read lets one live for the whole time again.
#include <tuskv/json.h>
#include <tuskv/tuskv.h>

#include <iostream>
#include <optional>
#include <string>

using namespace std::chrono_literals;

namespace web {

struct Session {
  std::string user = {};
  int requests = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Session, user, requests)

using Sessions = tuskv::TypedView<Session>;

/// Who is asking; nothing when the session has ended.
std::optional<std::string> handle_request(const Sessions& sessions, const std::string& token) {
  const auto session = sessions.update(token, [](std::optional<Session> present) -> tuskv::TypedChange<Session> {
    if (!present) return std::nullopt;
    ++present->requests;
    return {*present, {.ttl = 30min}};  // an update keeps the expiry unless it is told otherwise
  });
  if (!session) return std::nullopt;
  return session->user;
}

}  // namespace web

int main() {
  const auto store = tuskv::Store::open("memory:");
  const auto sessions = store.typed<web::Session>("session:", {.ttl = 30min, .sliding = true});

  sessions.set("t0ken", {.user = "Alice"});  // the ttl of the view
  sessions.expire("t0ken", 1min);            // as after 29 minutes without a request
  const auto session = sessions.get_or_throw("t0ken");
  std::cout << session.user << ", and again " << sessions.ttl("t0ken").redis() << " s to live\n";

  sessions.expire("t0ken", 1min);
  std::cout << web::handle_request(sessions, "t0ken").value_or("nobody") << ", after "
            << sessions.get_or_throw("t0ken").requests << " request\n";

  // Looking at all of them prolongs none.
  sessions.expire("t0ken", 1min);
  for (const auto& entry : sessions.entries()) {
    std::cout << entry.value->user << ": " << sessions.ttl(entry.key).redis() << " s\n";
  }

  std::cout << "logged out: " << sessions.get_and_erase("t0ken")->user << "\n";
  std::cout << web::handle_request(sessions, "t0ken").value_or("nobody") << "\n";
}
