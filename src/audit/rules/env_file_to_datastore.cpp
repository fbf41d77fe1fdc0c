#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "audit/rules/helpers.hpp"
#include "formats/dotenv.hpp"
#include "sensitive/sensitive.hpp"

namespace dm::audit::rules {
namespace {

/// A variable that a server of this kind or its clients call their own: DATABASE_PASSWORD for PostgreSQL, CACHE_TOKEN for Valkey.
bool of_the_store(std::string_view name, std::string_view kind) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  static constexpr std::array kSql{"DB", "DATABASE", "POSTGRES", "PG", "SQL", "MARIA"};
  static constexpr std::array kCache{"REDIS", "VALKEY", "CACHE"};
  static constexpr std::array kObjects{"MINIO", "S3", "AWS"};
  const auto any = [&](const auto& words) { return std::ranges::any_of(words, [&](const char* word) { return upper.find(word) != std::string::npos; }); };
  if (kind == "postgres" || kind == "mariadb" || kind == "mysql") return any(kSql);
  if (kind == "valkey" || kind == "redis") return any(kCache);
  if (kind == "minio") return any(kObjects);
  std::string own(kind.substr(0, 5));
  std::ranges::transform(own, own.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper.find(own) != std::string::npos || any(kSql);
}

/// Secrets in the env file, or in its example where the file is still to be made, that the store has no use for.
std::vector<std::string> foreign_secrets(const Input& input, const compose::Service& service, std::string_view kind, const std::string& path) {
  auto file = input.project.texts.find(path);
  const bool example = file == sources::kNoFile;
  if (example) {
    const auto other = example_of(input, path);
    if (other.empty()) return {};
    const auto opened = input.texts_owner.texts.open(sources::clean_path(other, input.project.folder));
    if (!opened) return {};
    file = *opened;
  }
  std::set<std::string_view> own;  // the store's own password under another name is no other secret
  for (const auto& variable : service.environment)
    if (sensitive::secret_name(variable.name) && of_the_store(variable.name, kind)) own.insert(variable.value.value);
  std::vector<std::string> out;
  for (const auto& entry : formats::parse_dotenv_raw(input.project.texts.at(file).content).entries) {
    if (entry.inherits || !sensitive::secret_name(entry.key) || of_the_store(entry.key, kind)) continue;
    if (!example && (entry.value.empty() || own.contains(entry.value))) continue;
    if (std::ranges::find(out, entry.key) == out.end()) out.push_back(entry.key);
  }
  return out;
}

}  // namespace

extern constinit const Rule env_file_to_datastore{
    .id = "DM0513",
    .name = "env-file-to-datastore",
    .severity = Severity::medium,
    .area = Area::security,
    .summary = "a datastore is given an env file with the secrets of others",
    .rationale = "Whoever gets into the database (an SQL injection with file or program access is enough) reads all of its environment: "
                 "session keys, mail and cloud credentials of services that it never talks to. `docker inspect` shows them too.",
    .fix = "Name under `environment:` the few variables that the server reads, or give it an env file of its own.",
    .checks = "51",
    .bad = R"(services:
  db:
    image: postgres:17
    env_file: [.env]  # <- DM0513
    volumes: ["pg:/var/lib/postgresql/data"]
  search:
    image: getmeili/meilisearch:v1.12.8
    env_file: [.env]  # <- DM0513
    volumes: ["search:/meili_data"]
  web:
    image: example/web:1
    env_file: [.env]
volumes: {pg: , search: }
-- .env
POSTGRES_PASSWORD=sunflower
SESSION_SECRET=kohlrabi
SMTP_PASSWORD=parsnip
)",
    .good = R"(services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    volumes: ["pg:/var/lib/postgresql/data"]
  web:
    image: example/web:1
    env_file: [.env]
volumes: {pg: }
-- .env
POSTGRES_PASSWORD=sunflower
SESSION_SECRET=kohlrabi
)",
    .look_alike = R"(services:
  db:
    image: postgres:17
    env_file: [db.env]
    volumes: ["pg:/var/lib/postgresql/data"]
  web:
    image: example/web:1
    env_file: [db.env, web.env]
volumes: {pg: }
-- db.env
POSTGRES_PASSWORD=sunflower
DATABASE_PASSWORD=sunflower
DATABASE_URL=postgres://app:sunflower@db/app
TOKEN_URL=https://id.example.org/token
MAIL_PASSWORD=
-- web.env
SESSION_SECRET=kohlrabi
)",
    .minutes = 5,
    .check =
        [](const Input& input, Report& report) {
          const auto judge = [&](ServiceId id, std::string_view kind) {
            const auto& service = input.wiring.service(id);
            for (const auto& file : service.env_files) {
              const auto names = foreign_secrets(input, service, kind, std::string(file.value));
              if (names.empty()) continue;
              constexpr std::size_t kMost = 3;
              std::string list;
              for (std::size_t i = 0; i < std::min(kMost, names.size()); ++i) list += fmt::format("{}{}", i == 0 ? "" : ", ", names[i]);
              if (names.size() > kMost) list += fmt::format(" and {} more", names.size() - kMost);
              report.add(file.where(), id,
                         fmt::format("'{}' is given all of {}, with secrets that are none of its own: {}", service.name,
                                     sources::relative_to(file.value, input.project.folder), list));
            }
          };
          each_service(input, [&](ServiceId id, const compose::Service&) {
            const auto* product = input.wiring.product_of[id];
            if (const auto* store = input.wiring.datastore(id); store != nullptr) judge(id, store->kind);
            else if (product != nullptr && (product->id == "meilisearch" || product->id == "memcached")) judge(id, product->id);  // servers whose data can be made again
          });
        },
};

}  // namespace dm::audit::rules
