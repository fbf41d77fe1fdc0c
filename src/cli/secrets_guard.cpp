// secrets migrate, escrow, deliver: moving in, keeping the key, reaching containers.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "base/files.hpp"
#include "base/process.hpp"
#include "cli/secrets.hpp"
#include "secrets/backup_text.hpp"
#include "secrets/migrate.hpp"
#include "secrets/handover.hpp"
#include "secrets/history.hpp"
#include "sources/git.hpp"

namespace dm::cli {
namespace {

int status_of(const Result<int>& result) { return result ? *result : complain(result.error()); }

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// What git knows of a plain file: whether it is tracked, whether it was ever committed, which of the values stand in history.
Result<void> say_what_git_has(const std::string& root, const std::string& path, const secrets::SealedValues& values) {
  const auto name = std::string(sources::relative_to(path, root));
  const auto git = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"git", "-C", root});
    return run_process({std::move(words)}, {}, Deadline::in(std::chrono::minutes(5)));
  };
  if (!find_program("git")) {
    fmt::print("note     'git' is not on PATH: whether '{}' was ever committed is unknown\n", name);
    return {};
  }
  DM_TRY(const auto tracked, git({"ls-files", "--error-unmatch", "--", name}));
  if (tracked.fine()) fmt::print("git      tracks {}: run 'git rm --cached {}' and commit\n", name, name);
  DM_TRY(const auto log, git({"log", "--all", "--format=%h %as", "--", name}));
  const auto commits = lines_of(log.out);
  const auto deadline = Deadline::in(std::chrono::minutes(30));
  DM_TRY(const auto repository, secrets::find_git_repository(root, deadline));
  secrets::LookedFor looked_for;
  for (const auto& [variable, value] : values) looked_for.values.emplace_back(variable, secrets::SecretString(value.reveal()));
  DM_TRY(const auto history, secrets::scan_history(repository, looked_for, "", deadline));
  std::set<std::string> names;
  for (const auto& past : history.leaks)
    if (past.leak.rule == secrets::LeakRule::sealed) names.insert(past.leak.name);
  if (!commits.empty())  // what is too short to be searched for stood there all the same
    for (const auto& [variable, value] : values)
      if (secrets::secret_variable(variable)) names.insert(variable);
  if (commits.empty() && names.empty()) {
    fmt::print("history  neither the file nor one of its values was ever committed\n");
    return {};
  }
  if (!commits.empty()) fmt::print("history  {} {} {} ({} to {})\n", counted(commits.size(), "commit"), commits.size() == 1 ? "has" : "have", name, commits.back(), commits.front());
  if (!names.empty()) {
    fmt::print("rotate   these stand in git history, readable in every clone, and must be changed:");
    for (const auto& one : names) fmt::print(" {}", one);
    fmt::print("\n");
  }
  return {};
}

Result<int> migrate(Args& args) {
  const bool yes = args.has("--yes"), keep = args.has("--keep");
  std::string output;
  if (!args.option("-o", output)) args.option("--output", output);
  if (args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with('-'))) return secrets_usage("migrate", fmt::format("'{}' is not known", args.words.back()));
  const auto path = args.words.empty() ? project_folder(args) + "/.env" : absolute(args, args.words[0]);
  const auto folder = sources::parent_path(path);
  const std::string base(sources::file_name(path));
  const auto target = !output.empty() ? absolute(args, output) : folder + "/" + (base == ".env" || !base.ends_with(".env") ? "secrets.enc.env" : base.substr(0, base.size() - 4) + ".enc.env");
  auto text = sources::disk().read(path, secrets::kMaxSealed);
  if (!text) return secrets::fail_as(secrets::kNoSecrets, text.error().code, fmt::format("there is no plain '{}' to migrate", path));
  if (sources::disk().stat(target).kind != sources::Kind::missing) return fail(Errc::conflict, fmt::format("'{}' exists; set the values there ('datamancy secrets set'), or choose another by -o. Where it was made of '{}' already, delete that one", target, path));
  const auto plain = secrets::SecretString::take(std::move(*text));
  DM_TRY(const auto normal, during(fmt::format("reading '{}'", path), secrets::normal_dotenv(plain.reveal())));
  DM_TRY(auto keys, secrets::Keyring::load(key_sources(args)));
  DM_TRY(const auto plan, secrets::plan_sealing(target, keys));
  DM_TRY(const auto sealed, secrets::seal_text(normal.reveal(), secrets::Store::dotenv, plan));
  // The plain file goes only after the sealed one was opened again by a key of ours.
  auto proof = secrets::open_sealed_text(sealed, keys);
  if (!proof) return during("opening what was just sealed (is one of the recipients a key of yours?)", Result<int>(fail(proof.error())));
  DM_CHECK(write_atomic(target, sealed));
  fmt::print("sealed   {} as {}: {} for {} (from {})\n", path, target, counted(values_in(*proof), "value"), counted(plan.recipients.size(), "recipient"), plan.from);

  const auto root = sources::git_root(sources::disk(), path);
  if (!root.empty()) {
    if (!sources::git_ignores(sources::disk(), root, path)) {
      const auto ignore = folder + "/.gitignore";
      auto before = sources::disk().read(ignore, 1U << 20U);
      auto after = before ? *before : std::string{};
      if (!after.empty() && !after.ends_with('\n')) after += '\n';
      DM_CHECK(write_atomic(ignore, after + "/" + base + "\n"));
      fmt::print("wrote    {} so that git takes {} never again\n", ignore, base);
    }
    secrets::SealedValues values;
    for (std::size_t i = 0; i < proof->values.size(); ++i)
      if (proof->values[i].sealed && proof->values[i].type != secrets::LeafType::comment) values.emplace_back(proof->document.leaves[i].path.at(0), secrets::SecretString(proof->values[i].plain.reveal()));
    DM_CHECK(say_what_git_has(root, path, values));
  }
  if (keep || (!yes && !agreed(fmt::format("Delete the plain {}?", path)))) {
    fmt::print("kept     {}: it is read beside the sealed one until you delete it\n", path);
    return kClean;
  }
  if (::unlink(path.c_str()) != 0) return fail(errno_error(fmt::format("delete '{}'", path), errno));
  fmt::print("deleted  {} (a disk may keep its blocks for a while, and old backups have it: change what matters)\n", path);
  return kClean;
}

// --- escrow

std::string record_path(const Args& args) {
  const auto variable = [&](std::string_view name) {
    const auto found = args.project.environment.find(name);
    return found == args.project.environment.end() ? std::string{} : found->second;
  };
  const auto state = variable("XDG_STATE_HOME");
  const auto home = variable("HOME");
  return !state.empty() ? state + "/datamancy/key-backups" : home.empty() ? "" : home + "/.local/state/datamancy/key-backups";
}

Result<void> record(const Args& args, std::string_view recipient, std::string_view place) {
  const auto path = record_path(args);
  if (path.empty()) return {};
  DM_CHECK(make_folders(sources::parent_path(path), 0700));
  auto text = sources::disk().read(path, 1U << 20U).value_or(std::string{});
  return write_atomic(path, text + fmt::format("{} {} {}\n", secrets::now_utc(), recipient, place), 0600);
}

Result<secrets::X25519Identity> own_identity(const Args& args) {
  const auto path = secrets::key_file_path(key_sources(args));
  auto text = sources::disk().read(path, 1U << 20U);
  if (!text) return secrets::fail_as(secrets::kNoKey, text.error().code, fmt::format("there is no key file '{}'", path));
  const auto secret = secrets::SecretString::take(std::move(*text));
  auto rest = secret.reveal();
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    if (auto identity = secrets::parse_identity(rest.substr(0, end))) return identity;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return secrets::fail_as(secrets::kNoKey, Errc::invalid_input, fmt::format("'{}' has no X25519 key in the clear; of a protected file keep a copy of the file itself", path));
}

/// The backup as it was typed or read: a file, or standard input.
Result<secrets::X25519Identity> backup_key(const Args& args, const std::string& from) {
  secrets::SecretString text;
  if (from.empty() || from == "-") {
    if (::isatty(STDIN_FILENO) != 0) fmt::print(stderr, "Type the lines of the backup, then Ctrl-D:\n");
    DM_TRY(text, read_secret_input());
  } else {
    DM_TRY(auto bytes, sources::disk().read(absolute(args, from), 1U << 20U));
    text = secrets::SecretString::take(std::move(bytes));
  }
  if (!secrets::looks_like_age(text.reveal())) return secrets::key_from_paper(text.reveal());
  DM_TRY(auto typed, ask_hidden("Passphrase of the backup: "));
  const secrets::Passphrase passphrase{std::move(typed)};
  const secrets::AgeIdentity with[] = {&passphrase};
  DM_TRY(const auto opened, secrets::age_open(text.reveal(), with));
  return secrets::key_from_paper(opened.reveal());
}

Result<int> escrow(Args& args) {
  const std::string what = args.words.empty() ? "" : args.words[0];
  if (!args.words.empty()) args.words.erase(args.words.begin());
  const bool yes = args.has("--yes");
  std::string from, place = "unnamed place";
  args.option("--from", from);
  args.option("--place", place);
  std::ranges::replace(place, '\n', ' ');
  if (what == "print") {
    DM_TRY(const auto identity, own_identity(args));
    if (::isatty(STDOUT_FILENO) == 0 && !yes) return fail(Errc::denied, "the key would go into a file or a pipe; --yes agrees (a printer: '| lpr')");
    const auto text = secrets::key_on_paper(identity, secrets::now_utc().substr(0, 10));
    return print_secret(text.reveal()) ? kClean : kFailed;
  }
  if (what == "save") {
    if (args.words.size() != 1) return secrets_usage("escrow", "a file is missing: escrow save FILE");
    const auto path = absolute(args, args.words[0]);
    if (sources::disk().stat(path).kind != sources::Kind::missing) return fail(Errc::conflict, fmt::format("'{}' exists and is not overwritten", path));
    DM_TRY(const auto identity, own_identity(args));
    DM_TRY(auto typed, ask_hidden("Passphrase of the backup: "));
    DM_TRY(const auto again, ask_hidden("Again: "));
    if (!(typed == again) || typed.size() < 10) return fail(Errc::invalid_input, typed == again ? "a passphrase of at least ten characters, please" : "the two entries differ");
    const auto text = secrets::identity_text(identity);
    DM_CHECK(write_atomic(path, secrets::armor(secrets::age_seal(text.reveal(), secrets::Passphrase{std::move(typed)})), 0600));
    fmt::print("wrote {} (an age file under your passphrase); prove it: datamancy secrets escrow drill --from {}\n", path, path);
    return kClean;
  }
  if (what == "check") {
    DM_TRY(const auto identity, own_identity(args));
    DM_TRY(const auto backup, backup_key(args, from));
    if (backup.point != identity.point) return secrets::fail_as(secrets::kNoKey, Errc::denied, fmt::format("the backup is well-formed but of another key: {}", backup.recipient()));
    fmt::print("the backup is right: {}\n", backup.recipient());
    return kClean;
  }
  if (what == "drill") {
    DM_TRY(const auto backup, backup_key(args, from));
    // From the backup alone: no key file, no variable, no ssh key of this machine takes part.
    secrets::KeySources alone;
    alone.default_file = false;
    const auto text = secrets::identity_text(backup);
    alone.environment["SOPS_AGE_KEY"] = std::string(text.reveal());
    DM_TRY(auto keys, secrets::Keyring::load(std::move(alone)));
    const auto files = secrets::sealed_files_below(project_folder(args));
    if (files.empty()) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("nothing sealed lies below '{}'", project_folder(args)));
    std::size_t failed = 0, values = 0;
    for (const auto& path : files) {
      const auto opened = secrets::open_sealed(path, keys);
      if (opened) values += values_in(opened->opened);
      else ++failed;
      fmt::print("{}  {}{}\n", opened ? "opened" : "FAILED", path, opened ? "" : ": " + opened.error().message.substr(0, opened.error().message.find('\n')));
    }
    if (failed > 0) return secrets::fail_as(secrets::kNoKey, Errc::denied, fmt::format("{} of {} sealed files do not open from this backup", failed, files.size()));
    DM_CHECK(record(args, backup.recipient(), place));
    fmt::print("\n{} with {}: all open from the backup alone; noted as \"{}\"\n", counted(files.size(), "file"), counted(values, "value"), place);
    return kClean;
  }
  return secrets_usage("escrow", what.empty() ? "print, save, check or drill?" : fmt::format("'{}' is not known", what));
}

// --- deliver

Result<int> deliver(Args& args) {
  const bool withdraw = args.has("--withdraw"), show = args.has("--override"), quiet = args.has("--quiet");
  if (!args.words.empty()) return secrets_usage("deliver", fmt::format("'{}' is not known", args.words[0]));
  const auto folder = project_folder(args);
  DM_TRY(const auto handover, secrets::Handover::open(folder, args.project, key_sources(args)));
  // What runs after a reboot may be of any profile: where none is chosen, the files of all are written.
  auto everything = args.project;
  if (everything.profiles.empty() && !show) everything.profiles = {"*"};
  auto loaded = handover->load(everything, product::Catalogue());
  if ((!loaded || !loaded->ok) && everything.profiles != args.project.profiles) {
    // A sealed env_file that only a service of another profile reads may be for other hosts' keys.
    const auto why = loaded ? std::string("the project does not load with every profile") : loaded.error().describe();
    loaded = handover->load(args.project, product::Catalogue());
    if (loaded && loaded->ok && !quiet) fmt::print(stderr, "only services of the chosen profiles: {}\n", why.substr(0, why.find('\n')));
  }
  if (!loaded) return fail(loaded.error());
  if (!loaded->ok) return fail(Errc::invalid_input, "the project cannot be loaded; 'datamancy config' says why");
  const auto& plan = handover->delivery();
  if (withdraw) {
    for (const auto& file : plan.files) ::unlink(file.path.c_str());
    ::rmdir(plan.folder.c_str());
    fmt::print("withdrew {} from {}\n", counted(plan.files.size(), "file"), plan.folder);
    return kClean;
  }
  if (show) return print_secret(plan.override_yaml) ? kClean : kFailed;  // holds no secret
  DM_TRY(const auto changed, handover->write());
  if (quiet) return kClean;
  fmt::print("{} as file{} in {}, {} changed\n", counted(plan.files.size(), "secret"), plan.files.size() == 1 ? "" : "s", plan.folder, changed);
  for (const auto& file : plan.files) fmt::print("  file         {:16} {}\n", file.service.empty() ? "(declared)" : file.service, file.file_variable.empty() ? file.source : file.file_variable);
  for (const auto& one : plan.environment) fmt::print("  environment  {:16} {}: {}; the engine keeps it in its own files\n", one.service, one.variable, one.why);
  return kClean;
}

}  // namespace

int secrets_migrate(Args& args) { return status_of(migrate(args)); }
int secrets_escrow(Args& args) { return status_of(escrow(args)); }
int secrets_deliver(Args& args) { return status_of(deliver(args)); }
std::string key_backups_path(const Args& args) { return record_path(args); }

}  // namespace dm::cli
