/// What is known about products: data, one file per product under products/, each claim with its source.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace dm::product {

struct PortFact {
  std::uint16_t port = 0;
  std::string protocol = "tcp";
  std::string purpose;          ///< "http", "sql", "admin", ...
  std::string changed_by;       ///< environment variable or flag that moves it, "" = fixed
};

struct DataPath {
  std::string path;             ///< in the container
  std::string holds;            ///< "database", "uploads", "certificates", "cache", "configuration", "queue", ...
  bool essential = true;        ///< losing it loses user data
};

struct FileVariable {
  std::string variable;         ///< POSTGRES_PASSWORD
  std::string file_variable;    ///< POSTGRES_PASSWORD_FILE
};

struct HealthFact {
  std::vector<std::string> test;///< a healthcheck that works with the tools of the image, CMD or CMD-SHELL form
  bool read_only = true;        ///< asking changes nothing
  bool truthful = true;         ///< fails when the service is broken
  std::string start_period;     ///< Go duration
};

struct KernelFact {
  std::string setting;          ///< "vm.max_map_count"
  std::uint64_t at_least = 0;
  std::string why;              ///< what happens otherwise
};

/// What happens to the data between two versions.
struct UpgradeFact {
  std::string step;             ///< "major", "minor" (and major), "older", "any"
  std::string data;             ///< "dump": unreadable for the new one; "migrates": changed on the first start; "" = stays
  bool one_at_a_time = false;   ///< no major version may be left out
  std::string why;
};

/// A product: an image or a family of images of one upstream.
struct Product {
  std::string id;                          ///< "postgres": the file's name
  std::string name;                        ///< "PostgreSQL"
  std::vector<std::string> images;         ///< repository names without registry default: "postgres", "library/postgres"
  std::string kind;                        ///< "database", "cache", "proxy", "identity", "application", "tool", "one-shot", ...
  std::string datastore;                   ///< "postgres", "mariadb", "valkey", "ldap", "clickhouse", "qdrant", "couchdb", "sqlite", ... or ""
  std::vector<PortFact> ports;
  std::vector<DataPath> data;
  std::vector<std::string> tools;          ///< programs known to be in the image: "sh", "curl", "wget", "pg_isready"
  std::vector<std::string> missing_tools;  ///< programs known not to be in it
  std::vector<HealthFact> health;          ///< best first
  bool image_health = false;               ///< the image has a HEALTHCHECK of its own
  /// Fragments of checks that may be asked early, before the engine asks: they change nothing and pass only where clients may
  /// enter ("pg_isready -h", not the socket of a temporary init server).
  std::vector<std::string> early_health;
  std::vector<KernelFact> kernel;          ///< settings of the engine's machine that it needs
  std::vector<std::string> vacuous_health; ///< fragments of checks that pass on a broken service: "caddy version"
  std::vector<FileVariable> file_variables;
  std::vector<std::string> required_variables;  ///< the image does not start without; "A|B" = without one of them
  std::vector<std::string> secret_variables;
  std::optional<std::uint32_t> memory_mb;  ///< limit to start from
  std::optional<std::uint32_t> memory_idle_mb;
  std::optional<double> cpus;
  std::string stop_grace_period;           ///< "" = the engine's 10 s will do
  bool needs_init = false;
  bool keeps_root = false;                 ///< must start as root / cannot be read_only: do not flag
  bool no_sign_in = false;                 ///< lets everybody in unless an option or a proxy asks who is there
  std::string backup_method;
  std::string quiesce;                     ///< while its files are copied: "pause", "stop"; "files-first" = before the databases; "" = it need not stand still
  std::string quiesce_why;
  std::string risk;                        ///< why it may exhaust the host, "" = no known reason
  std::vector<std::string> versions_together;  ///< other products that must run the same version
  std::vector<UpgradeFact> upgrades;
  std::vector<std::string> notes;          ///< what bites, one sentence each
  std::vector<std::string> sources;        ///< where the facts come from
  /// How the image takes the variable `wanted` from a file; null where it does not.
  const FileVariable* file_form(std::string_view wanted) const {
    for (const auto& one : file_variables)
      if (one.variable == wanted) return &one;
    return nullptr;
  }
};

/// Parses one product file. Errors: `invalid_input` with line, for unknown keys and wrong kinds.
Result<Product> parse_product(std::string_view id, std::string_view yaml);

/// Products by image; files are parsed when first asked for. Not thread-safe.
class Catalogue {
 public:
  Catalogue();  ///< the compiled-in ones
  ~Catalogue();
  Catalogue(Catalogue&&) noexcept;
  /// The product of an image reference ("ghcr.io/x/postgres:16@sha256:..."), or null. The most specific repository wins.
  const Product* by_image(std::string_view image) const;
  const Product* by_id(std::string_view id) const;
  std::vector<std::string_view> ids() const;
  /// Adds or replaces a product from a user's file.
  Result<void> add(std::string_view id, std::string yaml);

 private:
  struct State;
  State* state_;
};

/// Parts of an image reference; views into it. "" for what is absent; registry as written.
struct ImageName {
  std::string_view registry, repository /* without registry, e.g. "library/postgres" or "postgres" */, tag, digest;
};
ImageName split_image(std::string_view image);

}  // namespace dm::product
