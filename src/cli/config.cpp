#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "base/json.hpp"
#include "cli/digests.hpp"
#include "cli/judge.hpp"
#include "cli/secrets.hpp"
#include "cli/session.hpp"
#include "secrets/crypto.hpp"
#include "secrets/delivery.hpp"

namespace dm::cli {
namespace {

/// How a variable is used: `${A:-default}`, `${A:+replacement}`, `${A:?}`.
struct Variable {
  std::string_view fallback, replacement;
  bool required = false;
};

/// A variable that is used in several ways has the first one's.
std::map<std::string_view, Variable> variables_of(const compose::Project& project) {
  using Form = compose::VariableUse::Form;
  std::map<std::string_view, Variable> out;
  for (const auto& use : project.variables) {
    const auto text = project.texts.text(use.where);
    const auto cut = text.find_first_of("-+", use.name.size());
    const auto given = cut == std::string_view::npos || !text.ends_with('}') ? std::string_view() : text.substr(cut + 1, text.size() - cut - 2);
    out.emplace(use.name, Variable{use.form == Form::default_value ? given : "", use.form == Form::alternative ? given : "", use.form == Form::required});
  }
  return out;
}

/// As Compose prints it: the widest name decides the first column.
std::string variables(const compose::Project& project, bool json) {
  const auto all = variables_of(project);
  if (json) {
    JsonWriter out;
    out.begin_object();
    for (const auto& [name, variable] : all) {
      out.key(name).begin_object();
      out.key("DefaultValue").value(variable.fallback);
      out.key("Name").value(name);
      out.key("PresenceValue").value(variable.replacement);
      out.key("Required").value(variable.required);
      out.end();
    }
    out.end();
    return out.take() + "\n";
  }
  std::size_t width = 17;
  for (const auto& [name, variable] : all) width = std::max(width, name.size());
  auto out = fmt::format("{:{}}   {:20}{:20}{}\n", "NAME", width, "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE");
  for (const auto& [name, variable] : all)
    out += fmt::format("{:{}}   {:20}{:20}{}\n", name, width, variable.required, variable.fallback, variable.replacement);
  return out;
}

void scrub(std::vector<compose::Diagnostic>& diagnostics, const secrets::ProjectSecrets& sealed, const Args& args) {
  auto variables = secrets::variables_of(sealed, args.project.environment);
  if (!variables) return;
  const secrets::Scrubber scrubber(std::move(*variables));
  for (auto& diagnostic : diagnostics) diagnostic.message = scrubber.clean(diagnostic.message);
}

std::string lines(const std::set<std::string_view>& all) {
  std::string out;
  for (const auto line : all) out += fmt::format("{}\n", line);
  return out;
}

/// Leaves only the services named and what they depend on. False where there is no such service.
bool choose_services(compose::Project& project, const std::vector<std::string>& names) {
  std::set<std::string_view> keep;
  std::vector<std::string_view> open(names.begin(), names.end());
  while (!open.empty()) {
    const auto name = open.back();
    open.pop_back();
    const auto* service = project.service(name);
    if (service == nullptr) {
      if (std::ranges::find(names, name) == names.end()) continue;
      fmt::print(stderr, "datamancy: no such service: {}\n", name);
      return false;
    }
    if (!keep.insert(service->name).second) continue;
    for (const auto& dependency : service->depends_on) open.push_back(dependency.service);
  }
  for (auto& service : project.services) {
    const bool named = std::ranges::find(names, service.name) != names.end();
    service.enabled = keep.contains(service.name) && (service.enabled || named);
  }
  return true;
}

/// One image a service, in the order of their names; what is built without a name gets the one that Compose gives it.
std::string images(const compose::Project& project) {
  std::map<std::string_view, std::string> out;
  for (const auto& service : project.services)
    if (service.enabled) out.emplace(service.name, service.image ? std::string(service.image.value) : fmt::format("{}-{}", project.name, service.name));
  std::string text;
  for (const auto& [service, image] : out) text += image + "\n";
  return text;
}

std::string profiles(const compose::Project& project) {
  std::set<std::string_view> all;
  for (const auto& service : project.services)
    for (const auto& profile : service.profiles) all.insert(profile.value);
  return lines(all);
}

std::string services(const compose::Project& project) {
  std::set<std::string_view> all;
  for (const auto& service : project.services)
    if (service.enabled) all.insert(service.name);
  return lines(all);
}

std::string environment(const compose::Project& project) {
  std::string out;
  for (const auto& [name, definition] : project.environment) out += fmt::format("{}={}\n", name, definition.value);
  return out;
}

/// The models that the services use, as their registry names them.
std::string models(const compose::Project& project) {
  std::set<std::string_view> all;
  for (const auto& service : project.services)
    if (const auto* uses = service.node->find("models"); service.enabled && uses != nullptr && uses->is_mapping())
      for (const auto& use : *uses->entries)
        if (const auto* model = project.model->at({"models", use.key, "model"}); model != nullptr && !model->string().empty()) all.insert(model->string());
  return lines(all);
}

/// `NAME HASH` of each service named (NAME,NAME or * for all), as Compose computes and labels them.
std::optional<std::string> hashes(compose::Project& project, std::string_view names) {
  std::map<std::string_view, const compose::Service*> chosen;
  for (const auto& service : project.services)
    if (service.enabled && names == "*") chosen.emplace(service.name, &service);
  for (std::size_t begin = 0; names != "*" && begin <= names.size();) {
    const auto end = std::min(names.find(',', begin), names.size());
    const auto name = names.substr(begin, end - begin);
    const auto* service = project.service(name);
    if (service == nullptr || !service->enabled) {
      fmt::print(stderr, "datamancy: no such service: {}\n", name);
      return std::nullopt;
    }
    chosen.emplace(service->name, service);
    begin = end + 1;
  }
  std::string out;
  for (const auto& [name, service] : chosen) out += fmt::format("{} {}\n", name, secrets::hex(secrets::sha256(compose::hashed_text(project, *service))));
  return out;
}

constexpr std::string_view kHash = "--hash";

/// What can be printed instead of the project. Where several are asked for, the first of this list is printed, as in Compose.
struct View {
  std::string_view flag;
  std::string (*print)(const compose::Project& project);
  bool takes_services = false;  ///< SERVICE... is heeded
};
constexpr View kViews[] = {
    {"--services", services},
    {"--volumes", [](const compose::Project& project) { return lines(compose::used_names(project, "volumes")); }},
    {"--networks", [](const compose::Project& project) { return lines(compose::used_names(project, "networks")); }},
    {"--models", models},
    {kHash, nullptr},
    {"--profiles", profiles, true},
    {"--images", images, true},
    {"--variables", nullptr},
    {"--environment", environment},
};

}  // namespace

int config(Args& args) {
  std::string format;
  std::string output;
  if (args.has("--json")) format = "json";
  args.option("--format", format);
  if (!args.option("--output", output)) args.option("-o", output);
  const bool quiet = args.has("-q") || args.has("--quiet");
  const bool show_secrets = args.has("--show-secrets");
  if (args.has("--no-interpolate")) args.project.interpolate = false;
  if (args.has("--no-consistency")) args.project.consistency = false;
  if (args.has("--no-normalize")) args.project.normalize = false;
  if (args.has("--no-path-resolution")) args.project.resolve_paths = false;
  args.has("--no-env-resolution");  // without effect in Compose too: it reads env files while loading (docs/conformance.md)
  const View* view = nullptr;
  std::string hash;
  for (const View& candidate : kViews)
    if ((candidate.flag == kHash ? args.option(kHash, hash) : args.has(candidate.flag)) && view == nullptr) view = &candidate;
  // Compose does not look at these for a mere list.
  if (view != nullptr) args.project.unique_container_names = false;
  if (view != nullptr && view->flag != "--environment") args.project.resolve_env_files = false;
  const bool lock = args.has("--lock-image-digests");
  const bool pin = args.has("--resolve-image-digests") || lock;
  const bool table = view != nullptr && view->flag == "--variables";
  if (table) args.project.interpolate = false;
  const auto option = std::ranges::find_if(args.words, [](const std::string& word) { return word.starts_with('-'); });
  if (option != args.words.end()) return unknown("config", *option);
  if (!format.empty() && format != "yaml" && format != "json" && !(table && format == "table")) return bad_value("config", "--format", format);
  read_stdin(args.project);
  const auto folder = project_folder(args);
  auto sealed = secrets::environment_for(folder, args.project, key_sources(args));
  if (!sealed) return complain(sealed.error());
  add_to(args.project, *sealed, folder);
  // Judged with the real values, shown without them.
  const secrets::UnsealedFiles with_values(*sealed, secrets::UnsealedFiles::Show::values);
  const secrets::UnsealedFiles with_placeholders(*sealed, secrets::UnsealedFiles::Show::placeholders);
  auto opened = secrets::load_with_values(args.project, *sealed, with_values, key_sources(args));
  if (!opened) return complain(opened.error());
  auto loaded = *std::move(opened);
  if (sealed->any()) scrub(loaded.diagnostics, *sealed, args);
  print_diagnostics(*loaded.project, loaded.diagnostics);
  if (!loaded.ok) return kFailed;
  if (sealed->any() && !show_secrets && !quiet) {
    loaded = compose::load(args.project, with_placeholders);
    if (!loaded.ok) {
      fmt::print(stderr, "datamancy: a sealed value stands where Compose wants a number or a path, so that nothing can be shown without it; --show-secrets prints everything\n");
      return kFailed;
    }
    fmt::print(stderr, "datamancy: sealed values are shown as 'sealed.NAME'; --show-secrets prints them\n");
  }
  auto& project = *loaded.project;
  if (!args.words.empty() && args.project.interpolate && (view == nullptr || view->takes_services) && !choose_services(project, args.words)) return kFailed;
  if (pin && view == nullptr && !pin_images(project, plain_environment(args))) return kFailed;
  if (quiet) return kClean;
  if (view != nullptr && view->flag == kHash) {
    const auto out = hashes(project, hash);
    return out && write_output(output, *out) ? kClean : kFailed;
  }
  const auto out = table ? variables(project, format == "json") : lock && view == nullptr ? images_only(project, format == "json") : view != nullptr ? view->print(project)
                   : format == "json" ? compose::to_json(project) : compose::to_yaml(project);
  return write_output(output, out) ? kClean : kFailed;
}

}  // namespace dm::cli
