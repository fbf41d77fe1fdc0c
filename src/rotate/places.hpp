/// Where in the sealed files of a project a secret stands: in one file under its name, and wherever else the same value was written.
#pragma once

#include <string>
#include <vector>

#include "rotate/target.hpp"
#include "secrets/delivery.hpp"

namespace dm::rotate {

using secrets::SecretString;

/// The sealed value NAME, and how services get it. `in`: absolute path of the file that the user named, or "". Where several files have the name, it is the one
/// of them that is the password of a server, or of which a rotation was cut off. Errors: exit 13 where no file has it; `invalid_input` where several do.
Result<Secret> find_secret(const secrets::ProjectSecrets& secrets, const compose::Project& project, std::string_view name, std::string_view in);

/// As the journal and messages call it: NAME, or FILE:NAME where it is no variable of the project.
std::string called(const Secret& secret, const std::string& project_folder);

/// Another sealed value that is, or contains, the same password: a client's own copy, a URL.
struct Copy {
  Secret secret;
  bool whole = true;
};
/// Those of all sealed files, for values of at least eight characters; of a value that could be the name of an account only what is called a password, or stands
/// where a URL has it. Errors: `unsupported` where one stands in a file that is sealed as a whole.
Result<std::vector<Copy>> copies_of(const secrets::ProjectSecrets& secrets, const Secret& secret, const std::vector<const SecretString*>& values);

/// What is to stand in the files: `value` under the secret's name, and beside it, where `other` is given, that one under `beside`; NAME__NEXT and NAME__PREVIOUS
/// go otherwise. In the copies `value` takes the place of `other` or of `before`.
struct Wanted {
  const SecretString& value;
  std::string beside{};
  const SecretString* other = nullptr;
  std::vector<const SecretString*> before{};
};
/// Writes the files that differ, that of the secret itself last: where the process dies in between, it still says that a rotation is under way.
Result<void> write(const Secret& secret, const std::vector<Copy>& copies, const Wanted& wanted, secrets::Keyring& keys);

}  // namespace dm::rotate
