/// Findings as text, JSON, Markdown, SARIF or JUnit. Secrets in shown lines are masked.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/rule.hpp"

namespace dm::report {

struct Findings {
  const audit::Input& input;
  const std::vector<audit::Finding>& list;              ///< suppressed ones too
  audit::Severity least = audit::Severity::low;         ///< text and Markdown show from here up
};

/// One block a finding: severity, place, message, the line with its mark, evidence, how to mend it; what is suppressed; sums.
std::string to_text(const Findings& findings);
/// docs/schema/audit.json describes it.
std::string to_json(const Findings& findings);
/// The same in pieces, a finding at a time: of a very large project nothing but the piece is held.
void write_json(const Findings& findings, const std::function<void(std::string_view)>& out);
std::string to_markdown(const Findings& findings);
/// A page that needs nothing from outside, with the graph.
std::string to_html(const Findings& findings);
/// SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/
std::string to_sarif(const Findings& findings);
/// JUnit as CI servers read it: one test case a rule, a failure for each finding that counts.
std::string to_junit(const Findings& findings);

/// The line of a finding as it may be shown.
struct Excerpt {
  std::string file;            ///< relative to the project folder
  std::size_t line = 1, column = 1;
  std::string text;            ///< masked, at most 160 bytes
  std::size_t width = 1;       ///< of the mark
};
Excerpt excerpt(const compose::Project& project, const audit::Location& where);
/// How to mend this one.
std::string mend(const audit::Finding& finding);

}  // namespace dm::report
