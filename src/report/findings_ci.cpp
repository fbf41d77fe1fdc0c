// What CI servers and code hosts read: SARIF and JUnit.
#include <fmt/format.h>

#include <map>

#include "base/json.hpp"
#include "report/findings.hpp"
#include "report/fragment.hpp"
#include "report/markup.hpp"

namespace dm::report {
namespace {

std::string_view sarif_level(audit::Severity severity) {
  switch (severity) {
    case audit::Severity::critical:
    case audit::Severity::high: return "error";
    case audit::Severity::medium: return "warning";
    case audit::Severity::low:
    case audit::Severity::info: return "note";
  }
  return "note";
}

/// A path as a relative URI.
std::string uri(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("-._~/").find(c) != std::string_view::npos;
    if (safe) out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

void region(JsonWriter& json, const compose::Project& project, const audit::Location& where) {
  const auto begin = project.texts.position(where);
  json.key("region").begin_object().key("startLine").value(static_cast<std::uint64_t>(begin.line));
  json.key("startColumn").value(static_cast<std::uint64_t>(begin.column));
  json.key("byteOffset").value(static_cast<std::uint64_t>(where.span.begin));
  json.key("byteLength").value(static_cast<std::uint64_t>(where.span.size())).end();
}

void physical(JsonWriter& json, const compose::Project& project, const audit::Location& where) {
  json.key("physicalLocation").begin_object().key("artifactLocation").begin_object().key("uri");
  json.value(where ? uri(sources::relative_to(project.texts.at(where.file).path, project.folder)) : "compose.yaml").end();
  if (where) region(json, project, where);
  json.end();
}

/// What can be mended by lines put in, as replacements of nothing.
void fixes(JsonWriter& json, const audit::Input& input, const audit::Finding& finding) {
  const auto all = insertions(input, *finding.rule, finding.services);
  if (all.empty()) return;
  json.key("fixes").begin_array().begin_object().key("description").begin_object().key("text").value(mend(finding)).end();
  json.key("artifactChanges").begin_array();
  for (std::size_t i = 0; i < all.size();) {
    const auto file = all[i].file;
    json.begin_object().key("artifactLocation").begin_object().key("uri").value(uri(sources::relative_to(input.project.texts.at(file).path, input.project.folder))).end();
    json.key("replacements").begin_array();
    for (; i < all.size() && all[i].file == file; ++i) {
      json.begin_object().key("deletedRegion").begin_object();
      for (const auto* key : {"startLine", "endLine"}) json.key(key).value(static_cast<std::uint64_t>(all[i].line));
      for (const auto* key : {"startColumn", "endColumn"}) json.key(key).value(std::uint64_t{1});
      json.end().key("insertedContent").begin_object().key("text").value(std::string_view(all[i].text)).end().end();
    }
    json.end().end();
  }
  json.end().end().end();
}

}  // namespace

std::string to_sarif(const Findings& findings) {
  const auto& project = findings.input.project;
  JsonWriter json;
  json.begin_object().key("$schema").value("https://json.schemastore.org/sarif-2.1.0.json").key("version").value("2.1.0");
  json.key("runs").begin_array().begin_object();
  json.key("columnKind").value("unicodeCodePoints");
  json.key("tool").begin_object().key("driver").begin_object().key("name").value("datamancy").key("rules").begin_array();
  std::map<std::string_view, std::uint64_t> index;
  for (const auto* rule : audit::all_rules()) {
    index.emplace(rule->id, index.size());
    json.begin_object().key("id").value(rule->id).key("name").value(rule->name);
    json.key("shortDescription").begin_object().key("text").value(rule->summary).end();
    json.key("fullDescription").begin_object().key("text").value(rule->rationale).end();
    json.key("help").begin_object().key("text").value(rule->fix).end();
    json.key("defaultConfiguration").begin_object().key("level").value(sarif_level(rule->severity)).end();
    json.key("properties").begin_object().key("area").value(audit::to_string(rule->area));
    json.key("severity").value(audit::to_string(rule->severity)).end().end();
  }
  json.end().end().end().key("results").begin_array();
  for (const auto& finding : findings.list) {
    json.begin_object().key("ruleId").value(finding.rule->id).key("ruleIndex").value(index[finding.rule->id]);
    json.key("level").value(sarif_level(finding.severity));
    json.key("message").begin_object().key("text").value(fmt::format("{}. {}", finding.message, mend(finding))).end();
    json.key("locations").begin_array().begin_object();
    physical(json, project, finding.where.front());
    json.end().end();
    if (finding.where.size() > 1) {
      json.key("relatedLocations").begin_array();
      for (std::size_t i = 1; i < finding.where.size(); ++i) {
        json.begin_object().key("id").value(static_cast<std::uint64_t>(i));
        physical(json, project, finding.where[i]);
        json.end();
      }
      json.end();
    }
    fixes(json, findings.input, finding);
    if (!finding.suppressed_by.empty()) {
      json.key("suppressions").begin_array().begin_object();
      json.key("kind").value("external").key("justification").value(finding.suppressed_by).end().end();
    }
    json.end();
  }
  json.end().end().end().end();
  return json.take() + "\n";
}

std::string to_junit(const Findings& findings) {
  const auto& project = findings.input.project;
  std::map<std::string_view, std::vector<const audit::Finding*>> by_rule;
  for (const auto& finding : findings.list)
    if (finding.suppressed_by.empty() && finding.severity <= findings.least) by_rule[finding.rule->id].push_back(&finding);
  auto out = fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"datamancy audit {}\" tests=\"{}\" failures=\"{}\">\n",
                         markup::html(project.name), audit::all_rules().size(), by_rule.size());
  for (const auto* rule : audit::all_rules()) {
    out += fmt::format("    <testcase classname=\"{}\" name=\"{} {}\"", audit::to_string(rule->area), rule->id, rule->name);
    const auto found = by_rule.find(rule->id);
    if (found == by_rule.end()) {
      out += "/>\n";
      continue;
    }
    std::string text;
    for (const auto* finding : found->second)
      text += fmt::format("{}: {}\n", project.texts.describe(finding->where.front(), project.folder), finding->message);
    out += fmt::format(">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n",
                       audit::to_string(found->second.front()->severity), markup::html(found->second.front()->message), markup::html(text));
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

}  // namespace dm::report
