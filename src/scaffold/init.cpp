#include "scaffold/init.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "scaffold/embedded.hpp"
#include "scaffold/generate.hpp"

namespace dm::scaffold {
namespace {

/// Replaces the line `NAME=...`, or adds one.
void set_line(std::string& env, std::string_view name, std::string_view value) {
  const auto begin_of = [&](std::size_t from) {
    while ((from = env.find(fmt::format("{}=", name), from)) != std::string::npos) {
      if (from == 0 || env[from - 1] == '\n') return from;
      ++from;
    }
    return std::string::npos;
  };
  const auto line = fmt::format("{}={}", name, value);
  if (const auto at = begin_of(0); at != std::string::npos) env.replace(at, std::min(env.find('\n', at), env.size()) - at, line);
  else env += line + "\n";
}

Result<void> fits(const Schema& schema, std::string_view name, std::string_view value, std::string_view flag) {
  const auto* setting = schema.setting(name);
  if (value.empty()) return fail(Errc::invalid_input, fmt::format("{} is missing", flag));
  if (setting == nullptr) return {};
  if (const auto trouble = trouble_with(*setting, value); !trouble.empty()) return fail(Errc::invalid_input, fmt::format("{}: {}", flag, trouble));
  return {};
}

}  // namespace

const std::vector<std::pair<std::string_view, std::string_view>>& profile_descriptions() {
  static const std::vector<std::pair<std::string_view, std::string_view>> kProfiles = {
      {"infrastructure", "edge, sign-in, backups, metrics, logs, speech, vectors"},
      {"databases", "all datastores"},
      {"bootstrap", "the smallest useful start: edge, sign-in, directory, Portainer, chat"},
      {"bootstrap_vector_dbs", "Qdrant, ClickHouse, embeddings"},
      {"applications", "everything for people, with what it needs"},
      {"gpu", "vLLM, which needs a GPU"},
      {"probe", "this program as a daemon"}};
  return kProfiles;
}

const std::vector<std::string>& known_profiles() {
  static const std::vector<std::string> kProfiles = [] {
    std::vector<std::string> out;
    for (const auto& [name, about] : profile_descriptions()) out.emplace_back(name);
    return out;
  }();
  return kProfiles;
}

std::string_view embedded(std::string_view name) {
  const auto files = embedded_files();
  const auto found = std::ranges::find(files, name, &EmbeddedFile::name);
  if (found == files.end()) throw std::logic_error(fmt::format("the program has no '{}' in it", name));
  return found->content;
}

const Schema& stack_schema() {
  static const Schema kSchema = [] {
    auto schema = parse_schema(embedded("variables.yaml"));
    if (!schema) throw std::logic_error(schema.error().describe());
    return *std::move(schema);
  }();
  return kSchema;
}

Result<std::vector<NewFile>> stack_files(const Schema& schema, const Answers& answers) {
  DM_CHECK(fits(schema, "DOMAIN", answers.domain, "--domain"));
  DM_CHECK(fits(schema, "STACK_ADMIN_EMAIL", answers.mail, "--mail"));
  for (const auto& profile : answers.profiles)
    if (std::ranges::find(known_profiles(), profile) == known_profiles().end())
      return fail(Errc::invalid_input, fmt::format("there is no profile '{}'; there are {}", profile, fmt::join(known_profiles(), ", ")));
  if (answers.edge_tls != "acme" && answers.edge_tls != "internal") return fail(Errc::invalid_input, "--tls is acme or internal");
  std::vector<NewFile> out;
  for (const auto& file : embedded_files()) {
    if (file.name.starts_with("services/")) continue;  // recipes of init --service
    NewFile one{std::string(file.name), std::string(file.content), file.executable ? 0755 : 0644};
    if (one.path == ".env") {
      set_line(one.content, "DOMAIN", answers.domain);
      set_line(one.content, "STACK_ADMIN_EMAIL", answers.mail);
      set_line(one.content, "EDGE_TLS", answers.edge_tls);
      set_line(one.content, "SMTP_HOST", "mail." + answers.domain);
      set_line(one.content, "SMTP_USER", "noreply@" + answers.domain);
      one.content += "\n# What `docker compose up` starts.\n";
      set_line(one.content, "COMPOSE_PROFILES", fmt::format("{}", fmt::join(answers.profiles, ",")));
      if (!answers.debian_base.empty()) {
        one.content += "\n# The Debian release that this program was built on.\n";
        set_line(one.content, "DATAMANCY_BASE", answers.debian_base);
      }
    }
    out.push_back(std::move(one));
  }
  out.push_back({".gitignore", "# Never: keys. The sealed secrets (secrets.enc.env) belong into git, the program's copy and state do not.\nkeys.txt\n*.key\n.datamancy/\nprobe-orchestrator/bin/datamancy\n", 0644});
  return out;
}

Result<std::vector<std::pair<std::string, secrets::SecretString>>> make_secrets(const Schema& schema) {
  std::vector<std::pair<std::string, secrets::SecretString>> out;
  for (const auto& secret : schema.secrets) {
    if (!secret.of.empty()) continue;
    DM_TRY(auto value, during(fmt::format("making {}", secret.name), generate(secret)));
    out.emplace_back(secret.name, std::move(value));
  }
  for (const auto& secret : schema.secrets) {
    if (secret.of.empty()) continue;
    const auto source = std::ranges::find(out, secret.of, [](const auto& one) { return std::string_view(one.first); });
    DM_TRY(auto value, during(fmt::format("making {}", secret.name), derive(secret, source->second)));
    out.emplace_back(secret.name, std::move(value));
  }
  std::ranges::sort(out, {}, [](const auto& one) { return std::string_view(one.first); });
  return out;
}

}  // namespace dm::scaffold
