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
    output.json({{"examined", report.examined}, {"rewritten", report.rewritten}, {"unreadable", report.unreadable}});
  } else {
    output.line("examined " + std::to_string(report.examined) + " entries, rewrote " +
                std::to_string(report.rewritten));
  }
}

}  // namespace

Action add_reencrypt(Arguments&) {
  return [](Call& call) {
    const Store store = call.whole_store(Access::inspect);
    Progress progress("examined", store.stats().entries);
    const ReencryptReport report = store.reencrypt([&](const ReencryptReport& done) {
      stop_when_interrupted();
      progress.update(done.examined, done.examined);
    });
    print(call.output, call.settings, report);
    if (report.unreadable == 0) return ExitCode::done;
    complain(std::to_string(report.unreadable) +
             " values cannot be decrypted with these keys and are left as they are; "
             "the first is that of key " +
             report.first_unreadable);
    return ExitCode::refused;
  };
}

}  // namespace tuskv::cli
