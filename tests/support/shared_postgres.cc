#include "support/shared_postgres.h"

#include <cstdlib>
#include <fstream>

namespace tuskv::test {

SharedPostgres::SharedPostgres() {
  const char* name = std::getenv(kSharedPostgresVariable);
  if (name != nullptr) {
    std::ifstream file(name);
    file >> server_.host >> server_.port >> pooler_.host >> pooler_.port;
    if (!file) throw std::runtime_error(std::string("no server is described by ") + name);
    return;
  }
  own_server_ = std::make_unique<PostgresServer>();
  own_pooler_ = std::make_unique<PgBouncer>(own_server_->address());
  server_ = own_server_->address();
  pooler_ = own_pooler_->address();
}

}  // namespace tuskv::test
