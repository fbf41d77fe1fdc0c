/// `datamancy secrets ...`: its subcommands, one file per group, and what they share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/words.hpp"
#include "cli/verbs.hpp"
#include "secrets/sealed.hpp"

namespace dm::cli {

struct SecretsVerb {
  std::string_view name;
  std::string_view summary;
  std::string_view usage;
  int (*run)(Args& args);
};

// secrets_keys.cpp
int secrets_init(Args& args);
int secrets_recipients(Args& args);
int secrets_reseal(Args& args);
// secrets_values.cpp
int secrets_set(Args& args);
int secrets_get(Args& args);
int secrets_list(Args& args);
int secrets_remove(Args& args);
// secrets_files.cpp
int secrets_seal(Args& args);
int secrets_open(Args& args);
int secrets_edit(Args& args);
int secrets_exec(Args& args);
// secrets_compose.cpp, secrets_rotate.cpp
int secrets_compose(Args& args);
int secrets_rotate(Args& args);
// secrets_git.cpp
int secrets_textconv(Args& args);
int secrets_merge(Args& args);
// secrets_scan.cpp
int secrets_scan(Args& args);
// secrets_doctor.cpp
int secrets_doctor(Args& args);
// secrets_guard.cpp
int secrets_migrate(Args& args);
int secrets_escrow(Args& args);
int secrets_deliver(Args& args);

/// Where drills of key backups are noted: date, recipient, place.
std::string key_backups_path(const Args& args);
/// Where keys are looked for, with a prompt on the terminal.
secrets::KeySources key_sources(const Args& args);
/// Reads a line from the terminal without echo. Errors: `unavailable` where there is no terminal.
Result<secrets::SecretString> ask_hidden(std::string_view prompt);
/// Standard input to its end, wiped when it goes. Errors: `invalid_input` over 16 MiB.
Result<secrets::SecretString> read_secret_input();
/// A question for yes or no on the terminal; false without one.
bool agreed(std::string_view question);

/// Absolute form of an operand.
std::string absolute(const Args& args, std::string_view path);
/// The folder of the project as Compose finds it (--project-directory, the first -f, COMPOSE_FILE, upwards from here), or the working folder.
std::string project_folder(const Args& args);
/// A sealed env file of the project: beside the compose file, named by an option, or where services name it under `env_file:`; or an `app.env` beside the compose
/// file that nothing reads.
struct EnvFile {
  std::string path;
  std::vector<std::string> services;   ///< that name it
  bool of_project = false;             ///< gives the project its variables
  bool read() const { return of_project || !services.empty(); }
};
std::vector<EnvFile> sealed_env_files(const Args& args);
inline constexpr std::string_view kNotRead = "nothing reads it: call it NAME.enc.env to give the project its variables, or name it under a service's env_file";
/// As people are told: the path from the project's folder, with the services that name it, or how to have it read.
std::string shown(const EnvFile& file, const std::string& folder);
/// `--in FILE`, else the one sealed file that has `name`, else the one of the project's folder, else the one that a service names. Errors: exit 13 where there is
/// none, `invalid_input` where there are several.
Result<std::string> chosen_file(Args& args, std::string_view name = {});
/// How many values a sealed file has: comments are none.
std::size_t values_in(const secrets::Opened& opened);
/// Prints secret bytes on standard output as they are.
bool print_secret(std::string_view bytes);
/// Says what is wrong with the words that are left over; gives kUsage.
int secrets_usage(std::string_view verb, std::string_view what);

}  // namespace dm::cli
