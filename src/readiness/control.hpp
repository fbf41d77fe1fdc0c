/// Controls: what production needs of a stack, and how far each one is met.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/rule.hpp"
#include "state/proof.hpp"

namespace dm::readiness {

using audit::Area;
using wiring::ServiceId;

enum class State : std::uint8_t { failing, unknown, configured, proven, not_applicable };
std::string_view to_string(State state);  ///< "failing", ..., "not applicable"

/// What a stack consists of, as far as it decides which controls apply.
struct Stack {
  const compose::Project* project = nullptr;
  const wiring::Wiring* wiring = nullptr;
  const audit::Input* input = nullptr;
  std::size_t long_running = 0;
  bool datastore = false;    ///< something keeps data in a database
  bool sql = false;          ///< PostgreSQL or MariaDB
  bool postgres = false;
  bool cache = false;        ///< Valkey or Redis
  bool ldap = false;
  bool checks = false;       ///< some service has a healthcheck of its own
  bool volumes = false;      ///< named volumes or writable folders: data that can be lost
  bool proxy = false;
  bool identity = false;
  bool aliases = false;
  bool gpu = false;
  bool init_scripts = false;
  bool dotenv = false;
  bool secrets = false;      ///< variables or files that hold secrets
  bool risky = false;        ///< products known to exhaust a host
  bool templates = false;
};
Stack look_at(const audit::Input& input);

/// What the files can say about a control.
enum class Evidence : std::uint8_t {
  files,      ///< rules judge it; no finding means configured
  applied,    ///< likewise, and it is proven where a look shows that what runs is of these files
  engine,     ///< only the running engine can tell
  drill,      ///< only an exercise can tell
  unchecked,  ///< files could tell, but no rule of this version does
};

/// Names the proof that what runs is of the files as they are (observed.hpp).
inline constexpr std::string_view kApplied = "applied";

/// What a judge of its own says, for what no single rule says; all empty = met.
struct Verdict {
  std::string reason{};              ///< why it fails; "" = it does not
  std::vector<ServiceId> services{}; ///< that fail; empty = all
  std::string unknown{};             ///< why it cannot be told; "" = it can
  std::string mend{};                ///< of what `reason` says
};

/// One property that production needs. The list is controls.cpp; ids are stable.
struct Control {
  std::string_view id;        ///< "R01"
  std::string_view origin;    ///< items of the origin document, "O1 O35"; "" = none
  Area area;
  unsigned weight;            ///< 1 (nice) to 10 (else there is no service)
  std::string_view title;     ///< a state of affairs: "memory limits are set"
  Evidence evidence;
  std::string_view rules;     ///< ids whose findings make it fail; "*" = those of the area that no other control names
                              ///< (applies only where one found something: no claim about what no rule looks at)
  bool (*applies)(const Stack& stack);
  std::string_view prove;     ///< what shows it by hand; "" = `datamancy audit` shows none of its rules
  Verdict (*judge)(const Stack& stack) = nullptr;
  unsigned minutes = 0;       ///< to mend what `judge` says, as a whole; 0 = two minutes a service
  std::string_view command = "";  ///< of this program, that proves it on the running stack; "" = none does
};

std::span<const Control> controls();

/// How one control stands.
struct Assessment {
  const Control* control = nullptr;
  State state = State::unknown;
  std::vector<const audit::Finding*> findings;  ///< that count, most severe first
  std::vector<ServiceId> affected;              ///< named by findings, in project order
  std::vector<ServiceId> dependents;            ///< that fail with them
  double share = 0;                             ///< of all services: affected and dependents
  double earned = 0;                            ///< 0 ... control->weight
  double gain = 0;                              ///< points of the score that mending it would add, the cap aside
  std::string reason;                           ///< why it stands so, one sentence
  std::string mend;                             ///< of a judge's own reason; "" where findings have theirs
};

enum class Level : std::uint8_t { not_ready, unproven, ready };
std::string_view to_string(Level level);  ///< "NOT READY", "UNPROVEN", "READY"

struct Score {
  double points = 0;       ///< 0 ... 100
  double possible = 0;     ///< weights of what applies
  double earned = 0;
  double after_fixes = 0;  ///< points once every failing control is configured
};

/// A critical finding caps the score here.
inline constexpr double kCap = 20;

struct Readiness {
  std::vector<Assessment> assessments;  ///< in the order of controls()
  Level level = Level::not_ready;
  Score total;                          ///< capped where a critical finding is open
  double uncapped = 0;
  std::size_t critical = 0;             ///< open critical findings
  Score areas[4];                       ///< by Area
  const Assessment* find(std::string_view control_id) const;
};

/// What was proven on the running stack: the newest proof of each control and subject, and what they are held against.
struct Proofs {
  std::vector<state::Proof> newest{};
  state::Present present{};      ///< the stack as it is now
  std::int64_t now = 0;          ///< Unix seconds
};

/// Judges every control from the project and its findings, and from proofs where some are given: a fresh one that is bound to what
/// runs makes a control proven, a failed one makes it failing; a finding outweighs both. Suppressed findings do not count. Pure.
Readiness assess(const audit::Input& input, const std::vector<audit::Finding>& findings, const Proofs* proofs = nullptr);

}  // namespace dm::readiness
