#include "cli/session.hpp"

#include "cli/secrets.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

#include "cli/deploying.hpp"
#include "compose/labels.hpp"
#include "compose/units.hpp"
#include "deploy/look.hpp"
#include "deploy/plan.hpp"

namespace dm::cli {

std::map<std::string, std::string> plain_environment(const Args& args) {
  return {args.project.environment.begin(), args.project.environment.end()};
}

Result<state::Db*> Session::open_store() {
  if (!db) db.emplace(state::open_store(store));
  return &*db;
}

Result<Fd> Session::lock(std::string_view what, Clock::duration wait) const { return state::lock_store(store, what, within(wait)); }

bool take_names(Args& args, std::string_view verb, std::vector<std::string>& names) {
  for (const auto& word : args.words) {
    if (word.starts_with('-')) {
      fmt::print(stderr, "datamancy: {} does not know '{}'; see 'datamancy {} --help'\n", verb, word, verb);
      return false;
    }
    names.push_back(word);
  }
  args.words.clear();
  return true;
}

bool take_number(Args& args, std::string_view name, std::int64_t least, std::int64_t most, std::int64_t& value) {
  std::string text;
  return !args.option(name, text) || whole_number(name, text, least, most, value);
}

bool whole_number(std::string_view name, const std::string& text, std::int64_t least, std::int64_t most, std::int64_t& value) {
  std::int64_t number = 0;
  const auto* end = text.data() + text.size();
  if (const auto read = std::from_chars(text.data(), end, number); read.ec != std::errc() || read.ptr != end || text.empty() || number < least || number > most) {
    fmt::print(stderr, "datamancy: {} wants a whole number of {} or more{}, not '{}'\n", name, least, most >= std::numeric_limits<int>::max() ? "" : fmt::format(" and at most {}", most), text);
    return false;
  }
  value = number;
  return true;
}

bool take_duration(Args& args, std::string_view name, std::chrono::nanoseconds& value) {
  std::string text;
  if (!args.option(name, text)) return true;
  auto parsed = compose::parse_duration(text);
  if (!parsed && !text.empty() && text.find_first_not_of("0123456789") == std::string::npos) parsed = compose::parse_duration(text + "s");
  if (!parsed) {
    fmt::print(stderr, "datamancy: {} wants a duration such as 90s or 5m, not '{}'\n", name, text);
    return false;
  }
  value = *parsed;
  return true;
}

Result<void> find_by_name(Args& args, engine::Engine& engine, const Deadline& deadline, bool model_will_do) {
  auto& options = args.project;
  if (options.project_name.empty() || !options.files.empty() || !compose::load(options, sources::disk()).project->main_files.empty()) return {};
  DM_TRY(const auto containers, deploy::look(engine, options.project_name, deadline));
  if (containers.empty()) return fail(Errc::not_found, fmt::format("no compose file lies here, and there is no container of a project '{}' on {}", options.project_name, engine.description()));
  const auto& one = deploy::spokesman(containers);
  options.project_directory = options.working_directory = one.working_dir;
  if (!deploy::users_own(one.config_files) && !model_will_do) {  // a kept model has no secrets, and is not what the user edits
    if (compose::load(options, sources::disk()).project->main_files.empty())
      return fail(Errc::not_found, fmt::format("all containers of '{}' were made by a rollback, so that nothing tells its files; name them with -f FILE (its folder is {})", options.project_name, one.working_dir));
    return {};
  }
  options.files = compose::paths_in(one.config_files);
  if (options.env_files.empty()) options.env_files = compose::paths_in(one.env_files);
  return {};
}

bool open_session(Args& args, std::vector<std::string> names, Session& out, int& exit, bool with_dependencies) {
  const auto say = [&](const Error& error) {
    exit = complain(error);
    return false;
  };
  auto opened = open_engine(args);
  if (!opened) return say(opened.error());
  out.engine = *std::move(opened);
  read_stdin(args.project);
  if (const auto found = find_by_name(args, *out.engine, out.within(std::chrono::seconds(30))); !found) return say(found.error());
  auto& options = args.project;
  const auto folder_of_project = project_folder(args);
  auto handover = secrets::Handover::open(folder_of_project, options, key_sources(args));
  if (!handover) return say(handover.error());
  out.handover = *std::move(handover);
  auto loaded = out.handover->load(options, out.products);
  if (!loaded) return say(loaded.error());
  out.loaded = *std::move(loaded);
  if (out.loaded.ok && std::ranges::any_of(names, [&](const auto& name) {
        const auto* service = out.project().service(name);
        return service == nullptr || !service->enabled;
      })) {
    auto off = options;
    off.lenient = true;
    for (const auto& name : out.handover->names()) off.environment.erase(name);
    secrets::add_to(off, out.handover->secrets(), folder_of_project);
    const auto lenient = compose::load(off, out.handover->files());
    const auto profiles = deploy::profiles_of(*lenient.project, names);
    options.profiles.insert(options.profiles.end(), profiles.begin(), profiles.end());
    if (!profiles.empty()) {
      loaded = out.handover->load(options, out.products);
      if (!loaded) return say(loaded.error());
      out.loaded = *std::move(loaded);
    }
  }
  if (out.handover->secrets().any()) {
    auto variables = secrets::variables_of(out.handover->secrets(), options.environment);
    if (!variables) return say(variables.error());
    const auto& sealed = out.handover->secrets();
    for (const auto& [name, value] : *variables)
      if (sealed.sealed(name)) out.sealed_values.emplace_back(name, value.reveal());
    for (const auto& file : sealed.service_files) {
      const auto own = secrets::variables_of(sealed, file, options.environment);
      if (!own) return say(own.error());
      for (const auto& [name, value] : *own) out.sealed_values.emplace_back(fmt::format("{}:{}", secrets::mark_file(file.path, out.project().folder), name), value.reveal());
    }
    const secrets::Scrubber scrubber(std::move(*variables));
    for (auto& diagnostic : out.loaded.diagnostics) diagnostic.message = scrubber.clean(diagnostic.message);
  }
  print_diagnostics(out.project(), out.loaded.diagnostics);
  exit = kFailed;
  if (!out.loaded.ok) {
    // A value may be missing because its sealed file is: what runs knows.
    if (const auto containers = deploy::look(*out.engine, out.project().name, out.within(std::chrono::seconds(20))); containers)
      if (const auto there = out.handover->still_sealed(out.loaded, deploy::marks_of(*containers)); !there) return say(there.error());
    return false;
  }
  auto chosen = deploy::choose(out.project(), names, with_dependencies);
  if (!chosen) return say(chosen.error());
  out.services = *std::move(chosen);
  out.wiring = wiring::wire(*out.loaded.project, out.products);
  // With a name and no file Compose would not look for files at all: `down` and `stop` would go by labels, and take what is gone from the files as well.
  auto named = options;
  const auto by_variable = options.environment.find("COMPOSE_FILE");
  if (named.files.empty() && (by_variable == options.environment.end() || by_variable->second.empty())) named.files = out.project().main_files;
  out.compose = std::make_unique<deploy::ComposeCli>(named, out.project().name, out.handover.get());
  out.compose->reach(args.host, args.context);
  const auto info = out.engine->info(out.within(std::chrono::seconds(20)));
  if (!info) return say(info.error());
  out.engine_id = info->id;
  out.product = info->product;
  out.processors = info->cpus;
  auto folder = state::store_folder(state::root_folder(plain_environment(args), ::geteuid() == 0), info->id, out.project().name);
  if (!folder) return say(folder.error());
  out.store = *std::move(folder);
  return true;
}

bool may_color(const Args& args) {
  const auto found = args.project.environment.find("NO_COLOR");
  return found == args.project.environment.end() || found->second.empty();
}

std::string who() {
  const auto name_of = [](uid_t id) {
    const auto* entry = ::getpwuid(id);  // NOLINT(concurrency-mt-unsafe): asked once, before threads
    return entry != nullptr ? std::string(entry->pw_name) : std::to_string(id);
  };
  const char* sudo = std::getenv("SUDO_USER");  // NOLINT(concurrency-mt-unsafe)
  return sudo != nullptr && ::geteuid() == 0 ? fmt::format("{} (sudo)", sudo) : name_of(::geteuid());
}

bool agreed(bool yes, std::string_view question) {
  if (yes) return true;
  if (::isatty(STDIN_FILENO) != 1) {
    fmt::print(stderr, "datamancy: {} Nobody can be asked here: give --yes to agree.\n", question);
    return false;
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::array<char, 16> answer{};
  if (std::fgets(answer.data(), answer.size(), stdin) == nullptr) return false;
  return answer[0] == 'y' || answer[0] == 'Y';
}

}  // namespace dm::cli
