#include "report/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/json.hpp"
#include "report/markup.hpp"
#include "sensitive/sensitive.hpp"
#include "wiring/graph_text.hpp"

namespace dm::report {
namespace {

struct Counts {
  std::array<std::size_t, 5> by_severity{};
  std::size_t suppressed = 0;
  explicit Counts(const Findings& findings) {
    for (const auto& finding : findings.list)
      if (finding.suppressed_by.empty()) ++by_severity[static_cast<std::size_t>(finding.severity)];
      else ++suppressed;
  }
  std::string line(std::size_t services) const {
    auto out = fmt::format("{} service{}: {} critical, {} high, {} medium, {} low findings", services, services == 1 ? "" : "s",
                           by_severity[0], by_severity[1], by_severity[2], by_severity[3]);
    if (suppressed > 0) out += fmt::format("; {} suppressed", suppressed);
    return out;
  }
};

constexpr std::size_t kMostPlaces = 20;

/// "compose.yaml:12, 31, 40, edge/compose.yaml:7 and 3 more": the places after the first.
std::string other_places(const compose::Project& project, const std::vector<audit::Location>& where) {
  std::string out;
  std::string_view last;
  const auto shown = std::min(where.size(), kMostPlaces + 1);
  for (std::size_t i = 1; i < shown; ++i) {
    if (!where[i]) continue;
    const auto file = sources::relative_to(project.texts.at(where[i].file).path, project.folder);
    out += out.empty() ? "" : ", ";
    if (file != last) out += fmt::format("{}:", file);
    last = file;
    out += std::to_string(project.texts.position(where[i]).line);
  }
  if (where.size() > shown) out += fmt::format(" and {} more", where.size() - shown);
  return out;
}

}  // namespace

std::string mend(const audit::Finding& finding) {
  return finding.hint.empty() ? std::string(finding.rule->fix) : finding.hint;
}

Excerpt excerpt(const compose::Project& project, const audit::Location& where) {
  Excerpt out;
  if (!where) return out;
  const auto position = project.texts.position(where);
  const auto& source = project.texts.at(where.file);
  const auto span = project.texts.lines(where.file).line(position.line);
  const auto line = std::string_view(source.content).substr(span.begin, std::min<std::size_t>(span.size(), 160));
  const auto before = std::min(line.size(), position.column - 1);
  out.file = sources::relative_to(source.path, project.folder);
  out.line = position.line;
  out.column = position.column;
  out.text = sensitive::mask_line(line);
  out.width = std::min<std::size_t>(60, std::max<std::size_t>(1, std::min<std::size_t>(where.span.size(), line.size() + 1 - before)));
  return out;
}

std::string to_text(const Findings& findings) {
  const auto& project = findings.input.project;
  std::string out;
  const auto add = [&]<class... T>(fmt::format_string<T...> form, T&&... values) {
    fmt::format_to(std::back_inserter(out), form, std::forward<T>(values)...);
  };
  const Counts counts(findings);
  for (const auto& finding : findings.list) {
    if (finding.severity > findings.least || !finding.suppressed_by.empty()) continue;
    const auto shown = excerpt(project, finding.where.front());
    add("{} {}: {} [{} {}]\n", audit::to_string(finding.severity), project.texts.describe(finding.where.front(), project.folder),
        finding.message, finding.rule->id, finding.rule->name);
    add("  {:>5} | {}\n        | {}{}\n", shown.line, shown.text, std::string(shown.column - 1, ' '), std::string(shown.width, '^'));
    if (finding.where.size() > 1) add("  also: {}\n", other_places(project, finding.where));
    if (!finding.evidence.empty()) add("  evidence: {}\n", finding.evidence);
    add("  mend: {}\n\n", mend(finding));
  }
  if (counts.suppressed > 0) {
    out += "suppressed:\n";
    for (const auto& finding : findings.list)
      if (!finding.suppressed_by.empty())
        add("  {} {} {}: {}\n", finding.rule->id, project.texts.describe(finding.where.front(), project.folder), finding.message,
            finding.suppressed_by);
    out += '\n';
  }
  return out + counts.line(project.services.size()) + "\n";
}

void write_json(const Findings& findings, const std::function<void(std::string_view)>& out) {
  const auto& project = findings.input.project;
  JsonWriter writer;
  writer.begin_object().key("version").value(std::int64_t{1}).key("project").value(project.name);
  writer.key("services").value(static_cast<std::uint64_t>(project.services.size())).key("findings").begin_array();
  for (const auto& finding : findings.list) {
    writer.begin_object().key("rule").value(finding.rule->id).key("name").value(finding.rule->name);
    writer.key("severity").value(audit::to_string(finding.severity)).key("area").value(audit::to_string(finding.rule->area));
    writer.key("message").value(finding.message).key("evidence").value(finding.evidence).key("hint").value(mend(finding));
    writer.key("suppressed_by").value(finding.suppressed_by);
    writer.key("services").begin_array();
    for (const auto id : finding.services) writer.value(project.services[id].name);
    writer.end().key("places").begin_array();
    for (const auto& where : finding.where) {
      const auto position = project.texts.position(where);
      writer.begin_object().key("file");
      writer.value(where ? sources::relative_to(project.texts.at(where.file).path, project.folder) : std::string_view());
      writer.key("line").value(static_cast<std::uint64_t>(position.line));
      writer.key("column").value(static_cast<std::uint64_t>(position.column));
      writer.key("begin").value(static_cast<std::uint64_t>(where.span.begin));
      writer.key("end").value(static_cast<std::uint64_t>(where.span.end)).end();
    }
    writer.end().end();
    out(writer.take());
  }
  writer.end().end();
  out(writer.take());
  out("\n");
}

std::string to_json(const Findings& findings) {
  std::string out;
  write_json(findings, [&](std::string_view piece) { out += piece; });
  return out;
}

std::string to_markdown(const Findings& findings) {
  const auto& project = findings.input.project;
  const Counts counts(findings);
  std::string out;
  const auto add = [&]<class... T>(fmt::format_string<T...> form, T&&... values) {
    fmt::format_to(std::back_inserter(out), form, std::forward<T>(values)...);
  };
  add("# Audit of {}\n\n{}.\n", markup::plain(project.name), counts.line(project.services.size()));
  auto last = audit::Severity::info;
  bool first = true;
  for (const auto& finding : findings.list) {
    if (finding.severity > findings.least || !finding.suppressed_by.empty()) continue;
    if (first || finding.severity != last) add("\n## {}\n", markup::upper(audit::to_string(finding.severity)));
    first = false;
    last = finding.severity;
    const auto shown = excerpt(project, finding.where.front());
    add("\n### {} {}\n\n", finding.rule->id, markup::plain(finding.message));
    add("{}:{}:{}{}\n\n", markup::plain(shown.file), shown.line, shown.column,
        finding.where.size() > 1 ? fmt::format("; also {}", markup::plain(other_places(project, finding.where))) : "");
    add("{}\n\n", markup::fenced(shown.text));
    if (!finding.evidence.empty()) add("* evidence: {}\n", markup::plain(finding.evidence));
    add("* mend: {}\n", markup::one_line(mend(finding)));
  }
  if (counts.suppressed > 0) {
    add("\n## Suppressed\n\n| Rule | Place | Finding | Reason |\n|---|---|---|---|\n");
    for (const auto& finding : findings.list)
      if (!finding.suppressed_by.empty())
        add("| {} | {} | {} | {} |\n", finding.rule->id,
            markup::plain(project.texts.describe(finding.where.front(), project.folder)), markup::plain(finding.message),
            markup::plain(finding.suppressed_by));
  }
  return out;
}

std::string to_html(const Findings& findings) {
  return markup::page(fmt::format("Audit of {}", findings.input.project.name), to_markdown(findings),
                      wiring::graph_svg(findings.input.wiring), "");
}

}  // namespace dm::report
