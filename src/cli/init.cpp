#include <fmt/format.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "base/files.hpp"
#include "cli/secrets.hpp"
#include "scaffold/budget.hpp"
#include "scaffold/init.hpp"
#include "secrets/sops_config.hpp"

namespace dm::cli {

Result<int> init_service(Args& args, const std::string& name);  // init_service.cpp

namespace {

bool interactive() { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1; }

/// A question with an answer to take by Enter, asked again while `trouble` has something to say about the answer. Only where somebody is there to ask.
template <typename Trouble>
std::string asked(std::string_view question, const std::string& proposal, Trouble trouble) {
  for (;;) {
    fmt::print(stderr, "{}{}: ", question, proposal.empty() ? "" : fmt::format(" [{}]", proposal));
    std::string line;
    const bool there = static_cast<bool>(std::getline(std::cin, line));
    if (line.empty()) line = proposal;
    const std::string why = line.empty() ? "an answer is needed" : trouble(line);
    if (why.empty() || !there) return line;
    fmt::print(stderr, "  {}\n", why);
  }
}

std::string trouble_with_setting(std::string_view name, std::string_view value) {
  const auto* setting = scaffold::stack_schema().setting(name);
  return setting == nullptr ? "" : scaffold::trouble_with(*setting, value);
}

Result<std::uint64_t> size_of(const std::string& host) {
  std::uint64_t size = 0;
  const auto [stop, error] = std::from_chars(host.data(), host.data() + host.size(), size);
  if (error != std::errc() || stop != host.data() + host.size() || size == 0 || size > 4096) return fail(Errc::invalid_input, fmt::format("'{}' is no size in GB; --host-size takes 16, 32, 64, 128 or what the host has", host));
  return size;
}

std::uint64_t memory_gb() {
  const auto text = sources::disk().read("/proc/meminfo");
  std::uint64_t kb = 0;
  if (text && text->starts_with("MemTotal:")) {
    const auto digits = text->find_first_of("0123456789");
    std::from_chars(text->data() + digits, text->data() + text->size(), kb);
  }
  return (kb + (1U << 20U) - 1) >> 20U;
}

/// "debian:bookworm-slim" where the program runs on Debian.
std::string debian_base() {
  const auto text = sources::disk().read("/etc/os-release");
  if (!text || text->find("\nID=debian") == std::string::npos) return "";
  constexpr std::string_view kName = "VERSION_CODENAME=";
  const auto at = text->find(kName);
  if (at == std::string::npos) return "";
  return fmt::format("debian:{}-slim", text->substr(at + kName.size(), text->find('\n', at) - at - kName.size()));
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const auto end = std::min(list.find_first_of(", "), list.size());
    if (end > 0) out.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

std::string unknown_profile(std::string_view list) {
  const auto& known = scaffold::known_profiles();
  for (const auto& profile : split(list))
    if (std::ranges::find(known, profile) == known.end()) return fmt::format("there is no profile '{}'; there are {}", profile, fmt::join(known, ", "));
  return "";
}

/// Sets of budgets.yaml that a host of this size can carry.
std::string that_fit(const scaffold::Budget& budget, std::uint64_t size) {
  std::string out;
  for (const auto& profiles : budget.combinations)
    if (scaffold::fit(budget, split(profiles), size).verdict != scaffold::Fit::Verdict::too_small) out += fmt::format("{}--profile {}", out.empty() ? "" : ", ", profiles);
  return out.empty() ? "none of the documented sets fits" : "what fits: " + out;
}

/// A file of the staging folder, not yet safe on the disk.
Result<void> write_file(const std::string& path, std::string_view bytes, int mode = 0644) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return fail(errno_error(fmt::format("'{}'", path), errno));
  DM_CHECK(during(fmt::format("writing '{}'", path), write_all(file.get(), bytes)));
  if (::fchmod(file.get(), static_cast<mode_t>(mode)) != 0) return fail(errno_error(fmt::format("'{}'", path), errno));
  return {};
}

/// Moves what was written into a folder that is there and empty (it may be the working folder of the caller's shell, or a mount).
Result<void> move_into(const std::string& from, const std::string& folder) {
  std::vector<std::string> moved;
  for (const auto& name : sources::disk().list(from)) {
    if (::rename((from + "/" + name).c_str(), (folder + "/" + name).c_str()) != 0) {
      auto error = errno_error(fmt::format("'{}/{}'", folder, name), errno);
      for (const auto& back : moved) (void)::rename((folder + "/" + back).c_str(), (from + "/" + back).c_str());
      return fail(std::move(error));
    }
    moved.push_back(name);
  }
  return {};
}

/// The process that writes into the staging folder of this name (`.new-PID`, `DIR.new-PID`); 0 = it is none.
pid_t stager(std::string_view name, std::string_view prefix) {
  pid_t pid = 0;
  if (!name.starts_with(prefix)) return 0;
  name.remove_prefix(prefix.size());
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  return error == std::errc() && stop == name.data() + name.size() && pid > 0 ? pid : 0;
}

/// Whether the folder can take a stack: it is missing or empty. What an init that was killed left in an empty one is removed; beside a missing one it is only
/// named, since a folder there may be somebody's own. Errors: `conflict`.
Result<void> make_way(const std::string& folder) {
  const auto stat = sources::disk().stat(folder);
  if (stat.kind == sources::Kind::missing) {
    const auto parent = sources::parent_path(folder);
    const auto prefix = folder.substr(folder.rfind('/') + 1) + ".new-";
    for (const auto& name : sources::disk().list(parent))
      if (const auto pid = stager(name, prefix); pid != 0 && ::kill(pid, 0) != 0)
        fmt::print(stderr, "note: '{}/{}' seems to be left by an init that was killed; remove it if so\n", parent, name);
    return {};
  }
  const auto refused = [&](std::string_view why) { return fail(Errc::conflict, fmt::format("'{}' is not empty{}; init writes a new folder only (one product into a project that exists: init --service NAME)", folder, why)); };
  if (stat.kind != sources::Kind::directory) return refused("");
  const auto names = sources::disk().list(folder);
  const auto staging = std::ranges::find_if(names, [](const auto& name) { return stager(name, ".new-") != 0; });
  for (const auto& name : names) {
    const auto pid = stager(name, ".new-");
    if (pid == 0) return refused(staging == names.end() ? "" : fmt::format(": an init was killed here ({}), or is at work; if all in it is of that, empty it", *staging));
    if (::kill(pid, 0) == 0 || errno == EPERM) return refused(fmt::format(": process {} writes {}, or was given that number since: then remove it", pid, name));
  }
  for (const auto& name : names) {
    std::error_code error;
    std::filesystem::remove_all(folder + "/" + name, error);
    if (error) return fail(Errc::failed, fmt::format("remove '{}/{}': {}", folder, name, error.message()));
    fmt::print("removed  {}/{}, left by an init that was killed\n", folder, name);
  }
  return {};
}

/// The sealed text of all secrets; a key is made where there is none.
Result<std::string> sealed_secrets(const Args& args, const std::string& folder, std::string& key_file, bool& made, std::vector<std::string>& recipients) {
  const auto sources = key_sources(args);
  DM_TRY(auto keys, secrets::Keyring::load(sources));
  key_file = secrets::key_file_path(sources);
  if (keys.empty()) {
    if (key_file.empty()) return fail(Errc::invalid_input, "neither HOME nor XDG_CONFIG_HOME is set: nowhere to put the key");
    DM_CHECK(secrets::create_key_file(key_file));
    made = true;
    DM_TRY(keys, secrets::Keyring::load(sources));
  }
  DM_CHECK(keys.unlock());
  DM_TRY(const auto plan, secrets::plan_sealing(folder + "/secrets.enc.env", keys));
  recipients = plan.recipients;
  DM_TRY(const auto values, scaffold::make_secrets(scaffold::stack_schema()));
  secrets::SecretString text;
  text.reserve(std::size_t{32} << 10U);
  for (const auto& [name, value] : values) {
    text.append(name);
    text.append('=');
    const auto quoted = secrets::dotenv_value(value.reveal());
    text.append(quoted.reveal());
    text.append('\n');
  }
  return secrets::seal_text(text.reveal(), secrets::Store::dotenv, plan);
}

Result<int> work(Args& args) {
  std::string service, domain, mail, host, tls = "acme", profiles;
  if (args.option("--service", service)) return init_service(args, service);
  args.option("--domain", domain);
  args.option("--mail", mail);
  args.option("--host-size", host);
  args.option("--tls", tls);
  const bool yes = args.has("--yes");
  if (args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with("-"))) {
    fmt::print(stderr, "datamancy: init does not know '{}'; see 'datamancy init --help'\n", args.words.back());
    return kUsage;
  }
  const auto folder = args.words.empty() ? args.project.working_directory : absolute(args, args.words[0]);
  DM_CHECK(make_way(folder));
  const auto stat = sources::disk().stat(folder);

  if (interactive() && !yes) {
    if (domain.empty()) domain = asked("Public domain of the stack, below which every service gets a name (example.org)", "", [](const auto& one) { return trouble_with_setting("DOMAIN", one); });
    if (mail.empty()) mail = asked("Mail address of the administrator, for the certificate authority and alerts", domain.empty() ? "" : "admin@" + domain, [](const auto& one) { return trouble_with_setting("STACK_ADMIN_EMAIL", one); });
    if (host.empty()) host = asked("Memory of the host that will run it, in GB", std::to_string(memory_gb()), [](const auto& one) { const auto size = size_of(one); return size ? std::string() : size.error().message; });
  }
  if (domain.empty() || mail.empty()) {
    fmt::print(stderr, "datamancy: init needs --domain DOMAIN and --mail ADDRESS where nobody can be asked\n");
    return kUsage;
  }
  std::uint64_t size = memory_gb();
  if (!host.empty()) { DM_TRY(size, size_of(host)); }
  DM_TRY(const auto budget, scaffold::parse_budget(scaffold::embedded("budgets.yaml")));
  scaffold::Answers answers{domain, mail, {}, debian_base(), tls};
  for (const auto& one : args.project.profiles)
    for (auto& part : split(one)) answers.profiles.push_back(std::move(part));
  if (answers.profiles.empty()) {
    const auto* proposal = budget.proposal(size);
    const auto proposed = proposal == nullptr ? std::string("bootstrap") : *proposal;
    if (interactive() && !yes) {
      fmt::print(stderr, "What it starts, as sets of services (profiles), and how each fits on {} GB:\n", size);
      for (const auto& [name, about] : scaffold::profile_descriptions()) fmt::print(stderr, "  {:<21} {}; {}\n", name, about, scaffold::fit(budget, {std::string(name)}, size).word());
    }
    answers.profiles = split(interactive() && !yes ? asked("Profiles, separated by commas", proposed, [](const auto& one) { return unknown_profile(one); }) : proposed);
  }
  DM_TRY(const auto files, scaffold::stack_files(scaffold::stack_schema(), answers));
  const auto fit = scaffold::fit(budget, answers.profiles, size);
  if (fit.verdict == scaffold::Fit::Verdict::too_small && !yes && !(interactive() && agreed(fmt::format("On {} GB this {}. Write it anyway?", size, fit.describe()))))
    return fail(Errc::conflict, fmt::format("on {} GB this {}; choose fewer profiles ({}), or --yes", size, fit.describe(), that_fit(budget, size)));

  std::string key_file;
  bool made = false;
  std::vector<std::string> recipients;
  DM_TRY(const auto sealed, sealed_secrets(args, folder, key_file, made, recipients));

  // Beside the place (in a folder that is there: inside it), then moved: a half-written stack never lies under its name.
  const bool there = stat.kind == sources::Kind::directory;
  const auto beside = there ? fmt::format("{}/.new-{}", folder, ::getpid()) : fmt::format("{}.new-{}", folder, ::getpid());
  const auto write_all_files = [&]() -> Result<void> {
    for (const auto& file : files) {
      DM_CHECK(make_folders(sources::parent_path(beside + "/" + file.path)));
      DM_CHECK(write_file(beside + "/" + file.path, file.content, file.mode));
    }
    DM_CHECK(write_file(beside + "/secrets.enc.env", sealed));
    DM_CHECK(write_file(beside + "/.sops.yaml", secrets::sops_config_text(recipients)));
    if (auto self = sources::disk().read("/proc/self/exe", std::uint64_t{256} << 20U); self) DM_CHECK(write_file(beside + "/probe-orchestrator/bin/datamancy", *self, 0755));
    // One wait for the disk instead of one for each file: nothing has its name yet.
    const Fd folder_fd(::open(beside.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder_fd || ::syncfs(folder_fd.get()) != 0) return fail(errno_error(fmt::format("'{}'", beside), errno));
    return {};
  };
  std::error_code ignored;
  if (auto wrote = write_all_files(); !wrote) {
    std::filesystem::remove_all(beside, ignored);
    return fail(std::move(wrote).error());
  }
  if (there) {
    auto moved = move_into(beside, folder);
    std::filesystem::remove_all(beside, ignored);
    if (!moved) return fail(std::move(moved).error());
  } else if (::rename(beside.c_str(), folder.c_str()) != 0) {
    const std::string why = std::strerror(errno);
    std::filesystem::remove_all(beside, ignored);
    return fail(Errc::failed, fmt::format("'{}': {}", folder, why));
  }

  fmt::print("wrote    {} ({} files, {} secrets sealed in secrets.enc.env)\n", folder, files.size() + 3, scaffold::stack_schema().secrets.size());
  fmt::print("{}     {}\n", made ? "made" : "used", key_file);
  fmt::print("profiles {}: on {} GB this {}\n", fmt::join(answers.profiles, ", "), size, fit.describe());
  fmt::print("\nNext:\n");
  int step = 0;
  fmt::print("  {}. keep copies in another place of {} and of this folder (git: its secrets are sealed): without both no backup can be opened\n", ++step, key_file);
  const bool mail_server = std::ranges::find(answers.profiles, "applications") != answers.profiles.end();
  fmt::print("  {}. in DNS, let {} and *.{} point to this host (README.md lists the names); ports 80 and 443{} must reach it\n", ++step, domain, domain,
             mail_server ? ", and 25, 465, 587, 993 for mail," : "");
  if (!mail_server) fmt::print("  {}. in .env, name the server that takes the stack's mail (SMTP_HOST, SMTP_USER), and: datamancy secrets set smtp_password    # who enrols a second factor gets a code\n", ++step);
  fmt::print("  {}. cd {} && sudo --preserve-env=HOME datamancy render    # secrets and configuration, in memory: /run/datamancy/datamancy\n", ++step, folder);
  fmt::print("  {}. datamancy preflight    # what is still in the way, all at once\n", ++step);
  fmt::print("  {}. docker compose build && docker compose up -d\n", ++step);
  fmt::print("  {}. sign in at https://auth.{} as 'admin' with: datamancy secrets get stack_admin_password\n", ++step, domain);
  fmt::print("  {}. after each boot /run is empty: render again before the containers start (README.md, \"First start\": a systemd unit does it)\n", ++step);
  fmt::print("  {}. read README.md, \"By hand, once\": {}who is an administrator, a second place of the backups\n", ++step, mail_server ? fmt::format("the mail server's first account and {}, ", "noreply@" + domain) : "");
  return kClean;
}

}  // namespace

int init_stack(Args& args) {
  const auto result = work(args);
  return result ? *result : complain(result.error());
}

}  // namespace dm::cli
