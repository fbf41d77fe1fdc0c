/// The pre-production audit summary of a stack: computed once, rendered as Markdown, HTML or JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "readiness/control.hpp"
#include "report/findings.hpp"

namespace dm::report {

enum class Blocking : std::uint8_t { yes, recommended, optional };
std::string_view to_string(Blocking blocking);  ///< as the document prints it: "yes", "recommended", "optional"

/// One piece of work: a control that fails, and what mends it.
struct Step {
  const readiness::Assessment* assessment = nullptr;
  Blocking blocking = Blocking::optional;
  unsigned minutes = 0;
  std::string basis;                  ///< "2 min x 12 places (DM0801)", summed with " + "
  struct Change {
    const audit::Rule* rule = nullptr;
    std::size_t places = 0;
    Excerpt first;                    ///< the first place
    std::vector<std::string> others;  ///< "compose.yaml:12:5", the next places
    std::string message;
    std::string what;                 ///< what to change
    std::vector<readiness::ServiceId> services;
    std::string add;                  ///< Compose YAML that mends it, "" where a person must decide
    std::string diff;                 ///< the same as a unified diff of the files, "" where it cannot be one
  };
  std::vector<Change> changes;        ///< one a rule
  std::string prove;                  ///< the command that shows that it is done
};

struct Risk {
  enum class Class : std::uint8_t { high, medium, low };
  readiness::ServiceId service = 0;
  Class risk = Class::low;
  unsigned points = 0;
  std::string memory;                 ///< "limit 4096 MB", "no limit; product data: 4096 MB", "unknown"
  std::size_t dependents = 0;
  std::vector<std::string> reasons;
};
std::string_view to_string(Risk::Class risk);

struct CheckItem {
  std::string_view origin;            ///< "O31"
  std::string_view title;
  std::vector<const readiness::Assessment*> by;
  readiness::State state = readiness::State::unknown;  ///< the worst of `by`
};

struct Watch {
  std::string what, threshold, command;
};

struct Summary {
  const audit::Input* input = nullptr;
  readiness::Readiness readiness;
  readiness::Stack stack;
  std::string date;                            ///< "" = not stated
  std::size_t suppressed = 0;
  std::vector<const readiness::Assessment*> right;   ///< configured or proven
  std::vector<Step> steps;                     ///< critical path first, then recommended, then optional
  std::vector<const readiness::Assessment*> open;    ///< unknown: still to be proven
  std::vector<CheckItem> checklist;            ///< O31 - O40
  std::vector<Risk> risks;                     ///< high first
  std::vector<Watch> watches;
  unsigned blocking_minutes = 0, all_minutes = 0;
};

/// Pure: same input, same summary. `input` must outlive it.
Summary summarise(const audit::Input& input, const std::vector<audit::Finding>& findings, std::string date, const readiness::Proofs* proofs = nullptr);

std::string to_markdown(const Summary& summary);
/// The same as a page that needs nothing from outside, with the graph drawn.
std::string to_html(const Summary& summary);
std::string to_json(const Summary& summary);
/// The score with its terms and what each fix would add.
std::string explain_score(const readiness::Readiness& readiness);

/// "1 h 5 min", "40 min".
std::string duration(unsigned minutes);
/// "a, b, c and 12 more": at most `most` names.
std::string join(const std::vector<std::string>& names, std::size_t most);

}  // namespace dm::report
