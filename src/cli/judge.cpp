#include "cli/judge.hpp"

#include "cli/secrets.hpp"

#include "audit/live.hpp"
#include "audit/suppress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace dm::cli {
namespace {

/// `.datamancy.yml` beside the compose file, and the baseline if one is named. False after saying what is wrong with them.
bool read_suppressions(const Judged& judged, const std::string& baseline, audit::Suppressions& out) {
  const auto complain = [](const Error& error) {
    fmt::print(stderr, "datamancy: {}\n", error.describe());
    return false;
  };
  const auto own = judged.loaded.project->folder + "/.datamancy.yml";
  if (sources::disk().stat(own).kind == sources::Kind::regular) {
    const auto text = sources::disk().read(own, sources::kMaxFile);
    if (!text) return complain(text.error());
    auto exceptions = audit::parse_exceptions(*text, ".datamancy.yml");
    if (!exceptions) return complain(exceptions.error());
    out.exceptions = *std::move(exceptions);
  }
  if (baseline.empty()) return true;
  const auto text = sources::disk().read(baseline, sources::kMaxFile);
  if (!text) return complain(text.error());
  auto known = audit::parse_baseline(*text, baseline);
  if (!known) return complain(known.error());
  out.known = *std::move(known);
  return true;
}

}  // namespace

audit::Input Judged::input() const { return {*loaded.project, wiring, loaded.diagnostics, *files, *loaded.project}; }

int unknown(std::string_view verb, std::string_view word) {
  fmt::print(stderr, "datamancy: {} does not know '{}'; see 'datamancy {} --help'\n", verb, word, verb);
  return kUsage;
}

bool take_path(Args& args, std::string_view verb, std::string& baseline) {
  args.option("--baseline", baseline);
  if (args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with('-'))) {
    unknown(verb, args.words.back());
    return false;
  }
  if (args.words.empty()) return true;
  const auto path = sources::clean_path(args.words[0], args.project.working_directory);
  if (sources::disk().stat(path).kind == sources::Kind::directory) {
    args.project.working_directory = path;
  } else {
    args.project.files.push_back(path);
  }
  return true;
}

bool judge(Args& args, const std::string& baseline, Judged& out, const LiveOptions& live) {
  args.project.lenient = true;
  read_stdin(args.project);
  // Sealed variables are known by name; their values are placeholders, so that no finding can show one.
  const auto folder = project_folder(args);
  const auto given = args.project;  // what Compose is asked with, where a look is wanted
  out.sealed = secrets::placeholders_for(folder, args.project, {args.project.environment, {}, true});
  add_to(args.project, out.sealed, folder);
  out.files = std::make_unique<secrets::UnsealedFiles>(out.sealed, secrets::UnsealedFiles::Show::placeholders);
  out.loaded = secrets::load_with_placeholders(args.project, out.sealed, *out.files, {args.project.environment, {}, true});
  if (!out.loaded.usable) {
    print_diagnostics(*out.loaded.project, out.loaded.diagnostics);
    if (std::ranges::none_of(out.loaded.diagnostics, [](const auto& one) { return one.severity == compose::Trouble::error; }))
      fmt::print(stderr, "datamancy: no service stands in {}: there is nothing to judge\n",
                 out.loaded.project->main_files.empty() ? "the project" : sources::relative_to(out.loaded.project->main_files.front(), folder));
    return false;
  }
  out.wiring = wiring::wire(*out.loaded.project, out.products);
  const auto input = out.input();
  out.findings = audit::audit(input);
  auto facts = get_facts(args, given, live, *out.loaded.project);
  if (!facts) {
    complain(facts.error());
    return false;
  }
  out.facts = *std::move(facts);
  if (out.facts) audit::join(out.findings, audit::audit_live(input, *out.facts));
  audit::Suppressions suppressions;
  if (!read_suppressions(out, baseline, suppressions)) return false;
  for (const auto& warning : audit::suppress(input, std::move(suppressions), out.findings)) fmt::print(stderr, "warning: {}\n", warning);
  std::vector<compose::Diagnostic> nowhere;  // what has a place is a finding
  std::ranges::copy_if(out.loaded.diagnostics, std::back_inserter(nowhere), [](const auto& diagnostic) { return !diagnostic.where; });
  print_diagnostics(*out.loaded.project, nowhere);
  return true;
}

}  // namespace dm::cli
