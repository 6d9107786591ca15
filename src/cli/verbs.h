// Every verb: declares its arguments and returns what it does.
#pragma once

#include "cli/arguments.h"

namespace tuskv::cli {

// verbs_point.cc
Action add_get(Arguments& arguments);
Action add_set(Arguments& arguments);
Action add_getset(Arguments& arguments);
Action add_cas(Arguments& arguments);
Action add_incr(Arguments& arguments);
Action add_decr(Arguments& arguments);
Action add_mget(Arguments& arguments);
Action add_mset(Arguments& arguments);
Action add_exists(Arguments& arguments);
Action add_del(Arguments& arguments);

// verbs_expiry.cc
Action add_ttl(Arguments& arguments);
Action add_expire(Arguments& arguments);
Action add_persist(Arguments& arguments);
Action add_sweep(Arguments& arguments);

// verbs_list.cc
Action add_scan(Arguments& arguments);
Action add_count(Arguments& arguments);
Action add_search(Arguments& arguments);
Action add_find(Arguments& arguments);
Action add_index(Arguments& arguments);
Action add_namespaces(Arguments& arguments);
Action add_stats(Arguments& arguments);

// lock.cc, coordinate.cc
Action add_lock(Arguments& arguments);
Action add_rate(Arguments& arguments);
Action add_claim(Arguments& arguments);

// maintenance.cc
Action add_check(Arguments& arguments);
Action add_repair(Arguments& arguments);
Action add_snapshots(Arguments& arguments);

// import.cc, export.cc, copy.cc
Action add_import(Arguments& arguments);
Action add_export(Arguments& arguments);
Action add_copy(Arguments& arguments);

// reencrypt.cc
Action add_reencrypt(Arguments& arguments);

// doctor.cc
Action add_doctor(Arguments& arguments);

// shell.cc, bench.cc
Action add_shell(Arguments& arguments);
Action add_bench(Arguments& arguments);

}  // namespace tuskv::cli
