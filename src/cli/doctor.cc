// doctor: what the store stands on, a verdict a line.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

const char* name_of(Finding::Severity severity) {
  switch (severity) {
    case Finding::Severity::ok: return "ok";
    case Finding::Severity::note: return "note";
    case Finding::Severity::warning: return "warning";
  }
  return "warning";
}

void print(Output& output, const Finding& finding) {
  constexpr std::size_t kVerdictWidth = 9;
  constexpr std::size_t kTopicWidth = 14;
  std::string line = name_of(finding.severity);
  line.resize(kVerdictWidth, ' ');
  line += finding.topic;
  line.resize(std::max(kVerdictWidth + kTopicWidth, line.size() + 1), ' ');
  line += finding.value;
  if (!finding.advice.empty()) line += " - " + finding.advice;
  output.value(line, false);
  output.text("\n");
}

Json json_of(const Finding& finding) {
  return {{"severity", name_of(finding.severity)},
          {"topic", finding.topic},
          {"value", json_of_bytes(finding.value)},
          {"advice", json_of_bytes(finding.advice)}};
}

}  // namespace

Action add_doctor(Arguments&) {
  return [](Call& call) {
    call.refuse_namespace();
    bool warned = false;
    Json document = Json::array();
    for (const Finding& finding : call.session.store(Access::inspect).diagnose()) {
      warned = warned || finding.severity == Finding::Severity::warning;
      if (call.settings.json) {
        document.push_back(json_of(finding));
      } else {
        print(call.output, finding);
      }
    }
    if (call.settings.json) call.output.json(document);
    return warned ? ExitCode::no : ExitCode::done;
  };
}

}  // namespace tuskv::cli
