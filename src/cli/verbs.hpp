/// The verbs of the program. A new verb is one file beside this one and one line in verbs.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compose/load.hpp"

namespace dm::cli {

/// Stable for scripts (SPEC: exit codes).
enum Exit : int {
  kClean = 0, kFindings = 1, kFailed = 2,
  kProgramMissing = 10, kNoKey = 11, kCannotDecrypt = 12, kNoSecrets = 13,
  kUsage = 64, kBug = 70, kInterrupted = 130
};

/// What was typed: options of the project are taken wherever they stand, the rest is the verb's.
struct Args {
  compose::Options project;
  std::string host;                 ///< -H, --host: the engine, as for the docker CLI
  std::string context;              ///< --context
  std::vector<std::string> words;   ///< the verb's own options and operands
  bool has(std::string_view flag);                        ///< takes a flag away
  bool option(std::string_view name, std::string& value); ///< takes `--name value` or `--name=value` away
};

struct Verb {
  std::string_view name;
  std::string_view summary;
  std::string_view usage;           ///< shown by `VERB --help`
  int (*run)(Args& args);           ///< gives the exit status
};

std::span<const Verb> verbs();

int config(Args& args);
int audit(Args& args);
int report(Args& args);
int explain(Args& args);
int rules(Args& args);
int graph(Args& args);
int init_stack(Args& args);
int render(Args& args);
int backup(Args& args);
/// Its parts, with their options.
std::string backup_help();
int secrets(Args& args);
/// Help of one of its subcommands, or the list of them.
std::string secrets_help(std::string_view name);
int drill(Args& args);
int recover(Args& args);
int outdated(Args& args);
int upgrade(Args& args);
int preflight(Args& args);
int plan(Args& args);
int up(Args& args);
int down(Args& args);
int restart(Args& args);
int status(Args& args);
int logs(Args& args);
int history(Args& args);
int rollback(Args& args);
int check(Args& args);

/// Says on standard error what went wrong, and gives the exit status for it.
int complain(const Error& error);
/// Prints diagnostics with their lines to standard error.
void print_diagnostics(const compose::Project& project, const std::vector<compose::Diagnostic>& diagnostics);
/// Writes to `path`, atomically where it is a regular file, or to standard output where it is empty. False after printing why not.
bool write_output(const std::string& path, std::string_view text);
/// Reads standard input where `-f -` asks for it.
void read_stdin(compose::Options& options);

int run(int argc, char** argv);

}  // namespace dm::cli
