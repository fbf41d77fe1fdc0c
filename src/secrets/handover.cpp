#include "secrets/handover.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/files.hpp"
#include "secrets/sealed.hpp"

namespace dm::secrets {
namespace {

constexpr int kOverrideDescriptor = 9;
constexpr const char* kOverridePath = "/dev/fd/9";  ///< for Compose and for our loader the same name
constexpr int kHandedDescriptor = 8;
constexpr const char* kHandedPath = "/dev/fd/8";

/// What the override refers to beyond the project's variables, as an env file.
SecretString handed_text(const FileDelivery& delivery) {
  SecretString out;
  for (const auto& [name, value] : delivery.handed) {
    out.append(name);
    out.append('=');
    const auto quoted = dotenv_value(value.reveal());
    out.append(quoted.reveal());
    out.append('\n');
  }
  return out;
}

/// The path that a service names under `env_file:` and that marks call `marked`, where no sealed file lies there any more; else "".
std::string vanished_env_file(const compose::Service& service, const std::string& folder, std::string_view marked) {
  for (const auto& one : service.env_files) {
    auto path = sources::clean_path(one.value, folder);
    if (mark_file(path, folder) == marked && !sealed_store(sources::disk().read(path, kMaxSealed).value_or(""))) return path;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Handover>> Handover::open(std::string folder, const compose::Options& options, KeySources keys) {
  std::unique_ptr<Handover> out(new Handover(std::move(folder), std::move(keys)));
  DM_TRY(out->secrets_, environment_for(out->folder_, options, out->keys_));
  out->files_ = std::make_unique<UnsealedFiles>(out->secrets_, UnsealedFiles::Show::values);
  return out;
}

std::vector<std::string> Handover::names() const {
  std::vector<std::string> out;
  for (const auto& file : secrets_.files) out.insert(out.end(), file.names.begin(), file.names.end());
  for (const auto& [name, value] : delivery_.handed) out.push_back(name);
  return out;
}

Result<compose::Loaded> Handover::load(const compose::Options& options, const product::Catalogue& products) {
  given_ = options;
  delivery_ = {};
  auto with = options;
  for (const auto& name : names()) with.environment.erase(name);
  add_to(with, secrets_, folder_);
  main_files_.clear();
  DM_TRY(auto loaded, load_with_values(with, secrets_, *files_, keys_));
  add_to(with, secrets_, folder_);  // again: where only services have sealed files, `.env` is to be named before what follows it below
  if (!loaded.ok) return loaded;
  const auto& project = *loaded.project;
  DM_TRY(delivery_, plan_files(project, products, secrets_, keys_, runtime_folder(project.name, with.environment)));
  if (delivery_.override_yaml.empty()) return loaded;
  main_files_ = project.main_files;
  project_folder_ = project.folder;
  files_->add(kOverridePath, delivery_.override_yaml);
  if (!delivery_.handed.empty()) {
    const auto text = handed_text(delivery_);
    files_->add(kHandedPath, text.reveal(), true);
    with.env_files.emplace_back(kHandedPath);
    for (const auto& [name, value] : delivery_.handed) with.environment.erase(name);
  }
  with.files = main_files_;
  with.files.emplace_back(kOverridePath);
  with.project_directory = project_folder_;
  written_ = std::move(loaded);
  return compose::load(with, *files_);
}

compose::Options Handover::for_compose(compose::Options options) const {
  for (const auto& name : names()) options.environment.erase(name);
  if (main_files_.empty()) return options;
  options.files = main_files_;
  options.files.emplace_back(kOverridePath);
  // The folder of the first file would be taken otherwise, which is another one where COMPOSE_FILE or an option chose it.
  options.project_directory = project_folder_;
  return options;
}

Result<ComposeFeed> Handover::feed() const {
  DM_TRY(auto out, compose_feed(secrets_, folder_, given_));
  if (main_files_.empty()) return out;
  DM_TRY(auto memory, memory_file("override", delivery_.override_yaml));
  out.descriptors[kOverrideDescriptor] = memory.get();
  out.memory.push_back(std::move(memory));
  if (delivery_.handed.empty()) return out;
  const auto text = handed_text(delivery_);
  DM_TRY(auto handed, memory_file("env", text.reveal()));
  out.descriptors[kHandedDescriptor] = handed.get();
  out.arguments.insert(out.arguments.end(), {"--env-file", kHandedPath});
  out.memory.push_back(std::move(handed));
  return out;
}

Result<void> Handover::still_sealed(const compose::Loaded& loaded, const std::vector<std::pair<std::string_view, std::string_view>>& made_with) const {
  const auto& project = written() != nullptr ? *written() : *loaded.project;
  std::string names, places;
  std::set<std::string, std::less<>> seen;
  const auto vanished = [&](const std::string& name, std::string_view service, const std::string& where) {
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", name, service);
    if (places.find(where) == std::string::npos) places += (places.empty() ? "" : ", ") + where;
  };
  for (const auto& [service_name, label] : made_with)
    for (const auto& [name, mark] : read_marks(label)) {
      if (secrets_.sealed(name) || !seen.insert(name).second) continue;
      if (std::ranges::any_of(delivery_.files, [&](const auto& file) { return file.source == name || file.variable == name; })) continue;
      if (const auto cut = name.find(':'); cut != std::string::npos) {  // from an env file of the service
        const auto* service = project.service(service_name);
        const auto gone = service == nullptr ? std::string() : vanished_env_file(*service, project.folder, name.substr(0, cut));
        if (!gone.empty()) vanished(name, service_name, fmt::format("as '{}'", gone));
        continue;
      }
      const bool wanted = (!loaded.ok && !secrets_.any()) || std::ranges::any_of(project.variables, [&](const auto& use) { return use.name == name; }) ||
                          std::ranges::any_of(project.secrets, [&](const auto& one) { return one.key == name && !one.external; });
      if (wanted) vanished(name, service_name, fmt::format("beside the compose file in '{}' as NAME.enc.env, or name it by --env-file", loaded.project->folder));
    }
  if (names.empty()) return {};
  return fail_as(kNoSecrets, Errc::not_found,
                 fmt::format("containers were made with sealed secrets that no sealed file gives any more: {}. Put the sealed file back (git checkout, a backup) {}; where they are to be sealed no longer, remove these "
                             "containers first ('docker compose down')",
                             names, places));
}

}  // namespace dm::secrets
