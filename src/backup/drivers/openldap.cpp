/// OpenLDAP: slapcat of the configuration and of every database, while the server runs.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "backup/driver.hpp"
#include "backup/drivers/drivers.hpp"
#include "backup/inside.hpp"
#include "backup/ldif_stream.hpp"

namespace dm::backup {
namespace {

constexpr std::string_view kConfig = "(configuration)";

/// The configuration folder of the images in use; $1 = what to run with it.
constexpr std::string_view kRun = R"sh(
dir=
for d in "${DATAMANCY_SLAPD_D:-}" "${LDAP_CONFIG_DIR:-}" /etc/ldap/slapd.d /etc/openldap/slapd.d /bitnami/openldap/slapd.d /usr/local/etc/openldap/slapd.d; do
  if [ -n "$d" ] && [ -d "$d/cn=config" ]; then dir=$d; break; fi
done
if [ -z "$dir" ]; then echo "there is no configuration folder slapd.d" >&2; exit 3; fi
what=$1; shift
case $what in
  where) printf %s "$dir" ;;
  cat) exec slapcat -F "$dir" -o ldif-wrap=no "$@" ;;
  test) exec slaptest -u -F "$dir" ;;
esac
)sh";

/// Its files can be read before anybody listens. By what the kernel says: images have not always a client.
constexpr std::string_view kListens = R"sh(
for port in 389 636 1389 1636; do
  if grep -qE "^ *[0-9]+: [0-9A-F]+:$(printf %04X $port) 0+:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null; then exit 0; fi
done
echo "slapd listens on none of the ports 389, 636, 1389 and 1636 yet" >&2
exit 1
)sh";

/// In a stand-in: $1 = configuration folder, $2 = number of the database, $3 = its folder.
constexpr std::string_view kAdd = R"sh(
set -e
umask 077
if [ "$2" = 0 ]; then
  mkdir -p "$1"; rm -rf "$1"/*  # it may be a mount, which cannot go
  exec slapadd -n 0 -F "$1"
fi
mkdir -p "$3"; rm -rf "$3"/*
exec slapadd -q -n "$2" -F "$1"
)sh";

std::vector<std::pair<std::string, std::string>> attributes(std::string_view entry) {
  std::vector<std::pair<std::string, std::string>> out;
  for (std::string_view rest = entry; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto cut = line.find(": ");
    if (cut != std::string_view::npos) out.emplace_back(line.substr(0, cut), line.substr(cut + 2));
  }
  return out;
}

class Openldap final : public Driver {
 public:
  std::string_view kind() const override { return "openldap"; }
  std::string_view title() const override { return "OpenLDAP"; }

  Result<void> examine(engine::Engine& engine, Target& target, const Deadline& deadline) const override {
    DM_TRY(const auto where, run_inside(engine, target.container, {.name = "slapd tools", .script = kRun, .words = {"where"}}, deadline.at_most(std::chrono::minutes(1))));
    target.facts["slapd_d"] = where.out;
    DM_TRY(const auto config, run_inside(engine, target.container, {.name = "slapd tools", .script = kRun, .words = {"cat", "-n", "0", "-a", "(objectClass=olcDatabaseConfig)"}}, deadline.at_most(std::chrono::minutes(1))));
    // Each database with files of its own: number, folder, suffix.
    std::string list;
    for (std::string_view rest = config.out; !rest.empty();) {
      const auto end = std::min(rest.find("\n\n"), rest.size());
      const auto entry = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 2, rest.size()));
      std::string number, folder, suffix;
      for (const auto& [name, value] : attributes(entry)) {
        if (name == "olcDatabase" && value.starts_with('{')) number = value.substr(1, value.find('}') - 1);
        if (name == "olcDbDirectory") folder = value;
        if (name == "olcSuffix" && suffix.empty()) suffix = value;
      }
      if (!number.empty() && number != "0" && number != "-1" && !folder.empty()) list += fmt::format("{}\t{}\t{}\n", number, folder, suffix);
    }
    target.facts["databases"] = list;
    return {};
  }

  Result<void> answers(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    DM_CHECK(run_inside(engine, target.container, {.name = "looking for slapd's port", .script = kListens}, deadline.at_most(std::chrono::minutes(1))));
    return {};
  }

  Result<std::vector<Item>> items(engine::Engine&, const Target& target, const Deadline&) const override {
    std::vector<Item> out{{.name = std::string(kConfig), .file = "config.ldif", .small = true}};
    for (const auto& database : databases(target)) out.push_back({.name = database.suffix, .file = fmt::format("db-{}.ldif", database.number)});
    return out;
  }

  Result<void> dump(engine::Engine& engine, const Target& target, const Item& item, const Sink& out, std::vector<std::string>&, const Deadline& deadline) const override {
    DM_TRY(const auto number, number_of(target, item));
    Inside inside{.name = "slapd tools", .script = kRun, .words = {"cat", "-n", number}};
    if (target.facts.contains("stand_in")) inside.env = {"DATAMANCY_SLAPD_D=" + folder(target)};
    inside.out = out;
    DM_CHECK(run_inside(engine, target.container, std::move(inside), deadline));
    return out(fmt::format("{}\n", kLdifEnd));
  }

  std::unique_ptr<DumpReader> reader(const Item&) const override { return std::make_unique<LdifStream>(); }

  Result<engine::NewContainer> stand_in(const Target& target) const override {
    engine::NewContainer out;
    out.image = target.image_id;
    out.network = "none";
    out.env = {"DATAMANCY_STAND_IN=1"};
    out.entrypoint = {"sh", "-c", "while :; do sleep 3600; done"};
    out.init = true;
    return out;
  }

  Result<void> await(engine::Engine&, const Target&, const Deadline&) const override { return {}; }

  Result<void> restore(engine::Engine& engine, const Target& target, const Item& item, const Source& in, const RestoreInto&, const Deadline& deadline) const override {
    if (!target.facts.contains("stand_in")) return fail(Errc::unsupported, "a running slapd is not written to; 'backup restore --to' writes the LDIF into a folder");
    DM_TRY(const auto number, number_of(target, item));
    std::string files;
    for (const auto& database : databases(target))
      if (database.number == number) files = database.folder;
    DM_CHECK(run_inside(engine, target.container, {.name = "slapd tools", .script = kAdd, .words = {folder(target), number, files}, .in = in}, deadline));
    return {};
  }

  Result<std::string> check(engine::Engine& engine, const Target& target, const Deadline& deadline) const override {
    Inside inside{.name = "slapd tools", .script = kRun, .words = {"test"}};
    inside.env = {"DATAMANCY_SLAPD_D=" + folder(target)};
    auto tested = run_inside(engine, target.container, std::move(inside), deadline);
    if (!tested) return fail(Errc::corrupt, fmt::format("slaptest: {}", tested.error().message));
    return std::string("slaptest clean");
  }

  Compare comparison(const Target&, const Target&) const override { return Compare::everything; }

 private:
  struct Database {
    std::string number, folder, suffix;
  };
  static std::vector<Database> databases(const Target& target) {
    std::vector<Database> out;
    const auto found = target.facts.find("databases");
    if (found == target.facts.end()) return out;
    for (std::string_view rest = found->second; !rest.empty();) {
      const auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      const auto first = line.find('\t');
      const auto second = line.find('\t', first + 1);
      if (first == std::string_view::npos || second == std::string_view::npos) continue;
      out.push_back({std::string(line.substr(0, first)), std::string(line.substr(first + 1, second - first - 1)), std::string(line.substr(second + 1))});
    }
    return out;
  }
  static Result<std::string> number_of(const Target& target, const Item& item) {
    if (item.name == kConfig) return std::string("0");
    for (const auto& database : databases(target))
      if (database.suffix == item.name) return database.number;
    return fail(Errc::not_found, fmt::format("there is no database for '{}'", item.name));
  }
  static std::string folder(const Target& target) {
    const auto found = target.facts.find("slapd_d");
    return found == target.facts.end() || found->second.empty() ? "/etc/ldap/slapd.d" : found->second;
  }
};

}  // namespace

const Driver& openldap_driver() {
  static const Openldap driver;
  return driver;
}

}  // namespace dm::backup
