#include "cli/secrets.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <iterator>

#include "base/io.hpp"
#include "secrets/delivery.hpp"

namespace dm::cli {
namespace {

constexpr std::array kVerbs{
    SecretsVerb{"init", "make a key where sops looks for it, and say for whom files are sealed",
                "init [--recipient AGE1...]... [--no-git]\n"
                "       writes the key file (mode 0600, never overwritten), .sops.yaml where there is none, and in a git work tree the\n"
                "       attributes and settings for readable differences and merges; needs neither 'age' nor 'sops'", secrets_init},
    SecretsVerb{"set", "set one value, read from a prompt or standard input", "set NAME [--in FILE] [--generate[=LENGTH]]\n"
                "       without --in: the sealed file that has NAME, else the project's only one; where there is none yet, secrets.enc.env is made\n"
                "       set --null [--in FILE]   (many: NAME=value on standard input, a zero byte after each, as `env -0` prints them)", secrets_set},
    SecretsVerb{"get", "print one value", "get NAME [--in FILE] [--raw]\n       as Compose reads it, references and quotes resolved; --raw as it stands. In YAML, JSON and INI: get a.b --in FILE", secrets_get},
    SecretsVerb{"list", "names, never values; needs no key", "list [--in FILE] [--json]\n       of the project's sealed env files and of those that services name under env_file", secrets_list},
    SecretsVerb{"remove", "take one name out", "remove NAME [--in FILE] [--yes]", secrets_remove},
    SecretsVerb{"edit", "change a sealed file in $EDITOR; the plaintext lies on tmpfs only, while it runs", "edit [FILE]\n       without FILE: the project's only sealed env file; the editor is SOPS_EDITOR, VISUAL or EDITOR, else vi", secrets_edit},
    SecretsVerb{"seal", "seal a plain file: dotenv by its name (*.env), anything else as binary unless --type says otherwise",
                "seal FILE [-o SEALED] [--type dotenv|binary|yaml|json|ini]   (FILE - is standard input)\n"
                "       without -o: x.env becomes x.enc.env, .env secrets.enc.env, anything else FILE.enc; the plain file stays", secrets_seal},
    SecretsVerb{"open", "print a sealed file in the clear", "open FILE [-o TARGET]   (TARGET must lie on tmpfs)", secrets_open},
    SecretsVerb{"recipients", "who can open a file", "recipients [list|add RECIPIENT...|remove RECIPIENT...] [--in FILE]   (of one file; for new files change .sops.yaml)", secrets_recipients},
    SecretsVerb{"reseal", "seal all values anew under a new data key", "reseal [FILE]", secrets_reseal},
    SecretsVerb{"exec", "run a program with the variables in its environment, as Compose reads them", "exec [--in FILE] -- PROGRAM [ARGUMENT]...", secrets_exec},
    SecretsVerb{"compose", "run docker compose with the sealed variables, handed on in memory", "compose -- WORDS FOR docker compose", secrets_compose},
    SecretsVerb{"deliver", "write the project's secrets as files in memory, for containers", "deliver [--withdraw] [--override] [--quiet]\n       --override prints the compose file that mounts them (it holds no secret)", secrets_deliver},
    SecretsVerb{"rotate", "change a password on its server, then in its clients; verified, and undone where something fails",
                "rotate NAME [--in FILE] [--server SERVICE --account NAME] [--clients-only] [--yes]\n"
                "       for PostgreSQL, MariaDB, Valkey and OpenLDAP; keys under which data lies are refused. NAME may stand in a sealed file of the\n"
                "       project or in one that a service names under env_file; other sealed values that are or contain the same password change with it.\n"
                "       Killed in between: the same command again asks the server and goes on", secrets_rotate},
    SecretsVerb{"scan", "find secrets that lie in the clear, in files and in git history",
                "scan [PATH] [--history] [--format text|json|sarif] [--show info|low|medium|high|critical] [--fail-on ...]\n"
                "       [--baseline FILE] [--write-baseline FILE] [-o FILE]      exit status: 0 nothing, 1 found, 2 could not", secrets_scan},
    SecretsVerb{"migrate", "turn a plain .env into a sealed one, and say what git history has of it", "migrate [FILE] [-o SEALED] [--yes] [--keep]", secrets_migrate},
    SecretsVerb{"doctor", "key, backups, recipients, plain twins, swap, images that could take files", "doctor [--json]", secrets_doctor},
    SecretsVerb{"escrow", "back the key up on paper or under a passphrase, read it back, prove that it opens everything",
                "escrow print [--yes] | save FILE | check [--from FILE] | drill [--from FILE] [--place WORDS]\n"
                "       print: five lines for paper; save: an age file under a passphrase; check: is it this key; drill: every sealed file opens from it\n"
                "       alone, noted under --place. Without --from the backup is typed", secrets_escrow},
    SecretsVerb{"textconv", "for git diff: names and keyed marks of values, never values", "textconv FILE", secrets_textconv},
    SecretsVerb{"merge", "for git merge: a three-way merge of sealed files by name", "merge BASE OURS THEIRS [PATH]", secrets_merge},
};

class Silent {  ///< the terminal's echo, off while it lives
 public:
  explicit Silent(int terminal) : terminal_(terminal) {
    if (::tcgetattr(terminal_, &before_) != 0) return;
    auto quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    off_ = ::tcsetattr(terminal_, TCSAFLUSH, &quiet) == 0;
  }
  ~Silent() {
    if (off_) ::tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  Silent(const Silent&) = delete;
  Silent& operator=(const Silent&) = delete;
  bool off() const { return off_; }

 private:
  int terminal_;
  termios before_{};
  bool off_ = false;
};

}  // namespace

Result<secrets::SecretString> ask_hidden(std::string_view prompt) {
  const Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal) return fail(Errc::unavailable, "there is no terminal to ask on");
  const Silent silent(terminal.get());
  if (!silent.off()) return fail(Errc::unavailable, "the terminal's echo cannot be switched off");
  DM_CHECK(write_all(terminal.get(), prompt));
  secrets::SecretString line;
  for (char c = 0;;) {
    const auto got = ::read(terminal.get(), &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || c == '\n') break;
    line.append(c);
  }
  DM_CHECK(write_all(terminal.get(), "\n"));
  return line;
}

Result<secrets::SecretString> read_secret_input() {
  secrets::SecretString out;
  std::array<char, 65536> piece{};
  for (;;) {
    const auto got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error("read standard input", errno));
    if (got == 0) break;
    out.append(std::string_view(piece.data(), static_cast<std::size_t>(got)));
    if (out.size() > secrets::kMaxSealed) return fail(Errc::invalid_input, "standard input has more than 16 MiB");
  }
  secrets::wipe(piece.data(), piece.size());
  return out;
}

bool agreed(std::string_view question) {
  const Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal || !write_all(terminal.get(), fmt::format("{} [y/N] ", question))) return false;
  std::array<char, 64> answer{};
  const auto got = ::read(terminal.get(), answer.data(), answer.size());
  return got > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

secrets::KeySources key_sources(const Args& args) { return {args.project.environment, ask_hidden, true}; }

std::string absolute(const Args& args, std::string_view path) { return sources::clean_path(path, args.project.working_directory); }

std::string project_folder(const Args& args) {
  return compose::project_folder(args.project, sources::disk());
}

std::vector<EnvFile> sealed_env_files(const Args& args) {
  std::vector<EnvFile> out;
  const auto folder = project_folder(args);
  const auto add = [&](std::string path, bool of_project) {
    if (std::ranges::find(out, path, &EnvFile::path) == out.end()) out.push_back({std::move(path), {}, of_project});
  };
  const auto sealed = [](const std::string& path) {
    const auto store = secrets::sealed_store(sources::disk().read(path, secrets::kMaxSealed).value_or(""));
    return store && secrets::holds_variables(*store);
  };
  for (auto& path : secrets::sealed_env_files(sources::disk(), folder)) add(std::move(path), true);
  for (auto& path : compose::env_files(args.project, folder, sources::disk()))
    if (sealed(path)) add(std::move(path), true);
  auto options = args.project;
  options.lenient = true;
  if (options.profiles.empty()) options.profiles = {"*"};
  const auto loaded = compose::load(options, sources::disk());
  for (auto& file : secrets::sealed_service_files(*loaded.project)) {
    const auto known = std::ranges::find(out, file.path, &EnvFile::path);
    if (known != out.end()) known->services = std::move(file.services);
    else out.push_back({std::move(file.path), std::move(file.services)});
  }
  for (const auto& name : sources::disk().list(folder))
    if (name.ends_with(".env") && sealed(folder + "/" + name)) add(folder + "/" + name, false);
  return out;
}

std::string shown(const EnvFile& file, const std::string& folder) {
  const auto by = !file.services.empty() ? fmt::format(" (env_file of {})", fmt::join(file.services, ", ")) : file.read() ? std::string() : fmt::format(" ({})", kNotRead);
  return fmt::format("{}{}", sources::relative_to(file.path, folder), by);
}

Result<std::string> chosen_file(Args& args, std::string_view name) {
  std::string named;
  if (args.option("--in", named)) return absolute(args, named);
  const auto folder = project_folder(args);
  const auto all = sealed_env_files(args);
  std::vector<EnvFile> found;
  if (!name.empty())
    std::ranges::copy_if(all, std::back_inserter(found), [&](const EnvFile& file) {
      const auto document = secrets::parse_sealed(sources::disk().read(file.path, secrets::kMaxSealed).value_or(""));
      return document && std::ranges::any_of(document->leaves, [&](const secrets::Leaf& leaf) { return leaf.type != secrets::LeafType::comment && leaf.path.back() == name; });
    });
  const bool several_have_it = found.size() > 1;
  if (found.empty()) std::ranges::copy_if(all, std::back_inserter(found), &EnvFile::of_project);
  if (found.empty() && name.empty()) found = all;
  if (found.size() == 1) return found[0].path;
  std::string names;
  for (const auto& file : found.empty() ? all : found) names += fmt::format("\n  {}", shown(file, folder));
  if (found.empty())
    return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, names.empty() ? fmt::format("no sealed env file (secrets.enc.env) lies in '{}'; 'datamancy secrets set NAME' makes one, or name it by --in FILE", folder)
                                                                                 : fmt::format("no sealed file of the project has '{}'; choose by --in FILE:{}", name, names));
  const auto why = several_have_it ? fmt::format("several sealed files have '{}'", name) : name.empty() ? "the project has several sealed files" : fmt::format("none of the project's sealed files has '{}'", name);
  return fail(Errc::invalid_input, fmt::format("{}; choose by --in FILE:{}", why, names));
}

std::size_t values_in(const secrets::Opened& opened) {
  return static_cast<std::size_t>(std::ranges::count_if(opened.values, [](const secrets::OpenLeaf& value) { return value.type != secrets::LeafType::comment; }));
}

bool print_secret(std::string_view bytes) {
  const auto wrote = write_all(STDOUT_FILENO, bytes);
  if (!wrote) fmt::print(stderr, "datamancy: cannot write: {}\n", wrote.error().message);
  return wrote.has_value();
}

int secrets_usage(std::string_view verb, std::string_view what) {
  fmt::print(stderr, "datamancy: secrets{}{}: {}\n", verb.empty() ? "" : " ", verb, what);
  for (const auto& known : kVerbs)
    if (known.name == verb) fmt::print(stderr, "usage: datamancy secrets {}\n", known.usage);
  return kUsage;
}

int secrets(Args& args) {
  secrets::forbid_dumps();
  if (args.words.empty() || args.words[0].starts_with('-')) return secrets_usage("", "a subcommand is missing; see 'datamancy secrets --help'");
  const auto name = args.words[0];
  args.words.erase(args.words.begin());
  for (const auto& verb : kVerbs)
    if (verb.name == name) return verb.run(args);
  return secrets_usage(name, "there is no such subcommand; see 'datamancy secrets --help'");
}

std::string secrets_help(std::string_view name) {
  std::string out = "seal, open, change, deliver and find secrets\n\nusage: datamancy secrets SUBCOMMAND ...\n\n";
  for (const auto& verb : kVerbs) {
    if (verb.name == name) return fmt::format("{}\n\nusage: datamancy secrets {}\n", verb.summary, verb.usage);
    out += fmt::format("  {:11} {}\n", verb.name, verb.summary);
  }
  out += "\nfirst steps: init, then migrate (from a plain .env) or set NAME, then 'datamancy up'; doctor says what is missing\n"
         "exit status: 0 done, 1 found something (scan, doctor), 2 could not, 10 a program is missing, 11 no key that fits, 12 cannot be decrypted,\n"
         "             13 no secrets where some are needed, 64 wrong use\n'datamancy secrets SUBCOMMAND --help' says more; docs/secrets.md\n";
  return out;
}

}  // namespace dm::cli
