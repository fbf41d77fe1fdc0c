// secrets seal, open, edit, exec: whole files.
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/files.hpp"
#include "base/process.hpp"
#include "cli/secrets.hpp"
#include "secrets/delivery.hpp"

namespace dm::cli {
namespace {

int status_of(const Result<int>& result) { return result ? *result : complain(result.error()); }

bool in_memory(const std::string& folder) {
  struct statfs system {};
  return ::statfs(folder.c_str(), &system) == 0 && (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

/// "x.env" -> "x.enc.env", ".env" -> "secrets.enc.env" beside it, "x.yaml" as YAML -> "x.enc.yaml", others get ".enc".
std::string sealed_name(const std::string& path, std::string_view type) {
  const auto folder = sources::parent_path(path);
  const std::string name(sources::file_name(path));
  const auto at = [&](std::string_view other) { return (folder == "/" ? "" : folder) + "/" + std::string(other); };
  if (name == ".env") return at("secrets.enc.env");
  if (name.ends_with(".env")) return at(name.substr(0, name.size() - 4) + ".enc.env");
  const auto dot = path.rfind('.');
  if ((type == "yaml" || type == "json" || type == "ini") && dot != std::string::npos && dot > path.rfind('/')) return path.substr(0, dot) + ".enc" + path.substr(dot);
  return path + ".enc";
}

Result<int> seal(Args& args) {
  std::string output, type;
  if (!args.option("-o", output)) args.option("--output", output);
  args.option("--type", type);
  if (args.words.size() != 1) return secrets_usage("seal", args.words.empty() ? "a file is missing" : fmt::format("'{}' is not known", args.words[1]));
  const bool from_stdin = args.words[0] == "-";
  const auto path = from_stdin ? "" : absolute(args, args.words[0]);
  if (from_stdin && output.empty()) return secrets_usage("seal", "standard input needs -o");
  output = output.empty() ? sealed_name(path, type) : absolute(args, output);
  auto store = output.ends_with(".env") || output.ends_with(".env.enc") ? secrets::Store::dotenv : secrets::Store::binary;
  if (!type.empty()) {
    constexpr std::array kStores{secrets::Store::dotenv, secrets::Store::binary, secrets::Store::yaml, secrets::Store::json, secrets::Store::ini};
    const auto* found = std::ranges::find_if(kStores, [&](secrets::Store one) { return to_string(one) == type; });
    if (found == kStores.end()) return secrets_usage("seal", fmt::format("'{}' is no type: dotenv, binary, yaml, json or ini", type));
    store = *found;
  }
  secrets::SecretString plain;
  if (from_stdin) {
    DM_TRY(plain, read_secret_input());
  } else {
    DM_TRY(auto text, sources::disk().read(path, secrets::kMaxSealed));
    plain = secrets::SecretString::take(std::move(text));
  }
  if (output == path) return fail(Errc::invalid_input, "the sealed file must have another name than the plain one");
  if (sources::disk().stat(output).kind != sources::Kind::missing) return fail(Errc::conflict, fmt::format("'{}' exists and is not overwritten", output));
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto plan, secrets::plan_sealing(output, keys));
  DM_TRY(const auto text, during(fmt::format("sealing '{}'", from_stdin ? "standard input" : path), secrets::seal_text(plain.reveal(), store, plan)));
  DM_CHECK(write_atomic(output, text));
  fmt::print("sealed {} as {} for {} (from {})\n", from_stdin ? "standard input" : path, output, counted(plan.recipients.size(), "recipient"), plan.from);
  if (!from_stdin) fmt::print("the plain file is still there: {}\n", path);
  return kClean;
}

Result<int> open(Args& args) {
  std::string output;
  if (!args.option("-o", output)) args.option("--output", output);
  if (args.words.size() != 1) return secrets_usage("open", args.words.empty() ? "a file is missing" : fmt::format("'{}' is not known", args.words[1]));
  const auto path = absolute(args, args.words[0]);
  if (!output.empty()) {
    output = absolute(args, output);
    if (output == path) return fail(Errc::invalid_input, "the sealed file is never overwritten by its plain text");
    if (!in_memory(sources::parent_path(output)))
      return fail(Errc::denied, fmt::format("'{}' lies on a disk, where plain text stays readable after deletion; choose a folder on tmpfs (/dev/shm, /run), or let 'datamancy up' and 'secrets exec' hand the values on", output));
  }
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  DM_TRY(const auto text, secrets::plain_text(file.opened));
  // Only now is anything written: a failed decryption leaves the target as it was.
  if (output.empty()) return print_secret(text.reveal()) ? kClean : kFailed;
  DM_CHECK(write_atomic(output, text.reveal(), 0600));
  fmt::print("opened {} as {} (mode 0600, in memory)\n", path, output);
  return kClean;
}

/// A private folder on tmpfs that is gone with the object, with all that an editor left in it.
class MemoryFolder {
 public:
  static Result<MemoryFolder> make(const Args& args) {
    std::vector<std::string> places;
    if (const auto found = args.project.environment.find("XDG_RUNTIME_DIR"); found != args.project.environment.end()) places.push_back(found->second);
    places.insert(places.end(), {"/dev/shm", "/run"});
    for (const auto& place : places) {
      if (!in_memory(place)) continue;
      std::string path = place + "/datamancy-edit-XXXXXX";
      if (::mkdtemp(path.data()) != nullptr) return MemoryFolder(path);
    }
    return fail(Errc::unavailable, "no folder on tmpfs can be written (XDG_RUNTIME_DIR, /dev/shm, /run), and the plain text must not lie on a disk");
  }
  explicit MemoryFolder(std::string path) : path_(std::move(path)) {}
  MemoryFolder(MemoryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  MemoryFolder& operator=(MemoryFolder&&) = delete;
  ~MemoryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Runs the editor on our terminal and waits. Errors: exit 10, `failed`.
Result<void> run_editor(const Args& args, const std::string& file) {
  std::string editor = "vi";
  for (const auto* name : {"EDITOR", "VISUAL", "SOPS_EDITOR"})  // the last that is set wins
    if (const auto found = args.project.environment.find(name); found != args.project.environment.end() && !found->second.empty()) editor = found->second;
  std::vector<std::string> words;
  for (std::size_t at = 0; at < editor.size();) {
    const auto begin = editor.find_first_not_of(' ', at);
    if (begin == std::string::npos) break;
    at = std::min(editor.find(' ', begin), editor.size());
    words.push_back(editor.substr(begin, at - begin));
  }
  if (words.empty() || !find_program(words[0])) return secrets::fail_as(secrets::kProgramMissing, Errc::not_found, fmt::format("the editor '{}' is not on PATH; set EDITOR", editor));
  // `vi` is vim on most machines, by way of two links.
  const auto program = sources::file_name(sources::disk().canonical(*find_program(words[0])));
  if (program.starts_with("vim") || program == "nvim") words.insert(words.end(), {"-n", "-i", "NONE"});  // no swap file, no registers kept in the home
  words.push_back(file);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // Ctrl-C belongs to the editor; a hang-up or a termination ends the editor, and we clean up after it.
  sigset_t all, before;
  sigemptyset(&all);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) sigaddset(&all, number);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  while (child > 0) {
    const auto ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) break;
    const timespec tick{0, 50'000'000};
    const int got = ::sigtimedwait(&all, nullptr, &tick);
    if (got == SIGTERM || got == SIGHUP) ::kill(child, SIGHUP);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) return fail(errno_error("fork", errno));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(Errc::failed, fmt::format("'{}' did not end well; nothing was changed", words[0]));
  return {};
}

Result<int> edit(Args& args) {
  std::string path;
  if (args.words.size() == 1 && !args.words[0].starts_with('-')) path = absolute(args, args.words[0]);
  else {
    DM_TRY(path, chosen_file(args));
    if (!args.words.empty()) return secrets_usage("edit", fmt::format("'{}' is not known", args.words[0]));
  }
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto file, secrets::open_sealed(path, keys));
  const auto store = file.opened.document.store;
  if (store == secrets::Store::ini && std::ranges::any_of(file.opened.values, [](const secrets::OpenLeaf& value) { return value.type != secrets::LeafType::comment && value.plain.reveal().find('\n') != std::string_view::npos; }))
    return fail(Errc::unsupported, "it has a value of several lines; 'datamancy secrets set SECTION.KEY --in FILE' changes the others, 'sops edit' does the rest");
  DM_TRY(const auto before, secrets::plain_text(file.opened));
  DM_TRY(const MemoryFolder folder, MemoryFolder::make(args));
  std::string name(sources::file_name(path));
  if (const auto at = name.find(".enc"); at != std::string::npos) name.erase(at, 4);
  const auto plain_path = folder.path() + "/" + (name.empty() ? "secret" : name);
  DM_CHECK(write_atomic(plain_path, before.reveal(), 0600));
  for (;;) {
    DM_CHECK(run_editor(args, plain_path));
    DM_TRY(auto text, sources::disk().read(plain_path, secrets::kMaxSealed));
    const auto after = secrets::SecretString::take(std::move(text));
    if (after == before) {
      fmt::print("unchanged: {}\n", path);
      return kClean;
    }
    std::string troubles;
    if (store == secrets::Store::dotenv)
      for (const auto& trouble : secrets::dotenv_troubles(after.reveal())) troubles += fmt::format("\n  line {}: {}", trouble.line, trouble.what);
    if (!troubles.empty()) {
      fmt::print(stderr, "datamancy: SOPS and Compose would read this text differently:{}\n", troubles);
      if (agreed("Edit again? (otherwise the changes are lost)")) continue;
      return fail(Errc::invalid_input, "nothing was changed");
    }
    auto parsed = secrets::parse_plain(after.reveal(), store);
    if (!parsed) {
      fmt::print(stderr, "datamancy: {}\n", parsed.error().describe());
      if (agreed("Edit again? (otherwise the changes are lost)")) continue;
      return fail(Errc::invalid_input, "nothing was changed");
    }
    auto plain = std::move(*parsed);
    plain.sops = file.opened.document.sops;
    DM_TRY(const bool changed, secrets::save_sealed(file, std::move(plain)));
    fmt::print("{} {}\n", changed ? "sealed" : "unchanged:", path);
    return kClean;
  }
}

Result<int> exec(Args& args) {
  const auto cut = std::ranges::find(args.words, "--");
  std::vector<std::string> command;
  if (cut != args.words.end()) {
    command.assign(cut + 1, args.words.end());
    args.words.erase(cut, args.words.end());
  }
  std::string named;
  secrets::ProjectSecrets opened;
  if (args.option("--in", named)) {
    DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
    DM_TRY(const auto file, secrets::open_sealed(absolute(args, named), keys));
    DM_TRY(opened, secrets::only(file));
  }
  if (command.empty()) return secrets_usage("exec", "a program is missing; it follows '--'");
  if (!args.words.empty()) return secrets_usage("exec", fmt::format("'{}' is not known; the program follows '--'", args.words[0]));
  if (named.empty()) {
    DM_TRY(opened, secrets::environment_for(project_folder(args), args.project, key_sources(args)));
    if (!opened.any()) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("no sealed env file (secrets.enc.env) lies in '{}'; '{}' is not started without its secrets; --in FILE takes those of another file", project_folder(args), command[0]));
  }
  DM_TRY(const auto variables, secrets::variables_of(opened, args.project.environment));
  if (!find_program(command[0])) return secrets::fail_as(secrets::kProgramMissing, Errc::not_found, fmt::format("'{}' is not on PATH", command[0]));
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), std::string(value.reveal()).c_str(), 1);
  std::vector<char*> argv;
  for (auto& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::fflush(nullptr);
  ::execvp(argv[0], argv.data());
  return fail(errno_error(fmt::format("start '{}'", command[0]), errno));
}

}  // namespace

int secrets_seal(Args& args) { return status_of(seal(args)); }
int secrets_open(Args& args) { return status_of(open(args)); }
int secrets_edit(Args& args) { return status_of(edit(args)); }
int secrets_exec(Args& args) { return status_of(exec(args)); }

}  // namespace dm::cli
