#include "cli/backup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace dm::cli {
namespace {

struct Part {
  std::string_view name, summary;
  int (*run)(Args& args);
};
constexpr Part kParts[] = {
    {"run", "save everything, or what is named: run [SUBJECT...] [--no-forget]", backup_run},
    {"list", "the runs that the repository holds: list [--limit N]", backup_list},
    {"show", "what one run saved: show [RUN]", backup_show},
    {"verify", "read the newest backup to its end: verify [RUN] [--depth structure|sample|everything]", backup_verify},
    {"coverage", "what is saved, how, when it was proven, and what is not", backup_coverage},
    {"restore", "bring back: restore SUBJECT [ITEM] | --all  --to FOLDER [--path PATH] | --as NAME | --in-place  [--run RUN] [--before YYYY-MM-DD[THH:MM]]", backup_restore},
    {"forget", "drop what the retention does not keep, after a verified run only: forget [--prune]", backup_forget},
    {"prune", "free the space of what was forgotten; nothing that is listed goes", backup_prune},
    {"replicate", "copy a verified repository off-site: replicate [--to NAME]", backup_replicate},
    {"schedule", "when what runs; --systemd prints timers", backup_schedule},
    {"doctor", "are the programs good enough, is there a copy elsewhere, does the key lie apart", backup_doctor},
    {"inspect", "what a dump of any tool is, and whether it is whole: inspect FILE|-", backup_inspect},
    {"unlock", "remove repository locks that nobody holds any more", backup_unlock},
    {"password", "change the repository's password: password --new-password-file FILE", backup_password},
};

}  // namespace

std::string backup_help() {
  std::string out = "usage: datamancy backup PART [options]\n\n";
  for (const Part& part : kParts) out += fmt::format("  {:10} {}\n", part.name, part.summary);
  return out + "\nSUBJECT is a service with a datastore, volume:NAME, a folder or 'project', as 'coverage' lists them; ITEM a database of it; RUN the name of a run or its beginning.\n"
               "options of all: --json, --yes, --quiet, --repository NAME|URL, --password-file FILE, --stall-timeout DURATION, -p PROJECT, --host, --context\n"
               "without settings the repository is a folder of this machine with a password that is made once; where to, how often, how long: docs/backup.md\n"
               "exit status: 0 verified, 1 failed, 2 could not verify, 10 a program is missing, 11 no password\n";
}

int backup(Args& args) {
  if (args.words.empty()) {
    fmt::print(stderr, "{}", backup_help());
    return kUsage;
  }
  const auto word = std::ranges::find_if(args.words, [](const std::string& text) { return !text.starts_with('-'); });
  const std::string name = word == args.words.end() ? "" : *word;
  for (const Part& part : kParts) {
    if (part.name != name) continue;
    args.words.erase(word);
    return part.run(args);
  }
  fmt::print(stderr, "datamancy: backup does not know '{}'; see 'datamancy backup --help'\n", name.empty() ? args.words.front() : name);
  return kUsage;
}

}  // namespace dm::cli
