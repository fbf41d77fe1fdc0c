#include "secrets/handover.hpp"

#include <fmt/format.h>

#include "base/files.hpp"
#include "secrets/sealed.hpp"

namespace dm::secrets {
namespace {

constexpr int kOverrideDescriptor = 9;
constexpr const char* kOverridePath = "/dev/fd/9";  ///< for Compose and for our loader the same name

/// Compose would hand the ENC[...] texts to the container.
Result<void> refuse_sealed_env_files(const compose::Project& project, const std::string& folder) {
  for (const auto& service : project.services) {
    if (!service.enabled) continue;
    for (const auto& named : service.env_files) {
      const auto path = sources::clean_path(named.value, project.folder);
      const auto text = sources::disk().read(path, kMaxSealed);
      if (!text || !sealed_store(*text)) continue;
      const auto beside = sources::parent_path(path) == folder;
      return fail(Errc::invalid_input,
                  fmt::format("services.{}.env_file: '{}' is sealed, and Compose would hand its ENC[...] texts to the container. {}, write what the container needs under environment, "
                              "as NAME: ${{NAME}}, and take the file out of env_file",
                              service.name, sources::relative_to(path, project.folder), beside ? "Its variables are known to the project already" : fmt::format("Move it to '{}', where its variables are known to the project", folder)));
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Handover>> Handover::open(std::string folder, KeySources keys) {
  std::unique_ptr<Handover> out(new Handover(std::move(folder), std::move(keys)));
  DM_TRY(out->secrets_, environment_for(out->folder_, out->keys_));
  out->files_ = std::make_unique<UnsealedFiles>(out->secrets_, UnsealedFiles::Show::values);
  return out;
}

std::vector<std::string> Handover::names() const {
  std::vector<std::string> out;
  for (const auto& file : secrets_.files) out.insert(out.end(), file.names.begin(), file.names.end());
  return out;
}

Result<compose::Loaded> Handover::load(const compose::Options& options, const product::Catalogue& products) {
  given_ = options;
  auto with = options;
  for (const auto& name : names()) with.environment.erase(name);
  add_to(with, secrets_, folder_);
  delivery_ = {};
  main_files_.clear();
  auto loaded = compose::load(with, *files_);
  if (!loaded.ok) return loaded;
  const auto& project = *loaded.project;
  DM_CHECK(refuse_sealed_env_files(project, folder_));
  DM_TRY(delivery_, plan_files(project, products, secrets_, keys_, runtime_folder(project.name, with.environment)));
  if (delivery_.override_yaml.empty()) return loaded;
  main_files_ = project.main_files;
  project_folder_ = project.folder;
  files_->add(kOverridePath, delivery_.override_yaml);
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
  return out;
}

}  // namespace dm::secrets
