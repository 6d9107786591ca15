// jsonb keeps numbers as PostgreSQL's numeric, and gives them back without exponents: 1e131071 is 131,072 digits. A
// small document of such numbers is a large value to everybody who reads, lists or measures it, and beyond a gigabyte
// an error of the server to all of them. So one that grows too much is refused before it is stored.
#pragma once

#include "postgres/refused_value.h"
#include "status.h"

namespace tuskv::postgres {

/// Refuses a document that grows beyond kJsonGrowthFactor times its size and kJsonGrowthBytes, or kValueBytesCeiling.
Status check_written_out(const GivenValue& given);

}  // namespace tuskv::postgres
