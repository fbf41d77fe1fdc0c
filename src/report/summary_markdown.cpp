#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "report/markup.hpp"
#include "report/summary.hpp"
#include "wiring/graph_text.hpp"

namespace dm::report {
namespace {

using readiness::Assessment;
using markup::one_line;
using markup::plain;
using markup::upper;
using readiness::State;

/// A command in a table cell.
std::string code(std::string_view command) {
  if (command.empty()) return "-";
  std::string out = "`";
  for (const char c : command) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out + "`";
}

struct Writer {
  const Summary& summary;
  std::string out;

  template <class... T>
  void add(fmt::format_string<T...> form, T&&... values) {
    fmt::format_to(std::back_inserter(out), form, std::forward<T>(values)...);
  }

  void head();
  void steps(Blocking first, Blocking last, unsigned& number);
  void proofs();
  void checklist();
  void risks();
  void monitoring();
  void timeline();
  void confidence();
  void bottom_line();
};

void Writer::head() {
  const auto& readiness = summary.readiness;
  add("# Pre-Production Audit Summary - {}\n", plain(summary.input->project.name));
  if (!summary.date.empty()) add("**Date:** {}\n", summary.date);
  add("**Status:** **{}**, {:.0f} of 100 points\n\n", readiness::to_string(readiness.level), readiness.total.points);
  if (readiness.critical > 0)
    add("{} critical {} open, so the score cannot exceed {:.0f}{}.\n\n", readiness.critical, readiness.critical == 1 ? "finding is" : "findings are",
        readiness::kCap, readiness.uncapped > readiness::kCap ? fmt::format(" (without them it would be {:.0f})", readiness.uncapped) : "");
  const auto services = summary.input->project.services.size();
  const auto proven = std::ranges::count(readiness.assessments, State::proven, &readiness::Assessment::state);
  if (proven == 0)
    add("Judged from the files of {} {}: nothing was seen running, and no proof that counts is on record. A control that the files meet is "
        "*configured* and earns half; only a fresh proof on the running stack (`datamancy check`, `datamancy drill`) earns the rest.\n\n",
        services, services == 1 ? "service" : "services");
  else
    add("Judged from the files of {} {} and from what was seen or exercised on the running stack: {} {} *proven* and {} whole; a control that only the "
        "files meet is *configured* and earns half. Proofs expire, and are void when what they were made on changes.\n\n",
        services, services == 1 ? "service" : "services", proven, proven == 1 ? "control is" : "controls are", proven == 1 ? "earns" : "earn");
  if (summary.suppressed > 0) add("{} findings are suppressed and do not count; `datamancy audit` lists them.\n\n", summary.suppressed);
  add("## TL;DR - What Is Right, What Needs Work\n\n### Right ({})\n\n", summary.right.size());
  unsigned number = 0;
  for (const auto* control : summary.right)
    add("{}. **{}** ({}, {}): {}\n", ++number, upper(control->control->title), control->control->id,
        readiness::to_string(control->state), plain(control->reason));
  if (number == 0) add("Nothing yet.\n");
  add("\n### To fix before production ({})\n\n", summary.steps.size());
  number = 0;
  for (const auto& step : summary.steps)
    add("{}. **{}** - not met: {} ({}, {})\n", ++number, upper(step.assessment->control->title), plain(step.assessment->reason), step.assessment->control->id,
        step.blocking == Blocking::yes ? "blocking" : to_string(step.blocking));
  if (number == 0) add("No control fails.\n");
  add("\n");
}

void Writer::steps(Blocking first, Blocking last, unsigned& number) {
  bool any = false;
  for (const auto& step : summary.steps) {
    if (step.blocking < first || step.blocking > last) continue;
    any = true;
    const auto& assessment = *step.assessment;
    add("### {}. {} ({})\n\n", ++number, upper(assessment.control->title), duration(step.minutes));
    add("Blocking: {}. Minutes: {}. Adds {:.1f} points. ", to_string(step.blocking), step.basis, assessment.gain);
    if (assessment.affected.empty()) add("Concerns the project as a whole.\n\n");
    else add("Affects {} of {} services{}.\n\n", assessment.affected.size(), summary.input->project.services.size(),
             assessment.dependents.empty() ? "" : fmt::format(", {} more depend on them", assessment.dependents.size()));
    if (step.changes.empty()) add("* {}\n", plain(assessment.reason));
    if (step.changes.empty() && !assessment.mend.empty()) add("  * change: {}\n", one_line(assessment.mend));
    for (const auto& change : step.changes) {
      add("* **{}** {}:{}:{} - {}\n", change.rule->id, plain(change.first.file), change.first.line, change.first.column,
          plain(change.message));
      if (change.places > 1) add("  * {} places, also {}\n", change.places, plain(join(change.others, 8)));
      if (change.services.size() > 1) {
        std::vector<std::string> names;
        for (const auto id : change.services) names.emplace_back(summary.input->project.services[id].name);
        add("  * services: {}\n", plain(join(names, 12)));
      }
      add("  * change: {}\n", one_line(change.what));
      add("  * more: `datamancy explain {}`\n", change.rule->id);
    }
    for (const auto& change : step.changes) {
      if (!change.diff.empty()) add("\nAs a diff of the files as they are, for {} (`patch -p1 --fuzz=0`; each diff is of the files without the others):\n\n{}\n", change.rule->id, markup::fenced(change.diff));
      if (!change.add.empty()) add("\nAdd for {}, or give it as one more `-f` file:\n\n{}\n", change.rule->id, markup::fenced(change.add));
      else add("\nNow ({}:{}):\n\n{}\n", plain(change.first.file), change.first.line, markup::fenced(change.first.text));
    }
    add("\nProves it: `{}`", step.prove);
    if (step.prove == "datamancy audit" && !step.changes.empty()) {
      std::vector<std::string> ids;
      for (const auto& change : step.changes) ids.emplace_back(change.rule->id);
      add(" no longer finds {}", join(ids, 20));
    } else if (step.prove == "datamancy report") {
      add(" no longer lists {}", assessment.control->id);
    }
    add("\n\n");
  }
  if (!any) add("Nothing.\n\n");
}

void Writer::proofs() {
  add("## Still to be Proven ({})\n\n", summary.open.size());
  if (summary.open.empty()) add("Nothing.\n\n");
  if (summary.open.empty()) return;
  add("| Control | What | Why unknown | Proven by | By hand |\n|---|---|---|---|---|\n");
  for (const auto* control : summary.open)
    add("| {} | {} | {} | {} | {} |\n", control->control->id, control->control->title, plain(control->reason), code(control->control->command),
        code(control->control->prove));
  add("\n");
}

void Writer::checklist() {
  add("## Verification Checklist Before Deploy\n\n| Item | Check | State | By |\n|---|---|---|---|\n");
  for (const auto& item : summary.checklist) {
    std::string by;
    for (const auto* assessment : item.by) {
      if (assessment->state == State::not_applicable) continue;
      by += fmt::format("{}{} {}: {}", by.empty() ? "" : "; ", assessment->control->id, readiness::to_string(assessment->state),
                        plain(assessment->reason));
    }
    add("| {} | {} | {} | {} |\n", item.origin, item.title, readiness::to_string(item.state), by.empty() ? "this stack has no such thing" : by);
  }
  add("\n");
}

void Writer::risks() {
  add("## Risk Assessment by Service\n\nPoints: known to exhaust a host 2, no memory limit 1, 2048 MB or more 1, keeps data 1, services that "
      "fall with it 1 (many: 2), critical or high findings 1. High from 5, medium from 3. Memory is the limit or an estimate, not measured.\n\n");
  for (const auto risk : {Risk::Class::high, Risk::Class::medium, Risk::Class::low}) {
    const auto count = std::ranges::count(summary.risks, risk, &Risk::risk);
    add("### {} ({})\n\n", upper(to_string(risk)), count);
    if (count == 0) add("None.\n");
    for (const auto& row : summary.risks)
      if (row.risk == risk)
        add("* **{}** ({} {}; {}){}{}\n", plain(summary.input->project.services[row.service].name), row.points, row.points == 1 ? "point" : "points", row.memory,
            row.reasons.empty() ? "" : ": ", plain(join(row.reasons, 9)));
    add("\n");
  }
}

void Writer::monitoring() {
  if (summary.watches.empty()) return;
  add("## Monitoring Post-Deploy\n\nFirst 24 hours: every 15 minutes; close watch for 48 hours; then daily through the seven-day burn-in.\n\n");
  add("| What | Threshold | By hand |\n|---|---|---|\n");
  for (const auto& watch : summary.watches) {
    add("| {} | {} | {} |\n", plain(watch.what), watch.threshold, code(watch.command));
  }
  add("\n");
}

void Writer::timeline() {
  add("## Estimated Timeline\n\n| Task | Time | Basis | Blocking? |\n|---|---|---|---|\n");
  for (const auto& step : summary.steps)
    add("| {} | {} | {} | {} |\n", upper(step.assessment->control->title), duration(step.minutes), step.basis, to_string(step.blocking));
  add("| **TOTAL (blocking)** | **{}** | | - |\n| **TOTAL (all)** | **{}** | | - |\n\n", duration(summary.blocking_minutes),
      duration(summary.all_minutes));
}

void Writer::confidence() {
  const auto& readiness = summary.readiness;
  add("## Confidence Assessment\n\nFormula: 100 x earned / possible, where a control earns its weight when proven, half when configured, "
      "nothing when unknown; failing keeps of the half the share of services neither affected nor dependent, and nothing with a critical finding. "
      "Overall is the same sum over all areas, capped at {:.0f} while a critical finding is open. Not applicable counts nowhere.\n\n",
      readiness::kCap);
  add("| Area | Earned | Possible | Now | After the fixes |\n|---|---|---|---|---|\n");
  for (std::size_t i = 0; i < std::size(readiness.areas); ++i) {
    const auto& area = readiness.areas[i];
    if (area.possible <= 0) continue;
    add("| {} | {:.1f} | {:.0f} | {:.0f} | {:.0f} |\n", upper(audit::to_string(static_cast<audit::Area>(i))), area.earned, area.possible,
        area.points, area.after_fixes);
  }
  add("| **Overall** | {:.1f} | {:.0f} | **{:.0f}** | **{:.0f}** |\n\n", readiness.total.earned, readiness.total.possible,
      readiness.total.points, readiness.total.after_fixes);
}

void Writer::bottom_line() {
  const auto& readiness = summary.readiness;
  const auto blocking = std::ranges::count(summary.steps, Blocking::yes, &Step::blocking);
  add("## Bottom Line\n\n**{}.** ", readiness::to_string(readiness.level));
  if (readiness.level == readiness::Level::not_ready)
    add("{} critical {} open: the stack cannot start, loses data or hands out root. ", readiness.critical, readiness.critical == 1 ? "finding is" : "findings are");
  else if (readiness.level == readiness::Level::unproven)
    add("Nothing critical was found, and not everything that matters is proven on a running stack. ");
  add("{} blocking {} ({}), {} in all ({}); {} controls are still to be proven.\n\n**Gates:**\n\n", blocking, blocking == 1 ? "step" : "steps",
      duration(summary.blocking_minutes), summary.steps.size(), duration(summary.all_minutes), summary.open.size());
  unsigned gate = 0;
  if (blocking > 0) add("{}. Fixes: the {} blocking {}; passes when `datamancy audit --fail-on high` exits 0.\n", ++gate, blocking, blocking == 1 ? "step" : "steps");
  if (summary.stack.long_running > 0) add("{}. Lab: start everything on a test machine; passes when `datamancy check` exits 0: no item of the checklist fails or is unknown.\n", ++gate);
  if (summary.stack.datastore || summary.stack.volumes) add("{}. Recovery: `datamancy backup run`, `datamancy drill restore --all`; passes when what was restored was compared and is equal.\n", ++gate);
  if (summary.stack.long_running > 0) add("{}. Burn-in: seven days, the first 48 hours under close watch; passes without an unexplained restart or alert.\n", ++gate);
  const auto later = static_cast<std::ptrdiff_t>(summary.steps.size()) - blocking;
  if (later > 0) add("{}. First week: the {} remaining {}, during the burn-in.\n", ++gate, later, later == 1 ? "step" : "steps");
  add("{}. Production.\n", ++gate);
}

}  // namespace

std::string to_markdown(const Summary& summary) {
  Writer writer{summary, {}};
  unsigned number = 0;
  writer.head();
  writer.add("## Critical Path to Production ({} of blocking work)\n\n", duration(summary.blocking_minutes));
  writer.steps(Blocking::yes, Blocking::yes, number);
  writer.add("## First Week\n\n");
  writer.steps(Blocking::recommended, Blocking::optional, number);
  writer.proofs();
  writer.checklist();
  writer.risks();
  writer.monitoring();
  writer.timeline();
  writer.confidence();
  writer.bottom_line();
  return std::move(writer.out);
}

std::string to_html(const Summary& summary) {
  return markup::page(fmt::format("Pre-production audit of {}", summary.input->project.name), to_markdown(summary),
                      wiring::graph_svg(summary.input->wiring), "Risk Assessment");
}

std::string explain_score(const readiness::Readiness& readiness) {
  std::string out = fmt::format("{}  {:.1f} of 100\n", readiness::to_string(readiness.level), readiness.total.points);
  if (readiness.critical > 0)
    out += fmt::format("{} critical {} open: the score cannot exceed {:.0f} (the sum gives {:.1f})\n", readiness.critical,
                       readiness.critical == 1 ? "finding is" : "findings are", readiness::kCap, readiness.uncapped);
  out += fmt::format("sum: 100 x {:.1f} earned / {:.0f} possible\n\n", readiness.total.earned, readiness.total.possible);
  out += "id   area          state           weight  earned  a fix adds  control\n";
  for (const auto& assessment : readiness.assessments) {
    const bool counts = assessment.state != State::not_applicable;
    out += fmt::format("{:4} {:13} {:15} {:>6}  {:>6}  {:>10}  {}\n", assessment.control->id, audit::to_string(assessment.control->area),
                       readiness::to_string(assessment.state), counts ? std::to_string(assessment.control->weight) : "-",
                       counts ? fmt::format("{:.1f}", assessment.earned) : "-",
                       assessment.state == State::failing ? fmt::format("+{:.1f}", assessment.gain) : "", assessment.control->title);
  }
  return out;
}

}  // namespace dm::report
