#include "postgres/respelling.h"

#include <algorithm>

#include "postgres/limits.h"
#include "postgres/parameters.h"

namespace tuskv::postgres {

void Respelling::add(const Statements& statements, Connection& connection, std::span<const std::string_view> values) {
  chunks_.clear();
  for (std::size_t first = 0; first < values.size();) {
    std::size_t end = first;
    std::size_t bytes = 0;
    do {
      bytes += values[end].size();
      ++end;
    } while (end < values.size() && end - first < kStatementKeysMax &&
             bytes + values[end].size() <= kStatementBytesMax);
    Parameters parameters;
    parameters.begin_array(kText, end - first, bytes);
    for (std::size_t i = first; i < end; ++i) parameters.element(values[i]);
    parameters.end_array();
    chunks_.push_back({.place = connection.add(statements.respell, parameters), .first = first});
    first = end;
  }
}

void Respelling::take(Connection& connection) {
  for (Chunk& chunk : chunks_) chunk.rows = connection.take_rows(chunk.place);
}

std::string_view Respelling::operator[](std::size_t index) const {
  const auto behind = std::upper_bound(chunks_.begin(), chunks_.end(), index,
                                       [](std::size_t i, const Chunk& chunk) { return i < chunk.first; });
  const Chunk& chunk = *(behind - 1);
  return chunk.rows.bytes(static_cast<int>(index - chunk.first), 0);
}

}  // namespace tuskv::postgres
