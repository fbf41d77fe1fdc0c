#include "cli/judge.hpp"

#include "cli/history.hpp"
#include "cli/secrets.hpp"

#include "audit/history.hpp"
#include "audit/live.hpp"
#include "audit/suppress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
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
  if (sources::disk().stat(own).kind != sources::Kind::missing) {  // one that cannot be read is not the same as none
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

namespace {

std::string_view usage_of(std::string_view verb) {
  const auto all = verbs();
  const auto found = std::ranges::find(all, verb, &Verb::name);
  return found != all.end() ? found->usage : std::string_view();
}

/// What stands after `option` in the usage of its verb: "text|json|svg", "FILE"; "" where it takes no value or is not known.
std::string_view values_of(std::string_view verb, std::string_view option) {
  const auto usage = usage_of(verb);
  for (auto at = usage.find(option); at != std::string_view::npos; at = usage.find(option, at + 1)) {
    auto rest = usage.substr(at + option.size());
    if (!rest.starts_with(' ') || (at > 0 && usage[at - 1] != '[' && usage[at - 1] != ' ' && usage[at - 1] != '|')) continue;
    rest.remove_prefix(1);
    return rest.substr(0, rest.find_first_of("] \n"));
  }
  return {};
}

}  // namespace

int unknown(std::string_view verb, std::string_view word) {
  static constexpr std::array kShared{"-f", "--file", "-p", "--project-name", "--profile", "--env-file", "--project-directory", "-H", "--host", "--context"};
  if (word.starts_with('-') && (std::ranges::find(kShared, word) != kShared.end() || !values_of(verb, word).empty()))
    fmt::print(stderr, "datamancy: {} needs a value; see 'datamancy {} --help'\n", word, verb);
  else
    fmt::print(stderr, "datamancy: {} does not know '{}'; see 'datamancy {} --help'\n", verb, word, verb);
  return kUsage;
}

int bad_value(std::string_view verb, std::string_view option, std::string_view value) {
  std::string values;
  for (const char c : values_of(verb, option)) values += c == '|' ? std::string(", ") : std::string(1, c);
  if (const auto last = values.rfind(", "); last != std::string::npos) values.replace(last, 2, " or ");
  fmt::print(stderr, "datamancy: {} of {} is {}, not '{}'\n", option, verb, values, value);
  return kUsage;
}

bool take_path(Args& args, std::string_view verb) {
  const auto option = std::ranges::find_if(args.words, [](const std::string& word) { return word.starts_with('-') && word != "-"; });
  if (option != args.words.end()) {
    unknown(verb, *option);
    return false;
  }
  if (args.words.size() > 1) {
    fmt::print(stderr, "datamancy: {} takes one PATH, not '{}' and '{}' too; more compose files of one project are given with -f\n", verb, args.words[0], args.words[1]);
    return false;
  }
  if (args.words.empty()) return true;
  auto& options = args.project;
  if (options.environment.erase("COMPOSE_FILE") > 0) ::unsetenv("COMPOSE_FILE");  // NOLINT(concurrency-mt-unsafe): before threads
  if (args.words[0] == "-") {
    options.files.emplace_back("-");
    return true;
  }
  const auto path = sources::clean_path(args.words[0], options.working_directory);
  if (sources::disk().stat(path).kind != sources::Kind::directory) {
    options.files.push_back(path);
    return true;
  }
  const auto as_typed = [&](std::string& name) {
    const auto here = sources::clean_path(name, options.working_directory);
    if (!name.empty() && name != "-" && sources::disk().stat(here).kind != sources::Kind::missing) name = here;
  };
  for (auto& file : options.files) as_typed(file);
  for (auto& file : options.env_files) as_typed(file);
  as_typed(options.project_directory);
  options.working_directory = path;
  return true;
}

bool judge(Args& args, const std::string& baseline, Judged& out, const LiveOptions& live, bool history) {
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
  if (history) {
    if (auto past = past_secrets(args, *out.loaded.project)) {
      audit::join(out.findings, audit::audit_history(input, *std::move(past)));
    } else {
      out.exit = complain(past.error());
      out.blind = true;
    }
  }
  audit::Suppressions suppressions;
  if (!read_suppressions(out, baseline, suppressions)) return false;
  for (const auto& warning : audit::suppress(input, std::move(suppressions), out.findings)) fmt::print(stderr, "warning: {}\n", warning);
  std::vector<compose::Diagnostic> nowhere;  // what has a place is a finding
  std::ranges::copy_if(out.loaded.diagnostics, std::back_inserter(nowhere), [](const auto& diagnostic) { return !diagnostic.where; });
  print_diagnostics(*out.loaded.project, nowhere);
  out.blind = out.blind || std::ranges::any_of(nowhere, [](const auto& one) { return one.severity == compose::Trouble::error; });
  return true;
}

}  // namespace dm::cli
