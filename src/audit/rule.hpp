/// What an audit rule is. To add one, read rules/README.md; it is one file and one line.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wiring/wiring.hpp"

namespace dm::audit {

using compose::Location;
using wiring::ServiceId;

enum class Severity : std::uint8_t { critical, high, medium, low, info };
enum class Area : std::uint8_t { architecture, security, operations, recovery };

std::string_view to_string(Severity severity);
std::string_view to_string(Area area);

struct Rule;

/// One thing wrong, at one or more places. A blanket finding on many services is one Finding with all of them.
struct Finding {
  const Rule* rule = nullptr;            ///< never null; rules live for the whole program
  Severity severity = Severity::medium;
  std::vector<ServiceId> services;       ///< affected, in project order; may be empty
  std::vector<Location> where;           ///< first is the main place; never empty
  std::string message;                   ///< names the service and what is wrong; no secret
  std::string evidence;                  ///< what proves it, e.g. "authelia is on frontend; postgres on database"
  std::string hint;                      ///< how to mend this one; "" = the rule's own
  std::string suppressed_by;             ///< reason and place of the suppression; "" = counts
};

/// Everything that a rule may look at. All references outlive the run.
struct Input {
  const compose::Project& project;
  const wiring::Wiring& wiring;
  const std::vector<compose::Diagnostic>& diagnostics;  ///< of loading
  const sources::Files& files;           ///< for existence and modes; contents come from project.texts or `read`
  compose::Project& texts_owner;         ///< same project: SourceSet::open for files a rule must read
};

/// Collects the findings of one rule.
class Report {
 public:
  Report(const Rule& rule, std::vector<Finding>& out) : rule_(rule), out_(out) {}
  /// One finding at one place.
  Finding& add(Location where, ServiceId service, std::string message, std::string evidence = {}, std::string hint = {});
  /// One finding for several services (blanket rules). `where` has one place per service, in the same order.
  Finding& add_all(std::vector<Location> where, std::vector<ServiceId> services, std::string message,
                   std::string evidence = {}, std::string hint = {});

 private:
  const Rule& rule_;
  std::vector<Finding>& out_;
};

/// Everything about one rule in one place: console, docs, `datamancy explain`, SARIF and the catalogue test read this.
///
/// An example is a project: compose.yaml, then more files, each after a line `-- PATH [MODE]` (octal). Lines of any file that
/// must be found end in `# <- ID`. `look_alike` is a project that must NOT be found although it looks similar.
struct Rule {
  std::string_view id;         ///< "DM0101"; stable for ever, never reused
  std::string_view name;       ///< "profile-closure", for people and config files
  Severity severity;
  Area area;
  std::string_view summary;    ///< one line, no full stop, at most 80 characters
  std::string_view rationale;  ///< Markdown: what goes wrong in production, in plain words
  std::string_view fix;        ///< Markdown: how to mend it
  std::string_view checks;     ///< rows of the checks table and origin items it covers: "104 O31"
  std::string_view bad;
  std::string_view good;       ///< the same project mended
  std::string_view look_alike; ///< looks similar, is right
  unsigned minutes;            ///< to mend one place, for the timeline
  /// Pure: no I/O but through `input`, no clock, no globals.
  void (*check)(const Input& input, Report& report);
};

/// All rules, ordered by id.
std::span<const Rule* const> all_rules();
/// The rule with this id or name, or null.
const Rule* find_rule(std::string_view id_or_name);
/// Runs every rule; findings come back ordered by severity, place, id.
std::vector<Finding> audit(const Input& input);

}  // namespace dm::audit
