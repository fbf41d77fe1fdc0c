/// The reference stack, written out for one host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scaffold/schema.hpp"
#include "secrets/secret_string.hpp"

namespace dm::scaffold {

/// What a person decides. Everything else has a default.
struct Answers {
  std::string domain;
  std::string mail;
  std::vector<std::string> profiles;
  std::string debian_base;        ///< image of the release that the program was built on; "" = the default
  std::string edge_tls = "acme";
};

/// Profiles of the stack, as the fragments name them.
const std::vector<std::string>& known_profiles();
/// The same with what each starts, in half a sentence.
const std::vector<std::pair<std::string_view, std::string_view>>& profile_descriptions();

struct NewFile {
  std::string path;               ///< below the folder
  std::string content;
  int mode = 0644;
};

/// The files of the stack; `.env` with the answers, `.gitignore` besides. None holds a secret. Errors: `invalid_input` for an answer that is none.
Result<std::vector<NewFile>> stack_files(const Schema& schema, const Answers& answers);

/// A value for every secret, in the order of the schema: first those with a generator of their own, then what follows from them.
Result<std::vector<std::pair<std::string, secrets::SecretString>>> make_secrets(const Schema& schema);

/// The schema that is compiled in.
const Schema& stack_schema();
std::string_view embedded(std::string_view name);

}  // namespace dm::scaffold
