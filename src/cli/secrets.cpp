#include "base/io.hpp"
#include "cli/secrets.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace dm::cli {
namespace {

constexpr std::array kVerbs{
    SecretsVerb{"init", "make a key where sops looks for it, and say for whom files are sealed",
                "init [--recipient AGE1...]... [--no-git]\n"
                "       writes the key file (mode 0600, never overwritten), .sops.yaml where there is none, and in a git work tree the\n"
                "       attributes and settings for readable differences and merges; needs neither 'age' nor 'sops'", secrets_init},
    SecretsVerb{"set", "set one value, read from a prompt or standard input", "set NAME [--in FILE] [--generate[=LENGTH]]\n"
                "       set --null [--in FILE]   (many: NAME=value on standard input, a zero byte after each, as `env -0` prints them)", secrets_set},
    SecretsVerb{"get", "print one value", "get NAME [--in FILE] [--raw]", secrets_get},
    SecretsVerb{"list", "names, never values; needs no key", "list [--in FILE] [--json]", secrets_list},
    SecretsVerb{"remove", "take one name out", "remove NAME [--in FILE] [--yes]", secrets_remove},
    SecretsVerb{"edit", "change a sealed file in $EDITOR; the plaintext lies on tmpfs only, while it runs", "edit [FILE]", secrets_edit},
    SecretsVerb{"seal", "seal a plain file: dotenv by its name (*.env), anything else as binary unless --type says otherwise",
                "seal FILE [-o SEALED] [--type dotenv|binary|yaml|json|ini]   (FILE - is standard input)", secrets_seal},
    SecretsVerb{"open", "print a sealed file in the clear", "open FILE [-o TARGET]   (TARGET must lie on tmpfs)", secrets_open},
    SecretsVerb{"recipients", "who can open a file", "recipients [list|add RECIPIENT...|remove RECIPIENT...] [--in FILE]", secrets_recipients},
    SecretsVerb{"reseal", "seal all values anew under a new data key", "reseal [FILE]", secrets_reseal},
    SecretsVerb{"exec", "run a program with the variables in its environment, as Compose reads them", "exec [--in FILE] -- PROGRAM [ARGUMENT]...", secrets_exec},
    SecretsVerb{"compose", "run docker compose with the sealed variables, handed on in memory", "compose -- WORDS FOR docker compose", secrets_compose},
    SecretsVerb{"deliver", "write the project's secrets as files in memory, for containers", "deliver [--withdraw] [--override] [--quiet]\n       --override prints the compose file that mounts them (it holds no secret)", secrets_deliver},
    SecretsVerb{"rotate", "change a password on its server, then in its clients; verified, and undone where something fails",
                "rotate NAME [--server SERVICE --account NAME] [--clients-only] [--yes]\n"
                "       for PostgreSQL, MariaDB, Valkey and OpenLDAP; keys under which data lies are refused", secrets_rotate},
    SecretsVerb{"scan", "find secrets that lie in the clear, in files and in git history",
                "scan [PATH] [--history] [--format text|json|sarif] [--show info|low|medium|high|critical] [--fail-on ...]\n"
                "       [--baseline FILE] [--write-baseline FILE] [-o FILE]      exit status: 0 nothing, 1 found, 2 could not", secrets_scan},
    SecretsVerb{"migrate", "turn a plain .env into a sealed one, and say what git history has of it", "migrate [FILE] [-o SEALED] [--yes] [--keep]", secrets_migrate},
    SecretsVerb{"doctor", "key, backups, recipients, plain twins, swap, images that could take files", "doctor [--json]", secrets_doctor},
    SecretsVerb{"escrow", "back the key up on paper or under a passphrase, read it back, prove that it opens everything",
                "escrow print [--yes] | save FILE | check [--from FILE] | drill [--from FILE] [--place WORDS]", secrets_escrow},
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

Result<std::string> chosen_file(Args& args) {
  std::string named;
  if (args.option("--in", named)) return absolute(args, named);
  const auto folder = project_folder(args);
  const auto found = secrets::sealed_env_files(sources::disk(), folder);
  if (found.size() == 1) return found[0];
  if (found.empty()) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("no sealed *.enc.env lies in '{}'; 'datamancy secrets set NAME' makes one, or name it by --in FILE", folder));
  std::string names;
  for (const auto& path : found) names += fmt::format(" {}", sources::file_name(path));
  return fail(Errc::invalid_input, fmt::format("several sealed files lie here; choose by --in FILE:{}", names));
}

bool print_secret(std::string_view bytes) {
  const auto wrote = write_all(STDOUT_FILENO, bytes);
  if (!wrote) fmt::print(stderr, "datamancy: cannot write: {}\n", wrote.error().message);
  return wrote.has_value();
}

int secrets_usage(std::string_view verb, std::string_view what) {
  fmt::print(stderr, "datamancy: secrets {}: {}\n", verb, what);
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
  std::string out;
  for (const auto& verb : kVerbs) {
    if (verb.name == name) return fmt::format("{}\n\nusage: datamancy secrets {}\n", verb.summary, verb.usage);
    out += fmt::format("  {:11} {}\n", verb.name, verb.summary);
  }
  return out;
}

}  // namespace dm::cli
