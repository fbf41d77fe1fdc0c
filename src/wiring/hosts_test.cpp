#include "wiring/hosts.hpp"

#include <gtest/gtest.h>

namespace dm::wiring {
namespace {

std::string show(const std::vector<HostText>& hosts) {
  std::string out;
  for (const auto& host : hosts) {
    if (!out.empty()) out += ' ';
    if (host.certainty == HostText::Certainty::perhaps) out += '?';
    if (host.certainty == HostText::Certainty::if_known) out += '~';
    if (!host.scheme.empty()) out += std::string(host.scheme) + "!";
    out += host.host;
    if (host.port) out += ":" + std::to_string(*host.port);
  }
  return out;
}
std::string value(std::string_view name, std::string_view text) { return show(hosts_in_value(name, text)); }
std::string command(std::vector<std::string_view> words) { return show(hosts_in_command(words)); }

TEST(HostsInValue, AUrlNamesItsHostWhateverTheVariableIsCalled) {
  EXPECT_EQ(value("X", "http://api:8080/v1?x=y"), "http!api:8080");
  EXPECT_EQ(value("X", "redis://:pw@cache:6379/0"), "redis!cache:6379");
  EXPECT_EQ(value("X", "jdbc:postgresql://db:5432/app"), "postgresql!db:5432");
  EXPECT_EQ(value("X", "postgres://u:p%40ss@db/app"), "postgres!db");
  EXPECT_EQ(value("X", "tcp://socket-proxy:2375"), "tcp!socket-proxy:2375");
  EXPECT_EQ(value("X", "http://my_app"), "http!my_app");
}

TEST(HostsInValue, SeveralHostsAreAllFound) {
  EXPECT_EQ(value("X", "mongodb://u:p@a:27017,b:27018/x?replicaSet=r"), "mongodb!a:27017 mongodb!b:27018");
  EXPECT_EQ(value("X", "http://a:1,http://b:2"), "http!a:1 http!b:2");
  EXPECT_EQ(value("KAFKA_BROKERS", "a:9092,b:9092"), "a:9092 b:9092");
  EXPECT_EQ(value("ANYTHING", "a:1,b:2"), "~a:1 ~b:2");
}

TEST(HostsInValue, DataSourceNamesAreRead) {
  EXPECT_EQ(value("DSN", "host=db port=5432 user=app dbname=app sslmode=disable"), "db:5432");
  EXPECT_EQ(value("ConnectionStrings__Default", "Server=sql,1433;Database=app;User Id=sa;Password=x"), "sql:1433");
  EXPECT_EQ(value("X", "app:pw@tcp(db:3306)/app?parseTime=true"), "mysql!db:3306");
  EXPECT_EQ(value("X", "mysql:host=db;dbname=app"), "mysql!db");
  EXPECT_EQ(value("X", "host=/var/run/postgresql dbname=app"), "");
  EXPECT_EQ(value("X", "colour=red size=2"), "");
}

TEST(HostsInValue, TheVariablesNameDecidesWhereTheValueDoesNot) {
  EXPECT_EQ(value("DB_HOST", "db"), "db");
  EXPECT_EQ(value("WORDPRESS_DB_HOST", "db:3306"), "db:3306");
  EXPECT_EQ(value("PGHOST", "db"), "db");
  EXPECT_EQ(value("AUTHELIA_STORAGE_POSTGRES_ADDRESS", "tcp://postgres:5432"), "tcp!postgres:5432");
  EXPECT_EQ(value("APP_HOST", "app"), "?app");
  EXPECT_EQ(value("FEEDBACK_HOST", "app"), "?app");
  EXPECT_EQ(value("DATABASE_URL", "postgres://db"), "postgres!db");
  EXPECT_EQ(value("ROOT_URL", "http://app:3000"), "?http!app:3000");
}

TEST(HostsInValue, LookAlikesAreNoHosts) {
  for (const auto& [name, text] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"TZ", "Europe/Berlin"}, {"SMTP_FROM", "me@example.org"}, {"DB_HOST", "me@example.org"}, {"DB_HOST", "/var/run/postgresql"},
           {"DB_HOST", "none"}, {"DB_HOST", "true"}, {"DB_HOST", "12"}, {"DB_HOST", "${OTHER}"}, {"DB_HOST", "db-$X"}, {"URL", "http://$HOST:80"},
           {"URL", "http://db{{ .x }}"}, {"URL", "unix:///run/x.sock"}, {"URL", "sqlite:///data/x.db"}, {"X", "file:///etc/x"}, {"X", "12:30"},
           {"ALLOWED_HOSTS", "app,example.org"}, {"CORS_ORIGINS", "http://app:3000"}, {"LISTEN_ADDRESS", "0.0.0.0:80"}, {"VIRTUAL_HOST", "app"},
           {"MY_IMAGE", "postgres:16"}, {"X", "postgres://u:p/w@db/x"}, {"X", "fe80::1"}, {"X", ""}, {"DB_HOST", ""}, {"DATABASE_URL", "sqlite"},
           {"X", "*.example.org:80"}, {"X", "a b:80"}, {"X", "http://"}, {"X", "://x"}, {"MOTD", "see http://"}})
    EXPECT_EQ(value(name, text), "") << name << "=" << text;
}

TEST(HostsInValue, AddressesOfVersionSixStandInBrackets) {
  EXPECT_EQ(value("X", "http://[::1]:8080/"), "http!::1:8080");
  EXPECT_EQ(value("X", "http://[fd00::5]/"), "http!fd00::5");
  EXPECT_EQ(value("DB_HOST", "[fd00::5]:5432"), "fd00::5:5432");
}

TEST(HostsInCommand, ToolsAndUrlsAreUnderstood) {
  EXPECT_EQ(command({"CMD", "curl", "-f", "http://localhost:8080/health"}), "http!localhost:8080");
  EXPECT_EQ(command({"CMD-SHELL", "wget -qO- http://127.0.0.1:80/ || exit 1"}), "http!127.0.0.1:80");
  EXPECT_EQ(command({"CMD-SHELL", "pg_isready -h db -p 5433 -U app"}), "db:5433");
  EXPECT_EQ(command({"sh", "-c", "until nc -z db 5432; do sleep 1; done; exec app"}), "db:5432");
  EXPECT_EQ(command({"mysqladmin", "ping", "-h", "db", "-p", "3307"}), "db");
  EXPECT_EQ(command({"--storage.url=http://store:9000"}), "http!store:9000");
  EXPECT_EQ(command({"./wait-for-it.sh", "db:5432", "--", "app"}), "~db:5432");
}

TEST(HostsInCommand, OptionsThatOnlyLookLikeHostsAreNone) {
  EXPECT_EQ(command({"curl", "-h"}), "");
  EXPECT_EQ(command({"sh", "-c", "# see http://docs\nexec app"}), "");
  EXPECT_EQ(command({"--web.external-url=http://prometheus:9090"}), "?http!prometheus:9090");
  EXPECT_EQ(command({"sed", "s#https://oss\\.example\\.org#https://x.example.org#"}), "https!x.example.org");
  EXPECT_EQ(command({"date", "+%H:%M"}), "");
  EXPECT_EQ(command({"app", "--listen", "0.0.0.0:80"}), "~0.0.0.0:80");
}

TEST(PortPartner, StandsBesideTheHost) {
  EXPECT_EQ(port_partner("DB_HOST"), "DB_PORT");
  EXPECT_EQ(port_partner("PGHOST"), "PGPORT");
  EXPECT_EQ(port_partner("db_host"), "db_port");
  EXPECT_EQ(port_partner("SMTP_SERVER"), "SMTP_PORT");
  EXPECT_EQ(port_partner("TZ"), "");
}

}  // namespace
}  // namespace dm::wiring
