/// How a project with sealed secrets meets Compose and its containers. One owner: whoever starts, plans or compares goes through this.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "secrets/runtime_files.hpp"

namespace dm::secrets {

class Handover {
 public:
  /// Opens the sealed env files of `folder` and those that `options` name. None is no error. Errors: exit 10, 11, 12; nothing was written then.
  static Result<std::unique_ptr<Handover>> open(std::string folder, const compose::Options& options, KeySources keys);

  /// Loads the project of `options` (as the user gave them) with the values, plans which of them become files, and gives the project as Compose will see it:
  /// with the override. What is sealed wins over what is exported. A project that does not load is no error: `ok` is false. Errors: exit 10, 11, 12 from files
  /// that lie sealed beside their plain names or under a service's `env_file:`. May be called again with other options; the last call counts.
  Result<compose::Loaded> load(const compose::Options& options, const product::Catalogue& products);

  /// `options` for the program `docker compose`: the same files, then the override; without the sealed names in the environment.
  compose::Options for_compose(compose::Options options) const;
  /// The `--env-file` arguments and the memory files (variables, override) for one start of it, for the options of the last load.
  Result<ComposeFeed> feed() const;
  /// Names that must not be in the environment of Compose.
  std::vector<std::string> names() const;

  /// Writes the files into memory; gives how many changed. Call it before containers are made. Files of earlier runs stay: see `prune_files`.
  Result<std::size_t> write() const { return write_files(delivery_); }

  /// What containers (service, the label `kMarks`) were made with must still come from a sealed file: where one has vanished, or gives the value no more, a new
  /// container would get an empty or a plain one. `loaded` is what `load` gave. Errors: exit 13, with the names.
  Result<void> still_sealed(const compose::Loaded& loaded, const std::vector<std::pair<std::string_view, std::string_view>>& made_with) const;

  const ProjectSecrets& secrets() const { return secrets_; }
  const FileDelivery& delivery() const { return delivery_; }
  const UnsealedFiles& files() const { return *files_; }
  /// The project of the last load as its files say it, without the override; null where there is none.
  const compose::Project* written() const { return main_files_.empty() ? nullptr : written_.project.get(); }
  /// Sealed variables, or sealed files that become secrets.
  bool any() const { return secrets_.any() || !delivery_.files.empty(); }

 private:
  Handover(std::string folder, KeySources keys) : folder_(std::move(folder)), keys_(std::move(keys)) {}
  std::string folder_, project_folder_;
  compose::Options given_;
  KeySources keys_;
  ProjectSecrets secrets_;
  std::unique_ptr<UnsealedFiles> files_;
  FileDelivery delivery_;
  compose::Loaded written_;
  std::vector<std::string> main_files_;
};

}  // namespace dm::secrets
