/// Secrets as files in memory for containers: planned from the project and the products' knowledge, written below /run, mounted by an override file
/// that holds no secret.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "product/product.hpp"
#include "secrets/delivery.hpp"

namespace dm::secrets {

/// One file that containers read.
struct FileSecret {
  std::string source;          ///< name of the top-level secret
  std::string service;         ///< "" = a secret that the project itself declares
  std::string variable;        ///< POSTGRES_PASSWORD; "" for a declared one
  std::string file_variable;   ///< POSTGRES_PASSWORD_FILE
  std::string path;            ///< on tmpfs
  SecretString value;          ///< without a line end
  int uid = -1, gid = -1;      ///< as the use in the long syntax says; -1 = ours
  int mode = 0444;
};

/// A sealed value that reaches its container by environment, where the engine keeps it in its own files and shows it in `inspect`.
struct EnvironmentSecret {
  std::string service, variable;
  std::string why;             ///< "the product takes no file for it", "the value is part of a command"
};

struct FileDelivery {
  std::string folder;          ///< /run/datamancy/PROJECT
  std::vector<FileSecret> files;
  std::vector<EnvironmentSecret> environment;
  /// Values of services with a sealed `env_file:`, under names of our own for `override_yaml`: Compose cannot read that file, and the values are no variables
  /// of the project.
  std::vector<std::pair<std::string, SecretString>> handed;
  /// For `docker compose -f ... -f OVERRIDE`: variables replaced by their file forms, secrets, and a label per service (`kMarks`) that changes when one
  /// of its secrets does, so that exactly its users are recreated. Empty where no service uses anything that is sealed.
  std::string override_yaml;
};

/// The label that says, as "MARK:NAME MARK:NAME", which secrets a container was made with. A mark is a keyed hash: it tells whether a value changed.
/// What came from a sealed `env_file:` has the name FILE:NAME.
inline constexpr std::string_view kMarks = "datamancy.secrets";
/// How a sealed file is called in a mark: as the project's folder sees it, without what parts marks.
std::string mark_file(std::string_view path, const std::string& folder);
/// Such a label's names and their marks.
std::map<std::string, std::string_view> read_marks(std::string_view label);
/// Names that the line of an env file refers to: the loader keeps no record of these references. Empty for other variables.
std::vector<std::string_view> line_references(const compose::Project& project, const compose::EnvVar& variable);

/// /run/datamancy/NAME for root (/dev/shm/datamancy/NAME where only that is in memory), $XDG_RUNTIME_DIR/datamancy/NAME otherwise; "" where neither is there.
std::string runtime_folder(std::string_view project, const std::map<std::string, std::string, std::less<>>& environment);

/// `project` was loaded with the values of `secrets`. Also opens `NAME.enc` beside each declared `file: NAME` that does not exist in the clear.
/// Errors: exit 10, 11, 12 from opening those.
Result<FileDelivery> plan_files(const compose::Project& project, const product::Catalogue& products, const ProjectSecrets& secrets, const KeySources& keys, std::string folder);

/// Writes what differs: files 0444, or with the owner and mode of the long syntax, in a folder 0700 that only its owner may enter, so that no user of the
/// host reaches them and every user in the container can read what is mounted. Gives how many changed. Errors:
/// `denied` where the folder is on no tmpfs, or where an owner is wanted that only root can give.
Result<std::size_t> write_files(const FileDelivery& delivery);
/// The files lie on this host, where an engine elsewhere cannot mount them. `engine`: its address. Errors: `unsupported`.
Result<void> within_reach(const FileDelivery& delivery, std::string_view engine);
/// Removes files of the folder that no secret has any more and no container mounts (`mounted`: sources on this host). Gives how many.
std::size_t prune_files(const FileDelivery& delivery, const std::set<std::string, std::less<>>& mounted);

}  // namespace dm::secrets
