#include "cli/secrets_compose.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/files.hpp"
#include "base/process.hpp"
#include "engine/context.hpp"

namespace dm::cli {

Result<void> ComposeCall::write(const Args& args) const {
  DM_TRY(const auto place, engine::find_engine({args.host, args.context}, args.project.environment, sources::disk()));
  DM_CHECK(secrets::within_reach(handover->delivery(), place.host));
  DM_CHECK(handover->write());
  return {};
}

Result<std::unique_ptr<ComposeCall>> prepare_compose(Args& args) {
  auto call = std::make_unique<ComposeCall>();
  const auto folder = project_folder(args);
  DM_TRY(call->handover, secrets::Handover::open(folder, args.project, key_sources(args)));
  if (!find_program("docker")) return secrets::fail_as(secrets::kProgramMissing, Errc::not_found, "'docker' is not on PATH");
  DM_TRY(call->loaded, call->handover->load(args.project, product::Catalogue()));
  if (!call->loaded.ok) return fail(Errc::invalid_input, "the project cannot be loaded; 'datamancy config' says why");
  if (!call->handover->any()) return secrets::fail_as(secrets::kNoSecrets, Errc::not_found, fmt::format("nothing sealed lies in '{}': no *.enc.env, and no FILE.enc beside a declared secret", folder));
  DM_TRY(auto feed, call->handover->feed());
  call->descriptors = std::move(feed.descriptors);
  call->memory = std::move(feed.memory);
  auto& argv = call->argv;
  argv = {"docker", "compose"};
  argv.insert(argv.end(), feed.arguments.begin(), feed.arguments.end());
  for (const auto& file : call->handover->for_compose(args.project).files) argv.insert(argv.end(), {"--file", file});
  for (const auto& profile : args.project.profiles) argv.insert(argv.end(), {"--profile", profile});
  if (!args.project.project_name.empty()) argv.insert(argv.end(), {"--project-name", args.project.project_name});
  argv.insert(argv.end(), {"--project-directory", call->loaded.project->folder});
  return call;
}

namespace {

Result<int> compose(Args& args) {
  const auto cut = std::ranges::find(args.words, "--");
  if (cut != args.words.begin() || args.words.size() < 2) return secrets_usage("compose", "the words for docker compose follow '--'");
  const std::vector<std::string> words(args.words.begin() + 1, args.words.end());
  DM_TRY(const auto call, prepare_compose(args));
  if (words[0] != "config") DM_CHECK(call->write(args));
  for (const auto& name : call->handover->names()) ::unsetenv(name.c_str());
  std::map<int, int> away;  // first out of the way: a memory file may have been opened under a number that another one is to get
  for (const auto& [number, descriptor] : call->descriptors)
    if ((away[number] = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 256)) < 0) return fail(errno_error("fcntl", errno));
  for (const auto& [number, descriptor] : away)
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
