#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "readiness/control.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::readiness {
namespace {

bool names(std::string_view list, std::string_view id) {
  while (!list.empty()) {
    const auto cut = std::min(list.find(' '), list.size());
    if (list.substr(0, cut) == id) return true;
    list.remove_prefix(std::min(cut + 1, list.size()));
  }
  return false;
}

/// The first rule of a list that this version does not have, or "".
std::string_view missing_rule(std::string_view list) {
  while (!list.empty()) {
    const auto cut = std::min(list.find(' '), list.size());
    if (audit::find_rule(list.substr(0, cut)) == nullptr) return list.substr(0, cut);
    list.remove_prefix(std::min(cut + 1, list.size()));
  }
  return {};
}

/// Everything that fails when one of `roots` fails, without them: one walk for all.
std::vector<ServiceId> spread(const wiring::Wiring& wiring, const std::vector<ServiceId>& roots) {
  std::vector<bool> seen(wiring.dependents.size(), false);
  std::vector<ServiceId> open;
  for (const auto id : roots)
    if (id < seen.size() && !seen[id]) {
      seen[id] = true;
      open.push_back(id);
    }
  std::vector<ServiceId> found;
  while (!open.empty()) {
    const auto id = open.back();
    open.pop_back();
    for (const auto next : wiring.dependents[id])
      if (!seen[next]) {
        seen[next] = true;
        found.push_back(next);
        open.push_back(next);
      }
  }
  std::ranges::sort(found);
  return found;
}

std::string_view why_unknown(const Control& control) {
  switch (control.evidence) {
    case Evidence::engine: return "only a running engine can tell; files alone cannot";
    case Evidence::drill: return "only an exercise on the running stack can tell, and none is on record";
    case Evidence::unchecked: return "no rule of this version judges it";
    case Evidence::files:
    case Evidence::applied: break;
  }
  return "a rule that judges it is missing in this version";
}

/// State, affected services and reason of one control that applies.
void judge(Assessment& out, const Stack& stack) {
  const auto& control = *out.control;
  Verdict own;
  if (control.judge != nullptr) own = control.judge(stack);
  std::set<ServiceId> affected(own.services.begin(), own.services.end());
  bool everywhere = !own.reason.empty() && own.services.empty();
  for (const auto* finding : out.findings) {
    affected.insert(finding->services.begin(), finding->services.end());
    everywhere = everywhere || finding->services.empty();
  }
  if (!out.findings.empty() || !own.reason.empty()) {
    out.state = State::failing;
    out.affected.assign(affected.begin(), affected.end());
    out.dependents = spread(*stack.wiring, out.affected);
    const auto all = static_cast<double>(std::max<std::size_t>(1, stack.project->services.size()));
    out.share = everywhere ? 1.0 : static_cast<double>(out.affected.size() + out.dependents.size()) / all;
    if (!own.reason.empty()) {
      out.reason = own.reason;
      out.mend = own.mend;
    } else if (out.findings.size() == 1) {
      out.reason = out.findings.front()->message;
    } else {
      out.reason = fmt::format("{} findings, the first: {}", out.findings.size(), out.findings.front()->message);
    }
    const bool critical = std::ranges::any_of(out.findings, [](auto* f) { return f->severity == audit::Severity::critical; });
    out.earned = critical ? 0.0 : control.weight * 0.5 * (1.0 - out.share);
  } else if (!own.unknown.empty()) {
    out.state = State::unknown;
    out.reason = own.unknown;
  } else if ((control.evidence == Evidence::files || control.evidence == Evidence::applied) && missing_rule(control.rules).empty()) {
    out.state = State::configured;
    out.earned = control.weight * 0.5;
    out.reason = fmt::format("{} found nothing on {} services; not proven on a running stack", control.rules.empty() ? control.id : control.rules,
                             stack.project->services.size());
  } else {
    out.state = State::unknown;
    out.reason = why_unknown(control);
  }
}

/// The rule that looks for backups in the files.
constexpr std::string_view kCoverage = "DM0403";

/// Proofs of other modules that are about the same thing; where a control has two, either of them will do. `each`: one for every
/// datastore, or the control is not proven.
struct Also {
  std::string_view control, proof;
  bool each = false;
};
constexpr Also kAlso[] = {{"R72", "backup.verify"}, {"R73", "drill.restore", true}, {"R76", "drill.restore", true}, {"R76", "drill.stack"}, {"R74", "backup.offsite"}, {"R59", "drill.crash"}};

/// What proofs say beyond the files: all of one kind verified, fresh and bound, or one that failed.
void weigh(Assessment& out, const Proofs& proofs, const wiring::Wiring& wiring) {
  if (out.state != State::configured && out.state != State::unknown) return;
  std::vector<std::pair<std::string_view, bool>> kinds{{out.control->id, false}};  // and whether it takes one for each datastore
  if (out.control->evidence == Evidence::applied && out.state == State::configured) kinds.emplace_back(kApplied, false);
  for (const auto& also : kAlso)
    if (also.control == out.control->id) kinds.emplace_back(also.proof, also.each);
  std::vector<std::pair<state::Standing, bool>> all;
  for (const auto& [kind, each] : kinds) {
    all.emplace_back(state::standing(proofs.newest, kind, proofs.present, proofs.now, [&](std::string_view service) { return wiring.id_of(service) != wiring::kNone; }), each);
    if (const auto* failed = all.back().first.failed) {
      out.state = State::failing;
      out.earned = 0;
      out.share = 1;
      out.reason = fmt::format("{} failed on the running stack: {}", failed->command, failed->evidence);
      return;
    }
  }
  std::string why_not;
  for (const auto& [support, each] : all) {
    if (!support.void_reason.empty()) {
      why_not = fmt::format("{}; a proof is on record, but {}", out.reason, support.void_reason);
      continue;
    }
    if (support.good == nullptr) continue;
    const auto back = each ? state::came_back(proofs.newest, wiring.lasting_datastores(), proofs.present, proofs.now) : state::CameBack{};
    if (!back.lacking.empty()) {
      std::vector<std::string_view> lacking;
      for (const auto& [store, why] : back.lacking) lacking.push_back(store);
      why_not = fmt::format("proven for {}, not for {}", back.proven.empty() ? support.good->subject : fmt::format("{}", fmt::join(back.proven, ", ")), fmt::join(lacking, ", "));
      continue;
    }
    out.state = State::proven;
    out.earned = out.control->weight;
    out.reason = fmt::format("proven by {}: {}", support.good->command, support.good->evidence);
    return;
  }
  if (!why_not.empty()) out.reason = why_not;
}

/// Services whose data came back equal in a drill that still counts: their database, or each volume that they write to.
std::set<ServiceId> restored(const Proofs& proofs, const compose::Project& project) {
  std::set<std::string_view> subjects;
  for (const auto& proof : proofs.newest)
    if (proof.control == "drill.restore" && proof.result == state::Outcome::verified && state::why_void(proof, proofs.present.of(proof.subject), proofs.now).empty())
      subjects.insert(proof.subject);
  std::set<ServiceId> out;
  for (ServiceId id = 0; id < project.services.size(); ++id) {
    const auto& service = project.services[id];
    bool any = false, all = true;
    for (const auto& mount : service.mounts) {
      if (mount.type != compose::Mount::Type::volume || mount.read_only) continue;
      const auto volume = std::ranges::find(project.volumes, mount.source, &compose::Volume::key);
      any = true;
      all = all && volume != project.volumes.end() && subjects.contains(fmt::format("volume:{}", volume->name));
    }
    if (subjects.contains(service.name) || (any && all)) out.insert(id);
  }
  return out;
}

void sum(Score& score, const Assessment& assessment) {
  const auto weight = static_cast<double>(assessment.control->weight);
  score.possible += weight;
  score.earned += assessment.earned;
  score.after_fixes += assessment.state == State::failing ? weight * 0.5 : assessment.earned;
}

void finish(Score& score) {
  const double possible = score.possible > 0 ? score.possible : 1;
  score.points = 100 * score.earned / possible;
  score.after_fixes = 100 * score.after_fixes / possible;
}

}  // namespace

std::string_view to_string(State state) {
  switch (state) {
    case State::failing: return "failing";
    case State::unknown: return "unknown";
    case State::configured: return "configured";
    case State::proven: return "proven";
    case State::not_applicable: return "not applicable";
  }
  return "unknown";
}

std::string_view to_string(Level level) {
  switch (level) {
    case Level::not_ready: return "NOT READY";
    case Level::unproven: return "UNPROVEN";
    case Level::ready: return "READY";
  }
  return "NOT READY";
}

const Assessment* Readiness::find(std::string_view control_id) const {
  const auto found = std::ranges::find_if(assessments, [&](const auto& a) { return a.control->id == control_id; });
  return found == assessments.end() ? nullptr : &*found;
}

namespace {

/// A folder of the project's own that a service writes: `./config/jellyfin:/config`. Not a file, a device or a socket.
bool folder_of_data(const audit::Input& input, const compose::Mount& mount) {
  if (mount.type != compose::Mount::Type::bind || mount.read_only || mount.source.empty()) return false;
  for (const std::string_view place : {"/dev", "/proc", "/sys", "/run", "/var/run", "/etc", "/lib", "/usr", "/tmp"})
    if (mount.source.starts_with(place) && (mount.source.size() == place.size() || mount.source[place.size()] == '/')) return false;
  const auto kind = input.files.stat(std::string(mount.source)).kind;
  return (kind == sources::Kind::directory || kind == sources::Kind::missing) && sources::file_name(mount.target).find('.') == std::string_view::npos;
}

}  // namespace

Stack look_at(const audit::Input& input) {
  Stack stack;
  stack.project = &input.project;
  stack.wiring = &input.wiring;
  stack.input = &input;
  const auto& services = input.project.services;
  for (ServiceId id = 0; id < services.size(); ++id) {
    const auto& service = services[id];
    if (!input.wiring.one_shot[id]) ++stack.long_running;
    stack.checks = stack.checks || (service.healthcheck && !service.healthcheck->disabled);
    for (const auto& use : service.networks) stack.aliases = stack.aliases || !use.aliases.empty();
    for (const auto& mount : service.mounts) {
      stack.init_scripts = stack.init_scripts || mount.target.starts_with("/docker-entrypoint-initdb.d");
      stack.volumes = stack.volumes || (mount.type == compose::Mount::Type::volume && !mount.read_only) || (service.build == nullptr && !input.wiring.one_shot[id] && folder_of_data(input, mount));
      stack.templates = stack.templates || mount.source.find("template") != std::string_view::npos;
    }
    for (const auto& variable : service.environment)
      stack.secrets = stack.secrets || sensitive::secret_name(variable.name);
    stack.secrets = stack.secrets || !service.secrets.empty();
    if (service.node != nullptr) {
      const auto* devices = service.node->at({"deploy", "resources", "reservations", "devices"});
      stack.gpu = stack.gpu || (devices != nullptr && devices->is_sequence() && !devices->items->empty()) ||
                  service.node->find("gpus") != nullptr;
    }
    const auto* product = input.wiring.product_of[id];
    if (product == nullptr) continue;
    stack.proxy = stack.proxy || product->kind == "proxy";
    stack.identity = stack.identity || product->kind == "identity";
    stack.risky = stack.risky || !product->risk.empty();
    stack.cache = stack.cache || product->datastore == "valkey";
    stack.ldap = stack.ldap || product->datastore == "ldap";
    stack.postgres = stack.postgres || product->datastore == "postgres";
    stack.sql = stack.sql || product->datastore == "postgres" || product->datastore == "mariadb";
  }
  for (const auto& datastore : input.wiring.datastores) stack.datastore = stack.datastore || !datastore.ephemeral;
  stack.dotenv = !input.project.dotenv_files.empty();
  return stack;
}

Readiness assess(const audit::Input& input, const std::vector<audit::Finding>& findings, const Proofs* proofs) {
  Readiness out;
  const auto stack = look_at(input);
  std::map<std::string_view, std::vector<const audit::Finding*>> by_rule;
  for (const auto& finding : findings) {
    if (!finding.suppressed_by.empty()) continue;
    by_rule[finding.rule->id].push_back(&finding);
    if (finding.severity == audit::Severity::critical) ++out.critical;
  }
  // Files can show no backup where this program makes them: what came back in a drill is covered.
  const auto back = proofs != nullptr ? restored(*proofs, input.project) : std::set<ServiceId>();
  const auto outdone = [&](const audit::Finding& finding) {
    return finding.rule->id == kCoverage && !finding.services.empty() && std::ranges::all_of(finding.services, [&](ServiceId id) { return back.contains(id); });
  };
  std::set<std::string_view> named;
  for (const auto& [id, list] : by_rule)
    for (const auto& control : controls())
      if (names(control.rules, id)) named.insert(id);
  for (const auto& control : controls()) {
    Assessment assessment;
    assessment.control = &control;
    for (const auto& [id, list] : by_rule) {
      const bool rest = control.rules == "*" && !named.contains(id) && list.front()->rule->area == control.area;
      if (!rest && !names(control.rules, id)) continue;
      for (const auto* finding : list)  // what is merely worth knowing fails nothing
        if (finding->severity != audit::Severity::info && !outdone(*finding)) assessment.findings.push_back(finding);
    }
    const bool covered = names(control.rules, kCoverage) && assessment.findings.empty() && by_rule.contains(kCoverage);
    std::ranges::stable_sort(assessment.findings, {}, [](const auto* finding) { return finding->severity; });
    if (control.applies(stack) || !assessment.findings.empty()) {
      judge(assessment, stack);
      if (proofs != nullptr) weigh(assessment, *proofs, input.wiring);
      if (covered && assessment.state == State::configured) {
        assessment.state = State::proven;
        assessment.earned = control.weight;
        assessment.reason = "no service of the files does it, but a drill brought back what each keeps";
      }
      sum(out.total, assessment);
      sum(out.areas[static_cast<std::size_t>(control.area)], assessment);
    } else {
      assessment.state = State::not_applicable;
      assessment.reason = control.rules == "*" ? "no finding beyond the other controls" : "this stack has no such thing";
    }
    out.assessments.push_back(std::move(assessment));
  }
  bool proven = out.total.possible > 0;
  for (auto& assessment : out.assessments) {
    if (assessment.state == State::failing)
      assessment.gain = 100 * (assessment.control->weight * 0.5 - assessment.earned) / out.total.possible;
    proven = proven && (assessment.state == State::proven || assessment.state == State::not_applicable);
  }
  finish(out.total);
  for (auto& area : out.areas) finish(area);
  out.uncapped = out.total.points;
  out.level = out.critical > 0 ? Level::not_ready : proven ? Level::ready : Level::unproven;
  if (out.critical > 0) out.total.points = std::min(out.total.points, kCap);
  return out;
}

}  // namespace dm::readiness
