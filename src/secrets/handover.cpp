#include "secrets/handover.hpp"

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

}  // namespace dm::secrets
