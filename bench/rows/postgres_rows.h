// The rows of the PostgreSQL engine, beside libpq called directly and, where it can do the same, Redis.
#pragma once

#include <array>

#include "bench/rows/rows.h"

namespace tuskv::bench {

void run_pg_get(Bench& bench);
void run_pg_set(Bench& bench);
void run_pg_set_durable(Bench& bench);
void run_pg_mixed(Bench& bench);
void run_pg_large_values(Bench& bench);
void run_pg_counter(Bench& bench);
void run_pg_async(Bench& bench);
void run_pg_set_many(Bench& bench);
void run_pg_key_length(Bench& bench);
void run_pg_growth(Bench& bench);
void run_pg_sweeper(Bench& bench);

inline constexpr std::array kPostgresRows = {
    Row{"pg_get", "PostgreSQL, 1 to 128 callers, against libpq and Redis", run_pg_get},
    Row{"pg_set", "PostgreSQL, unlogged, 1 to 128 callers, against libpq and Redis", run_pg_set},
    Row{"pg_set_durable", "PostgreSQL, durable, 1 to 128 callers, against libpq", run_pg_set_durable},
    Row{"pg_mixed", "PostgreSQL, four gets for each set", run_pg_mixed},
    Row{"pg_large_values", "PostgreSQL, values of 64 KiB", run_pg_large_values},
    Row{"pg_counter", "PostgreSQL, one counter that 64 callers increment", run_pg_counter},
    Row{"pg_async", "PostgreSQL, 256 calls in flight, against libpq's pipeline", run_pg_async},
    Row{"pg_set_many", "PostgreSQL, set_many of 10 to 1000 entries", run_pg_set_many},
    Row{"pg_key_length", "PostgreSQL, get as keys grow", run_pg_key_length},
    Row{"pg_growth", "PostgreSQL, statements prepared on a table of 20 rows, which then grows", run_pg_growth},
    Row{"pg_sweeper", "PostgreSQL, calls beside a sweeper that has a million entries to remove", run_pg_sweeper},
};

}  // namespace tuskv::bench
