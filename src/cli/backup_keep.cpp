/// backup forget, prune, replicate, unlock, password, doctor, schedule.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "backup/mirror.hpp"
#include "base/files.hpp"
#include "base/json.hpp"
#include "base/process.hpp"
#include "cli/backup.hpp"
#include "state/journal.hpp"

namespace dm::cli {
namespace {

int leftover(std::string_view part, const Args& args) {
  fmt::print(stderr, "datamancy: backup {} does not know '{}'; see 'datamancy backup --help'\n", part, args.words.front());
  return kUsage;
}

/// What the settings say about an opened repository; null = nothing.
const backup::RepositorySettings* settings_of(const BackupSession& session) { return session.settings.find(session.repository->location().name); }

}  // namespace

int backup_forget(Args& args) {
  BackupSession session;
  const bool prune = args.has("--prune");
  if (auto opened = open_backup(args, Needs::repository, false, session); !opened) return complain(opened.error());
  if (!args.words.empty()) return leftover("forget", args);
  if (const auto* settings = settings_of(session); settings != nullptr && settings->append_only)
    return complain({Errc::conflict, fmt::format("repository '{}' is append-only for this host: forget there with other credentials, from another machine", session.repository->location().name), {}});
  if (!agreed(session, fmt::format("Forget the snapshots of '{}' that the retention does not keep{}?", session.project, prune ? ", and free their space" : ""))) return kFailed;
  const auto entry = session.begin("backup forget", prune ? "forget and prune" : "forget");
  const auto count = backup::apply_retention(*session.repository, session.project, session.settings.keep, prune, session.within(std::chrono::hours(12)));
  state::finish(*session.db, entry, count ? fmt::format("{} forgotten", *count) : count.error().message);
  if (!count) return complain(count.error());
  if (session.json) fmt::print("{{\"forgotten\": {}}}\n", *count);
  else fmt::print("{} snapshots forgotten\n", *count);
  return kClean;
}

int backup_prune(Args& args) {
  BackupSession session;
  if (auto opened = open_backup(args, Needs::repository, false, session); !opened) return complain(opened.error());
  if (!args.words.empty()) return leftover("prune", args);
  const auto& location = session.repository->location();
  if (const auto* settings = settings_of(session); settings != nullptr && settings->append_only)
    return complain({Errc::conflict, fmt::format("repository '{}' is append-only for this host: prune it with other credentials, from another machine", location.name), {}});
  const auto entry = session.begin("backup prune", "free what was forgotten in " + location.name);
  const auto done = session.repository->remove({}, true, session.within(std::chrono::hours(12)));
  state::finish(*session.db, entry, done ? "freed" : done.error().message);
  if (!done) return complain(done.error());
  const auto usage = session.repository->usage(session.within(std::chrono::minutes(10)));
  if (session.json) fmt::print("{{\"pruned\": true, \"stored\": {}}}\n", usage ? usage->stored : 0);
  else fmt::print("what was forgotten is freed{}\n", usage ? fmt::format("; {} are stored", human_bytes(usage->stored)) : "");
  return kClean;
}

int backup_replicate(Args& args) {
  BackupSession session;
  std::string to;
  args.option("--to", to);
  if (auto opened = open_backup(args, Needs::repository, false, session); !opened) return complain(opened.error());
  if (!args.words.empty()) return leftover("replicate", args);
  std::vector<std::string> targets;
  if (!to.empty()) targets.push_back(to);
  else
    for (const auto& repository : session.settings.repositories)
      if (repository.copy_of == session.repository->location().name) targets.push_back(repository.location.name);
  if (targets.empty()) return complain({Errc::invalid_input, "no repository of .datamancy.yml is a copy_of this one; name one with --to", {}});
  // Only what is known to be good goes off-site: damage is not copied over what is whole there, and nothing is ever deleted there.
  const auto newest = backup::history(*session.repository, session.project, 1, session.within(std::chrono::minutes(10)));
  if (!newest) return complain(newest.error());
  if (const auto past = newest->passed_over(newest->runs.data()); !past.empty()) return complain({Errc::conflict, "nothing is copied: " + past, {}});
  if (newest->runs.empty() || newest->runs.front().outcome() != state::Outcome::verified) return complain({Errc::conflict, "nothing is copied: the newest run is not verified", {}});
  const auto check = session.repository->check(backup::Depth::structure, session.within(std::chrono::hours(2)));
  if (!check) return complain(check.error());
  if (!check->troubles.empty()) return complain({Errc::conflict, "nothing is copied: the repository is damaged: " + check->troubles.front(), {}});
  bool failed = false;
  for (const auto& name : targets) {
    const auto* wanted = session.settings.find(name);
    const auto url = wanted != nullptr ? wanted->location.url : name;
    if (url.starts_with("rsync:")) {
      const auto mirror_entry = session.begin("backup replicate", "mirror to " + name);
      auto from = session.repository->location();
      if (wanted != nullptr && session.stall == 0) from.stall = wanted->location.stall;
      auto done = backup::mirror(from, url.substr(6), wanted != nullptr ? wanted->location.options : std::vector<std::string>{}, session.within(std::chrono::hours(48)));
      state::finish(*session.db, mirror_entry, done ? "mirrored" : done.error().message);
      if (!session.json) fmt::print("{}: {}\n", name, done ? *done : done.error().describe());
      failed = failed || !done;
      continue;
    }
    auto target = session.open(name, true);
    const auto entry = session.begin("backup replicate", "copy to " + name);
    auto copied = target ? session.repository->copy({}, **target, session.within(std::chrono::hours(48))) : Result<void>(fail(target.error()));
    std::string line = copied ? "" : copied.error().describe();
    if (copied) {
      const auto there = backup::arrived(**target, session.project, newest->runs.front(), session.within(std::chrono::minutes(20)));
      line = there ? fmt::format("run {} is there, {} streams", newest->runs.front().run, newest->runs.front().saved.size()) : there.error().describe();
      // A folder of this machine is a second copy, but not off-site.
      if (const auto now = backup::unix_now(); there && url.find(':') != std::string::npos && !url.starts_with("local:"))
        state::add(*session.db, state::Proof{.control = "backup.offsite", .subject = "", .result = state::Outcome::verified, .evidence = fmt::format("{}: {}", name, line),
                                             .made = now, .expires = now + 8 * 86400, .binding = {.engine = newest->runs.front().engine}, .command = "datamancy backup replicate"});
      failed = failed || !there;
    } else {
      failed = true;
    }
    state::finish(*session.db, entry, line);
    if (!session.json) fmt::print("{}: {}\n", name, line);
  }
  if (session.json) fmt::print("{{\"copied\": {}}}\n", failed ? "false" : "true");
  return failed ? kFindings : kClean;
}

int backup_unlock(Args& args) {
  BackupSession session;
  if (auto opened = open_backup(args, Needs::repository, false, session); !opened) return complain(opened.error());
  if (!args.words.empty()) return leftover("unlock", args);
  if (auto done = session.repository->unlock(session.within(std::chrono::minutes(5))); !done) return complain(done.error());
  fmt::print("locks that nobody holds any more are gone\n");
  return kClean;
}

int backup_password(Args& args) {
  BackupSession session;
  std::string file;
  args.option("--new-password-file", file);
  if (auto opened = open_backup(args, Needs::repository, false, session); !opened) return complain(opened.error());
  if (!args.words.empty() || file.empty()) {
    fmt::print(stderr, "usage: datamancy backup password --new-password-file FILE\n  nothing is uploaded again; put the new file where the settings look for it afterwards\n");
    return kUsage;
  }
  backup::RepositorySettings wanted;
  wanted.location = session.repository->location();
  const auto old = std::exchange(wanted.location.password, {});
  wanted.password_file = sources::clean_path(file, session.working_directory);
  bool made = false;
  const auto with = backup::with_password(wanted, session.working_directory, false, made);
  if (!with) return complain(with.error());
  if (with->password == old) return complain({Errc::invalid_input, "the new password is the old one", {}});
  const auto entry = session.begin("backup password", "change the password of " + session.repository->location().name);
  auto done = session.repository->change_password(with->password, session.within(std::chrono::minutes(10)));
  state::finish(*session.db, entry, done ? "changed" : done.error().message);
  if (!done) return complain(done.error());
  if (!session.repository->list(session.within(std::chrono::minutes(5)))) return complain({Errc::failed, "the repository does not open with the new password", {}});
  fmt::print("the repository opens with the new password; the old one is gone\n");
  return kClean;
}

int backup_doctor(Args& args) {
  BackupSession session;
  auto opened = open_backup(args, Needs::repository, false, session);
  struct Line {
    bool good;
    std::string what, detail;
  };
  std::vector<Line> lines;
  // Programs first, since without them nothing opens.
  for (const std::string kind : {"restic", "kopia"}) {
    const bool used = std::ranges::any_of(session.settings.repositories, [&](const auto& item) { return item.location.kind == kind; }) || (session.settings.repositories.empty() && kind == "restic");
    if (!used) continue;
    backup::Location location;
    location.name = kind;
    location.kind = kind;
    location.url = "/nonexistent";
    location.password = "-";
    auto repository = backup::open_repository(std::move(location), "/nonexistent");
    const auto program = repository ? (*repository)->program(session.within(std::chrono::seconds(30))) : Result<std::string>(fail(repository.error()));
    lines.push_back({static_cast<bool>(program), "program", program ? *program : program.error().message});
  }
  if (!opened) {
    lines.push_back({false, "repository", opened.error().describe()});
  } else {
    const auto& location = session.repository->location();
    const auto listed = session.repository->list(session.within(std::chrono::minutes(10)));
    lines.push_back({static_cast<bool>(listed), "repository", listed ? fmt::format("'{}' at {} opens", location.name, location.url) : listed.error().describe()});
    const auto usage = session.repository->usage(session.within(std::chrono::minutes(10)));
    if (usage) lines.push_back({true, "size", fmt::format("{} stored, {} snapshots", human_bytes(usage->stored), usage->snapshots)});
    else lines.push_back({false, "size", usage.error().describe()});
    auto records = state::newest_backups(*session.db, 100);
    std::erase_if(records, [&](const state::BackupRecord& one) { return one.repository != location.name; });
    if (const auto per_day = state::growth_per_day(records)) {
      auto words = fmt::format("about {} a day", human_bytes(static_cast<std::uint64_t>(*per_day)));
      std::error_code unknown;
      const auto disk = location.url.starts_with('/') ? std::filesystem::space(location.url, unknown) : std::filesystem::space_info{};
      const double days = location.url.starts_with('/') && !unknown ? static_cast<double>(disk.available) / *per_day : -1;
      if (days >= 0) words += fmt::format("; {} are free: full in {:.0f} days", human_bytes(disk.available), days);
      constexpr double kSoon = 14;
      lines.push_back({days < 0 || days > kSoon, "growth", words});
    }
    const auto* settings = settings_of(session);
    const auto key = settings != nullptr ? settings->password_file : backup::default_repository(session.project, session.environment, ::geteuid() == 0).password_file;
    if (!key.empty() && location.url.starts_with('/') && sources::clean_path(key, session.folder).starts_with(location.url + "/")) lines.push_back({false, "password", "its file lies inside the repository: whoever has the backups has the key"});
    const bool offsite = std::ranges::any_of(session.settings.repositories, [](const auto& item) { return item.location.url.find(':') != std::string::npos; });
    lines.push_back({offsite, "off-site", offsite ? "a repository on another machine is configured" : "every repository is on this machine: fire or theft takes data and backups together"});
    const bool append_only = std::ranges::any_of(session.settings.repositories, [](const auto& item) { return item.append_only; });
    lines.push_back({append_only, "append-only", append_only ? "one is declared so; 'restic forget' with this host's credentials must fail there" : "an intruder on this host could delete every copy: declare one that this host may only add to"});
    // One of a part says nothing about the rest.
    const auto runs = state::backups_since_whole(*session.db, "");
    const auto newest = runs.empty() ? Result<backup::Manifest>(fail(Errc::not_found, "")) : backup::Manifest::parse(runs.back().manifest);
    if (newest && !newest->partial) {
      const auto age = backup::unix_now() - newest->started;
      lines.push_back({age <= session.settings.objective && newest->outcome() == state::Outcome::verified, "newest run", fmt::format("{}, {}", human_time(newest->started), state::to_string(newest->outcome()))});
    } else {
      lines.push_back({false, "newest run", runs.empty() ? "none from this machine" : "no whole one from this machine, only of parts"});
    }
  }
  const bool fine = std::ranges::all_of(lines, &Line::good);
  if (session.json) {
    JsonWriter json;
    json.begin_object().key("fine").value(fine).key("checks").begin_array();
    for (const auto& line : lines) json.begin_object().key("good").value(line.good).key("what").value(line.what).key("detail").value(line.detail).end();
    fmt::print("{}\n", json.end().end().take());
  } else {
    for (const auto& line : lines) fmt::print("{:4} {:12} {}\n", line.good ? "ok" : "MEND", line.what, line.detail);
  }
  if (!opened && opened.error().exit != 0) return opened.error().exit;
  return fine ? kClean : opened ? kFindings : kFailed;
}

namespace {

/// One word of a unit's ExecStart (systemd.service(5), "Command lines"): quoted, with specifiers and variables taken literally.
std::string unit_word(std::string_view text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0 || std::string_view("/._:@=+,-").find(static_cast<char>(c)) != std::string_view::npos; });
  if (plain) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%' || c == '$') out += c;
    out += c;
  }
  return out + '"';
}

}  // namespace

int backup_schedule(Args& args) {
  BackupSession session;
  const bool units = args.has("--systemd");
  session.json = args.has("--json");
  // Given here, they are part of what is run.
  std::string project = args.project.project_name, more;
  std::vector<std::pair<std::string_view, std::string>> given;
  for (const std::string_view name : {"--repository", "--password-file", "--stall-timeout"}) {
    std::string value;
    args.option(name, value);
    if (!value.empty()) given.emplace_back(name, std::move(value));
  }
  args.project.lenient = true;
  const auto loaded = compose::load(args.project, sources::disk());
  const auto folder = loaded.usable ? loaded.project->folder : args.project.working_directory;
  if (project.empty() && loaded.usable) project = loaded.project->name;
  if (project.empty()) return complain({Errc::not_found, "which project? There is no Compose file here: name one with -p", {}});
  if (!args.words.empty()) return leftover("schedule", args);
  const auto settings = backup::parse_settings(sources::disk().read(folder + "/.datamancy.yml").value_or(""));
  if (!settings) return complain(settings.error());
  const auto word = [&](std::string_view text) { return units ? unit_word(text) : std::string(text); };
  for (auto& [name, value] : given) {  // a timer runs in another folder
    const bool path = name == "--password-file" || (name == "--repository" && settings->find(value) == nullptr && value.find(':') == std::string::npos);
    if (path) value = sources::clean_path(value, args.project.working_directory);
    more += fmt::format(" {} {}", name, word(value));
  }
  const auto calendar = [](const std::string& when) {
    if (when.size() == 5 && when[2] == ':') return fmt::format("OnCalendar=*-*-* {}:00 UTC", when);
    return fmt::format("OnUnitActiveSec={}s\nOnBootSec=15min", backup::seconds_of(when));
  };
  struct Job {
    std::string name, when, command, timer;
  };
  const auto in = fmt::format("--project-directory {} -p {}", word(folder), word(project));
  const auto is_critical = [](const auto& one) { return one.second == backup::kCritical; };
  bool critical = std::ranges::any_of(settings->tiers, is_critical);
  if (loaded.usable)
    for (const auto& service : loaded.project->services) critical = critical || std::ranges::any_of(service.labels, [](const auto& one) { return one.first == "datamancy.backup.tier" && one.second.value == backup::kCritical; });
  std::vector<Job> jobs{
      {"backup", fmt::format("databases {} UTC, volumes {}", settings->databases, settings->volumes), "backup run --quiet", calendar(backup::seconds_of(settings->volumes) > 0 ? settings->volumes : settings->databases)},
      {"verify", "Sunday 03:00 UTC", critical ? "backup verify --depth everything --quiet" : "backup verify --depth sample --quiet", "OnCalendar=Sun *-*-* 03:00:00 UTC"},
      {"replicate", "Sunday 04:00 UTC", "backup replicate", "OnCalendar=Sun *-*-* 04:00:00 UTC"},
      {"drill-random", "Sunday 05:00 UTC", "drill restore --random --quiet", "OnCalendar=Sun *-*-* 05:00:00 UTC"},
      {"drill-all", "first Sunday of the month, 06:00 UTC", "drill restore --all --quiet", "OnCalendar=Sun *-*-1..7 06:00:00 UTC"},
  };
  // What much depends on: all of its data is read, and all of it restored, every week.
  if (critical) jobs.push_back({"drill-critical", "Sunday 05:30 UTC", "drill restore --tier critical --quiet", "OnCalendar=Sun *-*-* 05:30:00 UTC"});
  for (auto& job : jobs) job.command += more;
  if (units) {
    for (const auto& job : jobs) {
      fmt::print("# /etc/systemd/system/datamancy-{0}-{1}.service\n[Unit]\nDescription=datamancy {2} ({0})\nAfter=docker.service\n\n[Service]\nType=oneshot\nNice=10\nIOSchedulingClass=idle\n"
                 "ExecStart=/usr/bin/datamancy {3} {2}\n\n", project, job.name, job.command, in);
      fmt::print("# /etc/systemd/system/datamancy-{0}-{1}.timer\n[Unit]\nDescription=datamancy {2} ({0})\n\n[Timer]\n{3}\nRandomizedDelaySec=10min\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n\n", project, job.name, job.command, job.timer);
    }
    return kClean;
  }
  if (session.json) {
    JsonWriter json;
    json.begin_array();
    for (const auto& job : jobs) json.begin_object().key("job").value(job.name).key("when").value(job.when).key("command").value("datamancy " + job.command).end();
    fmt::print("{}\n", json.end().take());
    return kClean;
  }
  for (const auto& job : jobs) fmt::print("{:13} {:40} datamancy {}\n", job.name, job.when, job.command);
  fmt::print("'datamancy backup schedule --systemd' prints the units; missed runs are caught up (Persistent=true), each starts up to 10 minutes later\n");
  return kClean;
}

}  // namespace dm::cli
