#include "report/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "report/fragment.hpp"

namespace dm::report {
namespace {

using audit::Severity;
using readiness::Assessment;
using readiness::ServiceId;
using readiness::State;

Blocking blocking_of(const Assessment& assessment) {
  if (assessment.findings.empty())  // a judge of its own: by weight
    return assessment.control->weight >= 7 ? Blocking::yes : assessment.control->weight >= 4 ? Blocking::recommended : Blocking::optional;
  const auto worst = assessment.findings.front()->severity;
  return worst <= Severity::high ? Blocking::yes : worst == Severity::medium ? Blocking::recommended : Blocking::optional;
}

Step step_of(const Assessment& assessment, const audit::Input& input) {
  Step step;
  step.assessment = &assessment;
  step.blocking = blocking_of(assessment);
  const std::string_view by_default = assessment.findings.empty() ? "datamancy report" : "datamancy audit";  // a judge of its own has no finding
  step.prove = std::string(assessment.control->prove.empty() ? by_default : assessment.control->prove);
  for (const auto* finding : assessment.findings) {
    auto change = std::ranges::find(step.changes, finding->rule, &Step::Change::rule);
    if (change == step.changes.end()) {
      Step::Change fresh;
      fresh.rule = finding->rule;
      fresh.first = excerpt(input.project, finding->where.front());
      fresh.message = finding->message;
      fresh.what = mend(*finding);
      change = step.changes.insert(step.changes.end(), std::move(fresh));
    }
    for (const auto& where : finding->where)
      if (++change->places > 1 && change->others.size() < 9)
        change->others.push_back(input.project.texts.describe(where, input.project.folder));
    for (const auto id : finding->services)
      if (std::ranges::find(change->services, id) == change->services.end()) change->services.push_back(id);
  }
  for (auto& change : step.changes) {
    change.add = fragment(input, *change.rule, change.services);
    change.diff = unified_diff(input, *change.rule, change.services);
  }
  for (const auto& change : step.changes) {
    step.minutes += change.rule->minutes * static_cast<unsigned>(change.places);
    step.basis += fmt::format("{}{} min x {} {} ({})", step.basis.empty() ? "" : " + ", change.rule->minutes, change.places,
                              change.places == 1 ? "place" : "places", change.rule->id);
  }
  if (step.changes.empty()) {
    constexpr unsigned kEach = 2;  // as DM0801: to look a figure up and write it
    const auto places = std::max<unsigned>(1, static_cast<unsigned>(assessment.affected.size()));
    const auto whole = assessment.control->minutes;
    step.minutes = whole > 0 ? whole : kEach * places;
    step.basis = whole > 0 ? fmt::format("{} min as a whole ({})", whole, assessment.control->id)
                           : fmt::format("{} min x {} {} ({})", kEach, places, places == 1 ? "place" : "places", assessment.control->id);
  }
  return step;
}

Risk risk_of(const audit::Input& input, ServiceId id, const std::vector<unsigned>& severe) {
  const auto& service = input.project.services[id];
  const auto* product = input.wiring.product_of[id];
  Risk out;
  out.service = id;
  const auto add = [&](unsigned points, std::string reason) {
    out.points += points;
    out.reasons.push_back(std::move(reason));
  };
  const auto known = product != nullptr ? product->memory_mb : std::nullopt;
  if (service.limits.memory) {
    out.memory = fmt::format("limit {} MB", *service.limits.memory >> 20U);
  } else if (known) {
    out.memory = fmt::format("no limit; about {} MB by product data", *known);
  } else {
    out.memory = "no limit; need unknown";
  }
  if (product != nullptr && !product->risk.empty()) add(2, product->risk);
  if (!service.limits.memory && !input.wiring.one_shot[id]) add(1, "no memory limit");
  const auto megabytes = service.limits.memory ? *service.limits.memory >> 20U : known.value_or(0);
  if (megabytes >= 2048) add(1, fmt::format("{} MB", megabytes));
  if (const auto* store = input.wiring.datastore(id); store != nullptr && !store->ephemeral) add(1, "keeps data");
  out.dependents = input.wiring.blast_radius(id).size();
  const auto all = std::max<std::size_t>(1, input.project.services.size());
  if (out.dependents > 0) {
    const bool many = out.dependents >= 5 || (out.dependents * 4 >= all && out.dependents > 1);
    add(many ? 2 : 1, fmt::format("{} {} with it", out.dependents, out.dependents == 1 ? "service falls" : "services fall"));
  }
  if (severe[id] > 0) add(1, fmt::format("{} critical or high {}", severe[id], severe[id] == 1 ? "finding" : "findings"));
  out.risk = out.points >= 5 ? Risk::Class::high : out.points >= 3 ? Risk::Class::medium : Risk::Class::low;
  return out;
}

/// How bad a state is for a checklist item that several controls judge.
int badness(State state) {
  switch (state) {
    case State::failing: return 4;
    case State::unknown: return 3;
    case State::configured: return 2;
    case State::proven: return 1;
    case State::not_applicable: return 0;
  }
  return 3;
}

bool has_origin(std::string_view list, std::string_view id) {
  const auto at = list.find(id);
  return at != std::string_view::npos && (at + id.size() == list.size() || list[at + id.size()] == ' ');
}

std::vector<CheckItem> checklist(const readiness::Readiness& readiness) {
  struct Item {
    std::string_view origin, title;
  };
  static constexpr std::array kItems{Item{"O31", "all services start"}, Item{"O32", "GPU available inside the engine"},
                                     Item{"O33", "50 GB of disk free"}, Item{"O34", "backup and restore work"},
                                     Item{"O35", "healthchecks work, no container unhealthy"}, Item{"O36", "memory limits enforced"},
                                     Item{"O37", "secrets encrypted"}, Item{"O38", "logs rotating"},
                                     Item{"O39", "login works"}, Item{"O40", "probe orchestrator answers"}};
  std::vector<CheckItem> out;
  for (const auto& item : kItems) {
    CheckItem check{item.origin, item.title, {}, State::not_applicable};
    for (const auto& assessment : readiness.assessments) {
      if (!has_origin(assessment.control->origin, item.origin)) continue;
      check.by.push_back(&assessment);
      if (badness(assessment.state) > badness(check.state)) check.state = assessment.state;
    }
    out.push_back(std::move(check));
  }
  return out;
}

std::vector<Watch> watches(const Summary& summary) {
  const auto& input = *summary.input;
  const auto& stack = summary.stack;
  std::vector<Watch> out;
  std::vector<std::string> unlimited;
  for (ServiceId id = 0; id < input.project.services.size(); ++id)
    if (!input.project.services[id].limits.memory && !input.wiring.one_shot[id]) unlimited.emplace_back(input.project.services[id].name);
  if (stack.long_running == 0) return out;
  out.push_back({"memory of every container" + (unlimited.empty() ? std::string() : " (without a limit: " + join(unlimited, 8) + ")"),
                 "80 % of its limit", "docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.MemPerc}}'"});
  out.push_back({"unhealthy and restarting containers", "none",
                 "docker ps -a --filter health=unhealthy; docker ps -a --filter status=restarting"});
  out.push_back({fmt::format("disk of the engine{}", input.project.volumes.empty() ? std::string() : fmt::format(" and of {} volumes", input.project.volumes.size())),
                 "50 GB free", "df -h \"$(docker info -f '{{.DockerRootDir}}')\"; docker system df -v"});
  for (const auto& store : input.wiring.datastores) {
    const auto name = input.project.services[store.service].name;
    if (store.kind == "postgres")
      out.push_back({fmt::format("database connections of {} by state", name), "80 % of max_connections",
                     fmt::format("docker compose exec -T {} sh -c 'psql -U \"${{POSTGRES_USER:-postgres}}\" -d postgres -c \"SELECT count(*), state FROM pg_stat_activity GROUP BY state\"'", name)});
    else if (store.kind == "mariadb")
      out.push_back({fmt::format("database connections of {}", name), "80 % of max_connections",
                     fmt::format("docker compose exec {} mariadb -u root -p -e \"SHOW STATUS LIKE 'Threads_connected'\"", name)});
  }
  if (stack.datastore || stack.volumes) out.push_back({"age of the last good backup", "warn at 24 h, critical at 36 h", ""});
  if (stack.proxy)
    out.push_back({"certificates of the edge", "21 days left", "openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -enddate"});
  if (stack.gpu) out.push_back({"GPU memory and use", "as sized", "nvidia-smi --query-gpu=memory.used,memory.total,utilization.gpu --format=csv"});
  return out;
}

}  // namespace

std::string_view to_string(Blocking blocking) {
  switch (blocking) {
    case Blocking::yes: return "yes";
    case Blocking::recommended: return "recommended";
    case Blocking::optional: return "optional";
  }
  return "optional";
}

std::string_view to_string(Risk::Class risk) {
  switch (risk) {
    case Risk::Class::high: return "high";
    case Risk::Class::medium: return "medium";
    case Risk::Class::low: return "low";
  }
  return "low";
}

std::string duration(unsigned minutes) {
  if (minutes < 60) return fmt::format("{} min", minutes);
  if (minutes % 60 == 0) return fmt::format("{} h", minutes / 60);
  return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string join(const std::vector<std::string>& names, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < most; ++i) out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > most) out += fmt::format(" and {} more", names.size() - most);
  return out;
}

Summary summarise(const audit::Input& input, const std::vector<audit::Finding>& findings, std::string date, const readiness::Proofs* proofs) {
  Summary out;
  out.input = &input;
  out.date = std::move(date);
  out.readiness = readiness::assess(input, findings, proofs);
  out.stack = readiness::look_at(input);
  std::vector<unsigned> severe(input.project.services.size(), 0);
  for (const auto& finding : findings) {
    if (!finding.suppressed_by.empty()) {
      ++out.suppressed;
    } else if (finding.severity <= Severity::high) {
      for (const auto id : finding.services) ++severe[id];
    }
  }
  for (const auto& assessment : out.readiness.assessments) {
    if (assessment.state == State::configured || assessment.state == State::proven) out.right.push_back(&assessment);
    if (assessment.state == State::unknown) out.open.push_back(&assessment);
    if (assessment.state != State::failing) continue;
    out.steps.push_back(step_of(assessment, input));
    out.all_minutes += out.steps.back().minutes;
    if (out.steps.back().blocking == Blocking::yes) out.blocking_minutes += out.steps.back().minutes;
  }
  std::ranges::stable_sort(out.right, std::greater(), [](const auto* a) { return a->control->weight; });
  std::ranges::stable_sort(out.open, std::greater(), [](const auto* a) { return a->control->weight; });
  // What blocks comes first; critical before high; then by what it adds to the score.
  std::ranges::stable_sort(out.steps, {}, [](const Step& step) {
    const auto& found = step.assessment->findings;
    return std::tuple(step.blocking, found.empty() ? Severity::high : found.front()->severity, -step.assessment->gain);
  });
  out.checklist = checklist(out.readiness);
  for (ServiceId id = 0; id < input.project.services.size(); ++id) out.risks.push_back(risk_of(input, id, severe));
  std::ranges::stable_sort(out.risks, {}, [](const Risk& risk) { return std::pair(risk.risk, -static_cast<int>(risk.points)); });
  out.watches = watches(out);
  return out;
}

}  // namespace dm::report
