#include "cli/secrets_compose.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/files.hpp"
#include "base/process.hpp"

namespace dm::cli {

Result<std::unique_ptr<ComposeCall>> prepare_compose(Args& args) {
  auto call = std::make_unique<ComposeCall>();
  const auto folder = project_folder(args);
  DM_TRY(call->opened, secrets::environment_for(folder, key_sources(args)));
  if (!call->opened.any()) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("no sealed *.enc.env lies in '{}'", folder));
  if (!find_program("docker")) return secrets::fail_as(secrets::kProgramMissing, Errc::not_found, "'docker' is not on PATH");
  for (const auto& file : call->opened.files)
    for (const auto& name : file.names) args.project.environment.erase(name);
  auto options = args.project;
  add_to(options, call->opened, folder);
  call->files = std::make_unique<secrets::UnsealedFiles>(call->opened, secrets::UnsealedFiles::Show::values);
  call->loaded = compose::load(options, *call->files);
  if (!call->loaded.ok) return fail(Errc::invalid_input, "the project cannot be loaded; 'datamancy config' says why");
  const auto& project = *call->loaded.project;
  const product::Catalogue products;
  DM_TRY(call->delivery, secrets::plan_files(project, products, call->opened, key_sources(args), secrets::runtime_folder(project.name, args.project.environment)));

  DM_TRY(auto feed, secrets::compose_feed(call->opened, folder, args.project.env_files));
  call->descriptors = std::move(feed.descriptors);
  call->memory = std::move(feed.memory);
  auto& argv = call->argv;
  argv = {"docker", "compose"};
  argv.insert(argv.end(), feed.arguments.begin(), feed.arguments.end());
  auto files = args.project.files;
  if (!call->delivery.override_yaml.empty()) {
    DM_TRY(auto override_file, memory_file("override", call->delivery.override_yaml));
    files = secrets::main_files(project, options);
    files.push_back("/dev/fd/9");
    call->descriptors[9] = override_file.get();
    call->memory.push_back(std::move(override_file));
  }
  for (const auto& file : files) argv.insert(argv.end(), {"--file", file});
  for (const auto& profile : args.project.profiles) argv.insert(argv.end(), {"--profile", profile});
  if (!args.project.project_name.empty()) argv.insert(argv.end(), {"--project-name", args.project.project_name});
  // The folder of the first file would be taken otherwise, which is another one where COMPOSE_FILE or an option chose it.
  argv.insert(argv.end(), {"--project-directory", project.folder});
  return call;
}

namespace {

Result<int> compose(Args& args) {
  const auto cut = std::ranges::find(args.words, "--");
  if (cut != args.words.begin() || args.words.size() < 2) return secrets_usage("compose", "the words for docker compose follow '--'");
  const std::vector<std::string> words(args.words.begin() + 1, args.words.end());
  DM_TRY(const auto call, prepare_compose(args));
  if (words[0] != "config") DM_CHECK(secrets::write_files(call->delivery));
  for (const auto& file : call->opened.files)
    for (const auto& name : file.names) ::unsetenv(name.c_str());
  for (const auto& [number, descriptor] : call->descriptors)
    if (::dup2(descriptor, number) < 0) return fail(errno_error("dup2", errno));
  auto all = call->argv;
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (auto& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::fflush(nullptr);
  ::execvp(argv[0], argv.data());
  return fail(errno_error("start 'docker'", errno));
}

}  // namespace

int secrets_compose(Args& args) {
  const auto result = compose(args);
  return result ? *result : complain(result.error());
}

}  // namespace dm::cli
