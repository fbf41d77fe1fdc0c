#include "cli/verbs.hpp"

#include <fmt/format.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/files.hpp"
#include "cli/completion.hpp"
#include "compose/nearest.hpp"
#include "secrets/delivery.hpp"
#include "secrets/metrics.hpp"
#include "sensitive/sensitive.hpp"

extern char** environ;  // NOLINT

namespace dm::cli {
namespace {

constexpr std::array kVerbs{
    Verb{"config", "print the project as Compose sees it",
         "config [SERVICE...] [--format yaml|json] [-q] [--no-interpolate] [--no-consistency]\n"
         "       [--no-normalize] [--no-path-resolution] [--no-env-resolution] [--show-secrets] [-o FILE]\n"
         "       [--resolve-image-digests | --lock-image-digests]\n"
         "       [--services|--volumes|--networks|--models|--images|--profiles|--environment|--variables|--hash '*'|NAME,NAME]\n"
         "       the project after merging, with variables replaced and short forms made long; SERVICE... and what they depend on",
         config},
    Verb{"audit", "say what will break in production, and why", 
         "audit [PATH] [--format text|json|markdown|html|sarif|junit] [--show critical|high|medium|low|info] [-o FILE]\n"
         "       [--fail-on critical|high|medium|low|info] [--baseline FILE] [--write-baseline FILE]\n"
         "       [--live [--save-facts FILE] | --facts FILE]   look at the running stack too, or judge by what was seen (docs/live.md)\n"
         "       [--history]   look for secrets in git history too; what was read once is not read again (docs/audit.md)\n"
         "       exit status: 0 clean, 1 findings at or above --fail-on (low), 2 could not be judged\n"
         "       `# datamancy: ignore DM0601: why` on a line, and .datamancy.yml, suppress with a reason (docs/audit.md)",
         audit},
    Verb{"graph", "who talks to whom, and why", "graph [PATH] [--format text|dot|json|svg] [-o FILE]", graph},
    Verb{"report", "write the readiness report: verdict, score, what to do in which order",
         "report [PATH] [--format markdown|html|json] [--explain] [--date YYYY-MM-DD] [--baseline FILE] [-o FILE]\n"
         "       [--live [--save-facts FILE] | --facts FILE] [--history]\n"
         "       exit status: 0 ready, 1 not ready or not proven, 2 could not be judged",
         report},
    Verb{"secrets", "seal, open, change, deliver and find secrets", "secrets SUBCOMMAND ...", secrets},
    Verb{"init", "write the reference stack out, with generated secrets, sealed",
         "init [DIR] --domain DOMAIN --mail ADDRESS [--host-size GB] [--profile NAME]... [--tls acme|internal] [--yes]\n"
         "       init --service NAME [DIR]   add one product to a project, with its database, route, secrets and backup (NAME: see init --service list)\n"
         "       asks for what is missing where somebody is there; never overwrites (docs/init.md)", init_stack},
    Verb{"render", "put secrets and configuration where containers mount them; find drift",
         "render [DIR] [--check] [--run FOLDER] [--json] | render --filters\n"
         "       exit status: 0 done, or no drift; 1 drift (--check); 2 a template cannot be rendered; 11, 12, 13 secrets (docs/render.md)", render},
    Verb{"preflight", "everything in the way of an up, at once, with its mend", "preflight [SERVICE...] [--all] [--min-free 50g] [--json]\n"
         "       exit status: 0 nothing in the way, 1 something is, 2 could not look", preflight},
    Verb{"plan", "what an up would do, and why", "plan [SERVICE...] [--all] [--no-deps] [--recreate SERVICE] [--no-recreate] [--remove-orphans] [--repair] [--json]", plan},
    Verb{"up", "start the stack in order, gate by health, say what failed first",
         "up [SERVICE...] [--all] [--atomic] [--no-deps] [--recreate SERVICE] [--no-recreate] [--repair] [--timeout 10m]\n"
         "       [--settle 3s] [--build] [--pull always|missing|never] [--remove-orphans] [--dry-run] [--fan-out N]\n"
         "       [--lock-wait 0s] [--min-free 50g] [--no-preflight] [--no-early-readiness] [--no-content]\n"
         "       [--accept-model-difference] [--progress auto|tty|plain|json|quiet] [--json]\n"
         "       exit status: 0 up and stable, 1 something is not, 2 could not, 130 interrupted (docs/deploy.md)",
         up},
    Verb{"down", "take the project down, or only stop it in reverse order",
         "down [--keep] [--volumes [--yes]] [--remove-orphans] [--timeout 10s] [--lock-wait 0s] [--json]", down},
    Verb{"restart", "restart services, and with --cascade what depends on them, in order",
         "restart SERVICE... [--cascade] [--timeout 10m] [--settle 3s] [--dry-run] [--progress ...] [--json]", restart},
    Verb{"status", "what runs, in which revision, and where its state is kept", "status [--projects] [--json]\n"
         "       exit status: 0 all is well, 1 something is missing or not well, 2 could not look", status},
    Verb{"logs", "what services wrote", "logs [SERVICE...] [-f | --follow] [--tail N] [--since 10m] [--timestamps] [--no-prefix | --json]", logs},
    Verb{"history", "revisions: what was deployed when, by whom, and how it ended", "history [REVISION] [--json]", history},
    Verb{"rollback", "go back to the last good revision, or to one by its number",
         "rollback [REVISION] [--dry-run] [--timeout 10m] [--progress ...] [--json]", rollback},
    Verb{"check", "the checklist before a stack goes live, each item with its evidence",
         "check [--all] [--run] [--min-free 50g] [--login-url URL --login-user NAME --login-password-file FILE [--login-ca FILE]\n"
         "       [--login-resolve HOST:PORT:ADDRESS]] [--healthz URL] [--json]\n"
         "       exit status: 0 all pass, 1 an item fails or is unknown, 2 could not (docs/check.md)",
         check},
    Verb{"completion", "print completion for a shell", "completion bash|zsh|fish", completion},
    Verb{"man", "print the manual page", "man   (datamancy man | man -l -)", manual},
    Verb{"explain", "what a rule means and how to mend it", "explain RULE [--json]   RULE is an id or a name, as 'datamancy rules' lists them", explain},
    Verb{"rules", "list the rules", "rules [--json]", rules},
    Verb{"backup", "save the stack's data, verified; list, verify and restore it", "backup run|list|show|verify|restore|coverage|forget|replicate|schedule|doctor|inspect|unlock|password (docs/backup.md)\n"
         "       exit status: 0 verified, 1 failed, 2 could not verify, 10 a program is missing, 11 no password", backup},
    Verb{"recover", "rebuild a project from its repository on a bare machine: files, secrets, data, and start it",
         "recover REPOSITORY [--password-file FILE] [--key FILE] [--into DIR] [--project NAME] [--run RUN] [--before DATE]\n"
         "       [--dry-run] [--overwrite] [--files-only] [--after-compromise] [--yes] [--quiet] [--json]\n"
         "       --key: the age key of the sealed secrets; --overwrite keeps what is in the way under another name;\n"
         "       --after-compromise: cut off from all networks, then every secret is changed (docs/recover.md)\n"
         "       exit status: 0 recovered, 1 not all of it, 2 could not, 11 no password or key", recover},
    Verb{"outdated", "newer images than those in use, and what is known to bite on the way", "outdated [SERVICE...] [--json]\n"
         "       exit status: 0 all up to date, 1 there are newer ones, 2 some are unknown (docs/upgrade.md)", outdated},
    Verb{"upgrade", "a newer image for a service: backed up, gated, and back again with its data where it fails",
         "upgrade SERVICE [--to TAG] [--dry-run] [--yes] [--quiet] [--repository NAME] [--password-file FILE]\n"
         "       a major version of PostgreSQL goes through dump and restore; the old data is kept aside (docs/upgrade.md)\n"
         "       exit status: 0 upgraded, 1 it failed and went back, 2 nothing was changed", upgrade},
    Verb{"drill", "prove that backups come back equal", "drill restore SUBJECT...|--random|--tier TIER|--all [--run RUN] | stack [--run RUN] [--keep] (docs/drill.md)\n"
         "       stack: the whole project out of the repository, in a second one beside it that nothing reaches (docs/recover.md)\n"
         "       exit status: 0 verified, 1 failed, 2 could not verify", drill},
};

/// The scripts of the origin and what does their work now.
struct OldName {
  std::string_view name, successor;
};
constexpr OldName kOldNames[] = {{"stackops", "up"}, {"add-resource-limits", "fix"}, {"install-sops-age", "secrets init"},
                                 {"backup-databases", "backup run"}, {"verify-backups", "backup verify"}, {"dr-drill", "drill restore"},
                                 {"production-health-check", "health-check"}};

bool is_verb(std::string_view word) { return std::ranges::find(kVerbs, word, &Verb::name) != kVerbs.end() || std::ranges::find(kOldNames, word, &OldName::name) != std::end(kOldNames); }

void usage(std::FILE* to) {
  fmt::print(to, "usage: datamancy [-f FILE]... [-p NAME] [--profile NAME]... [--env-file FILE]... [--project-directory DIR]\n"
                 "                 [-H HOST|--context NAME] VERB [options]\n\nverbs:\n");
  for (const Verb& verb : kVerbs) fmt::print(to, "  {:10} {}\n", verb.name, verb.summary);
  fmt::print(to, "\nexit status: 0 clean, 1 findings, 2 could not, 10 a program is missing, 11 no key that fits, 12 cannot be decrypted,\n"
             "             13 no secrets where some are needed, 64 wrong use, 70 our own fault, 130 interrupted\n'datamancy VERB --help' says more\n");
}

}  // namespace

std::span<const Verb> verbs() { return kVerbs; }

bool Args::has(std::string_view flag) { return std::erase(words, flag) > 0; }

bool Args::option(std::string_view name, std::string& value) {
  bool found = false;
  for (auto word = words.begin(); word != words.end() && *word != "--";) {  // given twice, the last one counts
    if (*word == name && word + 1 != words.end()) {
      value = *(word + 1);
      word = words.erase(word, word + 2);
      found = true;
    } else if (word->size() > name.size() && word->starts_with(name) && (*word)[name.size()] == '=') {
      value = word->substr(name.size() + 1);
      word = words.erase(word);
      found = true;
    } else {
      ++word;
    }
  }
  return found;
}

void read_stdin(compose::Options& options) {
  if (std::ranges::find(options.files, "-") == options.files.end()) return;
  std::array<char, 65536> piece{};
  while (options.stdin_text.size() <= sources::kMaxFile) {
    const auto got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got <= 0) break;
    options.stdin_text.append(piece.data(), static_cast<std::size_t>(got));
  }
}

void print_diagnostics(const compose::Project& project, const std::vector<compose::Diagnostic>& diagnostics) {
  for (const auto& diagnostic : diagnostics) {
    const auto place = project.texts.describe(diagnostic.where, project.folder);
    const auto* kind = diagnostic.severity == compose::Trouble::error ? "error" : "warning";
    fmt::print(stderr, "{}{}{}: {}\n", place, place.empty() ? "" : ": ", kind, diagnostic.message);
    const auto* unsealed = dynamic_cast<const secrets::UnsealedFiles*>(&project.texts.files());
    if (diagnostic.where && (unsealed == nullptr || !unsealed->secret(project.texts.at(diagnostic.where.file).path))) {
      const auto position = project.texts.position(diagnostic.where);
      const auto span = project.texts.lines(diagnostic.where.file).line(position.line);
      if (span.size() < 400) {
        fmt::print(stderr, "  {}\n", sensitive::mask_line(std::string_view(project.texts.at(diagnostic.where.file).content).substr(span.begin, span.size())));
        fmt::print(stderr, "  {:>{}}\n", "^", position.column);
      }
    }
    if (!diagnostic.hint.empty()) fmt::print(stderr, "  help: {}\n", diagnostic.hint);
  }
}

namespace {

/// Metrics of sealed secrets, where somebody collects them.
void count_secrets(const Args& args, std::string_view verb, int exit) {
  const bool program = exit == secrets::kProgramMissing && (verb == "secrets" || verb == "up");  // elsewhere another program may be meant
  const bool failed = program || exit == secrets::kNoKey || exit == secrets::kCannotDecrypt || exit == secrets::kNoSecrets;
  if (!failed && !secrets::has_opened()) return;
  const secrets::KeySources sources{args.project.environment, {}, true};
  const auto folder = secrets::metrics_folder(sources, ::geteuid() == 0);
  if (folder.empty()) return;
  if (const auto counted = secrets::count_run(folder, sources, failed ? exit : 0, secrets::has_opened()); !counted) fmt::print(stderr, "note: metrics are not written: {}\n", counted.error().describe());
}

}  // namespace

int complain(const Error& error) {
  fmt::print(stderr, "datamancy: {}\n", error.describe());
  if (error.exit != 0) return error.exit;
  return error.code == Errc::conflict && error.message == "interrupted" ? kInterrupted : kFailed;
}

bool write_output(const std::string& path, std::string_view text) {
  if (path.empty()) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return true;
    fmt::print(stderr, "datamancy: cannot write to standard output: {}\n", std::strerror(errno));
    return false;
  }
  // Only a regular file is replaced: a device, a FIFO or a symbolic link must stay what it is.
  const auto target = sources::disk().stat(path);
  Result<void> wrote;
  if (!target.symlink && (target.kind == sources::Kind::missing || target.kind == sources::Kind::regular)) {
    wrote = write_atomic(path, text);
  } else {
    const Fd file(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    wrote = file ? write_all(file.get(), text) : fail(errno_error("open", errno));
  }
  if (wrote) return true;
  if (target.kind == sources::Kind::directory) {
    fmt::print(stderr, "datamancy: cannot write '{}': it is a folder; name a file in it\n", path);
    return false;
  }
  auto why = std::string_view(wrote.error().message);  // "write 'PATH': No space left on device"
  if (const auto said = fmt::format("'{}': ", path); why.find(said) != std::string_view::npos) why.remove_prefix(why.find(said) + said.size());
  fmt::print(stderr, "datamancy: cannot write '{}': {}\n", path, why);
  return false;
}

int run(int argc, char** argv) {
  Args args;
  std::array<char, 4096> folder{};
  if (::getcwd(folder.data(), folder.size()) != nullptr) args.project.working_directory = folder.data();
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (const auto cut = text.find('='); cut != std::string_view::npos) args.project.environment.emplace(text.substr(0, cut), text.substr(cut + 1));
  }
  std::vector<std::string> words(argv + 1, argv + argc);
  // As `docker datamancy`: installed as docker-datamancy among the CLI's plugins, it is asked who it is and called with its own name.
  if (!words.empty() && words[0] == "docker-cli-plugin-metadata") {
    fmt::print("{{\"SchemaVersion\":\"0.1.0\",\"Vendor\":\"Datamancy\",\"Version\":\"0.1.0\",\"ShortDescription\":\"From 'it starts' to 'proven ready for production'\"}}\n");
    return kClean;
  }
  const std::string_view called(argv[0]);
  if (called.substr(called.find_last_of('/') + 1).starts_with("docker-datamancy") && !words.empty() && words[0] == "datamancy") words.erase(words.begin());
  std::string verb;
  auto& project = args.project;
  for (std::size_t i = 0; i < words.size(); ++i) {
    auto& word = words[i];
    if (word == "--" && !verb.empty()) {  // what follows belongs to another program
      args.words.insert(args.words.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      break;
    }
    const auto value = [&](std::string_view longer, std::string_view shorter, auto&& take) {
      if (word == longer || (!shorter.empty() && word == shorter)) {
        if (i + 1 >= words.size()) return false;
        take(words[++i]);
        return true;
      }
      if (!word.starts_with(longer) || word.size() <= longer.size() || word[longer.size()] != '=') return false;
      take(word.substr(longer.size() + 1));
      return true;
    };
    // `logs -f` is what everybody types to follow; before a file that is there it names that file, as for the other verbs.
    if (verb == "logs" && word == "-f" && (i + 1 == words.size() || (words[i + 1] != "-" && ::access(words[i + 1].c_str(), F_OK) != 0))) {
      args.words.emplace_back("--follow");
      continue;
    }
    if (value("--file", "-f", [&](std::string text) { project.files.push_back(std::move(text)); })) continue;
    if (value("--project-name", "-p", [&](std::string text) { project.project_name = std::move(text); })) continue;
    if (value("--profile", "", [&](std::string text) { project.profiles.push_back(std::move(text)); })) continue;
    if (value("--env-file", "", [&](std::string text) { project.env_files.push_back(std::move(text)); })) continue;
    if (value("--host", "-H", [&](std::string text) { args.host = std::move(text); })) continue;
    if (value("--context", "", [&](std::string text) { args.context = std::move(text); })) continue;
    if (value("--project-directory", "", [&](std::string text) { project.project_directory = std::move(text); })) continue;
    // Before the verb a word may be the value of an option: `--timeout 5m up`.
    const bool of_option = i > 0 && words[i - 1].starts_with('-') && !is_verb(word);
    if (verb.empty() && !word.starts_with('-') && !of_option) verb = word;
    else args.words.push_back(word);
  }
  if (args.has("--version") || verb == "version") {
    fmt::print("datamancy 0.1.0\n");
    return kClean;
  }
  const auto rest = std::ranges::find(args.words, "--");
  bool help = std::find(args.words.begin(), rest, "--help") != rest || std::find(args.words.begin(), rest, "-h") != rest;
  if (help) std::erase_if(args.words, [](const std::string& word) { return word == "--help" || word == "-h"; });
  for (const OldName& old : kOldNames) {
    if (verb != old.name) continue;
    fmt::print(stderr, "datamancy: '{}' was a script of the origin; its successor is 'datamancy {}' (see docs/origin.md for what exists yet)\n", old.name, old.successor);
    return kUsage;
  }
  if (verb == "help") {  // `help VERB` is `VERB --help`
    verb = args.words.empty() ? std::string() : args.words[0];
    if (!args.words.empty()) args.words.erase(args.words.begin());
    help = true;
  }
  if (verb.empty()) {
    usage(help ? stdout : stderr);
    return help ? kClean : kUsage;
  }
  for (const Verb& known : kVerbs) {
    if (known.name != verb) continue;
    if (help) {
      if (known.name == "backup") fmt::print("{}\n\n{}", known.summary, backup_help());
      else if (known.name == "secrets") fmt::print("{}", secrets_help(args.words.empty() ? "" : args.words[0]));
      else fmt::print("{}\n\nusage: datamancy {}\n", known.summary, known.usage);
      return kClean;
    }
    // Where a verb has --format json, --json is the same.
    if (known.usage.find("--format") != std::string_view::npos && known.usage.find("json") != std::string_view::npos && args.has("--json")) args.words.emplace_back("--format=json");
    const int exit = known.run(args);
    count_secrets(args, known.name, exit);
    return exit;
  }
  compose::Nearest nearest(verb);
  for (const Verb& known : kVerbs) nearest.offer(known.name);
  fmt::print(stderr, "datamancy: unknown verb '{}'; {}\n", verb, nearest.hint("see 'datamancy --help'"));
  return kUsage;
}

}  // namespace dm::cli
