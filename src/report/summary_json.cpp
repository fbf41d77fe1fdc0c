#include <fmt/format.h>

#include <iterator>

#include "base/json.hpp"
#include "report/summary.hpp"

namespace dm::report {
namespace {

std::uint64_t number(std::size_t value) { return value; }
std::string points(double value) { return fmt::format("{:.1f}", value); }

void write_step(JsonWriter& json, const Step& step, const compose::Project& project) {
  json.begin_object().key("control").value(step.assessment->control->id).key("title").value(step.assessment->control->title);
  json.key("blocking").value(to_string(step.blocking)).key("minutes").value(number(step.minutes)).key("basis").value(step.basis);
  json.key("adds").raw(points(step.assessment->gain)).key("prove").value(step.prove).key("changes").begin_array();
  for (const auto& change : step.changes) {
    json.begin_object().key("rule").value(change.rule->id).key("places").value(number(change.places)).key("first");
    json.value(fmt::format("{}:{}:{}", change.first.file, change.first.line, change.first.column));
    json.key("message").value(change.message).key("what").value(change.what).key("add").value(change.add).key("diff").value(change.diff).key("services").begin_array();
    for (const auto id : change.services) json.value(project.services[id].name);
    json.end().end();
  }
  json.end().end();
}

}  // namespace

std::string to_json(const Summary& summary) {
  const auto& readiness = summary.readiness;
  const auto& services = summary.input->project.services;
  JsonWriter json;
  json.begin_object().key("version").value(std::int64_t{1}).key("project").value(summary.input->project.name);
  if (!summary.date.empty()) json.key("date").value(summary.date);
  json.key("verdict").value(readiness::to_string(readiness.level)).key("score").raw(points(readiness.total.points));
  json.key("uncapped").raw(points(readiness.uncapped)).key("after_fixes").raw(points(readiness.total.after_fixes));
  json.key("critical").value(number(readiness.critical)).key("suppressed").value(number(summary.suppressed));
  json.key("areas").begin_array();
  for (std::size_t i = 0; i < std::size(readiness.areas); ++i) {
    const auto& area = readiness.areas[i];
    if (area.possible <= 0) continue;
    json.begin_object().key("area").value(audit::to_string(static_cast<audit::Area>(i))).key("earned").raw(points(area.earned));
    json.key("possible").raw(points(area.possible)).key("now").raw(points(area.points)).key("after_fixes").raw(points(area.after_fixes)).end();
  }
  json.end().key("controls").begin_array();
  for (const auto& assessment : readiness.assessments) {
    json.begin_object().key("id").value(assessment.control->id).key("origin").value(assessment.control->origin);
    json.key("area").value(audit::to_string(assessment.control->area)).key("title").value(assessment.control->title);
    json.key("weight").value(number(assessment.control->weight)).key("state").value(readiness::to_string(assessment.state));
    json.key("earned").raw(points(assessment.earned)).key("reason").value(assessment.reason);
    if (!assessment.control->command.empty()) json.key("proven_by").value(assessment.control->command);
    json.key("services").begin_array();
    for (const auto id : assessment.affected) json.value(services[id].name);
    json.end().key("dependents").begin_array();
    for (const auto id : assessment.dependents) json.value(services[id].name);
    json.end().end();
  }
  json.end().key("steps").begin_array();
  for (const auto& step : summary.steps) write_step(json, step, summary.input->project);
  json.end().key("minutes").begin_object().key("blocking").value(number(summary.blocking_minutes)).key("all").value(number(summary.all_minutes)).end();
  json.key("checklist").begin_array();
  for (const auto& item : summary.checklist)
    json.begin_object().key("origin").value(item.origin).key("title").value(item.title).key("state").value(readiness::to_string(item.state)).end();
  json.end().key("risks").begin_array();
  for (const auto& risk : summary.risks) {
    json.begin_object().key("service").value(services[risk.service].name).key("class").value(to_string(risk.risk));
    json.key("points").value(number(risk.points)).key("memory").value(risk.memory).key("dependents").value(number(risk.dependents)).key("reasons").begin_array();
    for (const auto& reason : risk.reasons) json.value(reason);
    json.end().end();
  }
  json.end().key("watch").begin_array();
  for (const auto& watch : summary.watches)
    json.begin_object().key("what").value(watch.what).key("threshold").value(watch.threshold).key("command").value(watch.command).end();
  json.end().end();
  return json.take() + "\n";
}

}  // namespace dm::report
