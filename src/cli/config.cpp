#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "cli/secrets.hpp"
#include "secrets/delivery.hpp"

namespace dm::cli {
namespace {

/// As Compose prints it: the widest name decides the first column. A variable used in several ways has the first one's.
std::string variable_table(const compose::Project& project) {
  using Form = compose::VariableUse::Form;
  std::map<std::string_view, const compose::VariableUse*> first;
  std::size_t width = 17;
  for (const auto& use : project.variables) {
    first.emplace(use.name, &use);
    width = std::max(width, use.name.size());
  }
  auto out = fmt::format("{:{}}   {:20}{:20}{}\n", "NAME", width, "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE");
  for (const auto& [name, use] : first) {
    const auto text = project.texts.text(use->where);
    const auto cut = text.find_first_of("-+", name.size());
    const auto given = cut == std::string_view::npos || !text.ends_with('}') ? std::string_view() : text.substr(cut + 1, text.size() - cut - 2);
    out += fmt::format("{:{}}   {:20}{:20}{}\n", name, width, use->form == Form::required,
                       use->form == Form::default_value ? given : "", use->form == Form::alternative ? given : "");
  }
  return out;
}

void scrub(std::vector<compose::Diagnostic>& diagnostics, const secrets::ProjectSecrets& sealed, const Args& args) {
  auto variables = secrets::variables_of(sealed, args.project.environment);
  if (!variables) return;
  const secrets::Scrubber scrubber(std::move(*variables));
  for (auto& diagnostic : diagnostics) diagnostic.message = scrubber.clean(diagnostic.message);
}

}  // namespace

int config(Args& args) {
  std::string format = "yaml";
  std::string output;
  args.option("--format", format);
  if (!args.option("--output", output)) args.option("-o", output);
  const bool quiet = args.has("-q") || args.has("--quiet");
  const bool show_secrets = args.has("--show-secrets");
  if (args.has("--no-interpolate")) args.project.interpolate = false;
  const bool services = args.has("--services");
  const bool volumes = args.has("--volumes");
  const bool networks = args.has("--networks");
  const bool images = args.has("--images");
  const bool profiles = args.has("--profiles");
  const bool environment = args.has("--environment");
  const bool variables = args.has("--variables");
  if (!args.words.empty() || (format != "yaml" && format != "json")) {
    fmt::print(stderr, "datamancy: config does not know '{}'; see 'datamancy config --help'\n", args.words.empty() ? format : args.words[0]);
    return kUsage;
  }
  read_stdin(args.project);
  const auto folder = project_folder(args);
  const auto sealed = secrets::environment_for(folder, key_sources(args));
  if (!sealed) return complain(sealed.error());
  add_to(args.project, *sealed, folder);
  // Judged with the real values, shown without them.
  const secrets::UnsealedFiles with_values(*sealed, secrets::UnsealedFiles::Show::values);
  const secrets::UnsealedFiles with_placeholders(*sealed, secrets::UnsealedFiles::Show::placeholders);
  auto loaded = compose::load(args.project, with_values);
  if (sealed->any()) scrub(loaded.diagnostics, *sealed, args);
  print_diagnostics(*loaded.project, loaded.diagnostics);
  if (!loaded.ok) return kFailed;
  if (quiet) return kClean;
  if (sealed->any() && !show_secrets) {
    loaded = compose::load(args.project, with_placeholders);
    if (!loaded.ok) {
      fmt::print(stderr, "datamancy: a sealed value stands where Compose wants a number or a path, so that nothing can be shown without it; --show-secrets prints everything\n");
      return kFailed;
    }
    fmt::print(stderr, "datamancy: sealed values are shown as 'sealed.NAME'; --show-secrets prints them\n");
  }
  const auto& project = *loaded.project;
  std::string out;
  std::set<std::string_view> lines;
  if (services)
    for (const auto& service : project.services)
      if (service.enabled) lines.insert(service.name);
  if (volumes)
    for (const auto& volume : project.volumes) lines.insert(volume.key);
  if (networks)
    for (const auto& network : project.networks) lines.insert(network.key);
  if (images)
    for (const auto& service : project.services)
      if (service.enabled && service.image) lines.insert(service.image.value);
  if (profiles)
    for (const auto& service : project.services)
      for (const auto& profile : service.profiles) lines.insert(profile.value);
  for (const auto line : lines) out += fmt::format("{}\n", line);
  if (variables) out += variable_table(project);
  if (environment)
    for (const auto& [name, definition] : project.environment) out += fmt::format("{}={}\n", name, definition.value);
  if (!services && !volumes && !networks && !images && !profiles && !variables && !environment)
    out = format == "json" ? compose::to_json(project) : compose::to_yaml(project);
  return write_output(output, out) ? kClean : kFailed;
}

}  // namespace dm::cli
