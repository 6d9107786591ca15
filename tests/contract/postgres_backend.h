// PostgreSQL as a backend of the contract.
#pragma once

#include <memory>
#include <string>

#include "contract/contract.h"

namespace tuskv::test {

struct PostgresBackendKind {
  Durability durability = Durability::durable;
  std::string parameters = {};  ///< more of the URL: "&name=value…"
  bool is_pooled = false;       ///< through pgbouncer in transaction mode
  bool keeps_json = false;
  std::shared_ptr<const Encryptor> encryptor = {};
};

/// A schema of its own in a database that all tests share.
std::unique_ptr<Backend> make_postgres_backend(const PostgresBackendKind& kind);

}  // namespace tuskv::test
