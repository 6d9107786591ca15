// reencrypt: every value under the first key. Starting it again after an interruption goes on where it is needed.
#include <nlohmann/json.hpp>

#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

void print(Output& output, const Settings& settings, const ReencryptReport& report) {
  if (settings.json) {
    output.json({{"examined", report.examined},
                 {"rewritten", report.rewritten},
                 {"unreadable", report.unreadable},
                 {"first_unreadable", report.first_unreadable},
                 {"left", report.left}});
  } else {
    output.line("examined " + std::to_string(report.examined) + " entries, rewrote " +
                std::to_string(report.rewritten));
  }
}

}  // namespace

Action add_reencrypt(Arguments&) {
  return [](Call& call) {
    const Store store = call.whole_store(Access::show_expired);
    Progress progress("examined", store);
    const ReencryptReport report = store.reencrypt([&](const ReencryptReport& done) {
      stop_when_interrupted();
      progress.update(done.examined, done.examined);
    });
    print(call.output, call.settings, report);
    if (report.unreadable != 0) {
      complain("values that these keys cannot decrypt, and that are left as they are: " +
               std::to_string(report.unreadable) + "; the first is that of key " + report.first_unreadable);
    }
    if (report.left != 0) {
      complain("values that are still under an older key, which is needed until they are not: " +
               std::to_string(report.left) +
               "; others held or kept writing their entries (start it again), or these have expired and this store "
               "hides them "
               "(leave ttl_mode out of its URL, or say ttl_mode=disabled)");
    }
    return report.unreadable == 0 && report.left == 0 ? ExitCode::done : ExitCode::refused;
  };
}

}  // namespace tuskv::cli
