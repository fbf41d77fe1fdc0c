#include "backup/drivers/mysql_accounts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/words.hpp"

namespace dm::backup {
namespace {

std::string account(std::string_view user, std::string_view host) { return sql_quoted(user, '`') + "@" + sql_quoted(host, '`'); }

/// As grants name it, in lower case: the server keeps such names so. `row`: database, name, kind.
std::string routine(const std::vector<std::string>& row) { return lowered(fmt::format(" ON {} {}.{} TO ", row[2], sql_quoted(row[0], '`'), sql_quoted(row[1], '`'))); }

/// A name for a comment, which ends with its line.
std::string one_line(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

/// Takes " DEFAULT ROLE `a`@`b`,`c`@`d`" out of a CREATE USER: the roles are granted only later. "" = it has none.
std::string take_default_roles(std::string& create) {
  constexpr std::string_view kWords = " DEFAULT ROLE ";
  char quote = 0;
  std::size_t begin = std::string::npos;
  for (std::size_t i = 0; i < create.size(); ++i) {
    const char c = create[i];
    if (quote != 0) {
      if (c == '\\' && quote == '\'') ++i;
      else if (c == quote) quote = 0;  // one that is doubled begins again at once
    } else if (c == '\'' || c == '`') {
      quote = c;
    } else if (begin == std::string::npos && std::string_view(create).substr(i).starts_with(kWords)) {
      begin = i;
      i += kWords.size() - 1;
    } else if (c == ' ' && begin != std::string::npos) {
      const auto roles = create.substr(begin + kWords.size(), i - begin - kWords.size());
      create.erase(begin, i - begin);
      return roles;
    }
  }
  if (begin == std::string::npos) return {};
  const auto roles = create.substr(begin + kWords.size());
  create.erase(begin);
  return roles;
}

}  // namespace

std::string sql_quoted(std::string_view text, char mark) {
  std::string out(1, mark);
  for (const char c : text) {
    if (c == mark || (mark == '\'' && c == '\\')) out += c;
    out += c;
  }
  return out + mark;
}

Result<std::string> mysql_accounts(const MysqlAsk& ask, std::string_view version, std::vector<std::string>& notes) {
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  DM_TRY(const auto names, ask("SELECT user, host FROM mysql.user WHERE user NOT IN ('mysql.sys', 'mysql.session', 'mysql.infoschema', 'datamancy_drill') AND NOT (user = 'root' AND host IN ('localhost', '%')) ORDER BY user, host;\n"));
  // A grant on a table outlives the table; nobody could be given it again.
  DM_TRY(const auto gone, ask("SELECT DISTINCT t.Db, t.Table_name FROM mysql.tables_priv t LEFT JOIN information_schema.tables i ON i.table_schema = t.Db AND i.table_name = t.Table_name WHERE i.table_name IS NULL;\n"));
  // So does one on a routine whose database was dropped. Compared here: the two lists are of different collations.
  DM_TRY(auto routines, ask("SELECT Db, Routine_name, Routine_type FROM mysql.procs_priv;\n"));
  if (!routines.empty()) {
    DM_TRY(const auto there, ask("SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES;\n"));
    std::set<std::string> known;
    for (const auto& row : there)
      if (row.size() == 3) known.insert(routine(row));
    std::erase_if(routines, [&](const auto& row) { return row.size() != 3 || known.contains(routine(row)); });
  }
  std::string sql = "SET SESSION sql_mode = '';\n";
  if (major >= 8) sql += "SET SESSION print_identified_with_as_hex = ON;\n";  // a hash of today's kind is no text
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].size() != 2) return fail(Errc::corrupt, "the server's list of accounts cannot be read");
    const auto who = account(names[i][0], names[i][1]);
    sql += fmt::format("SELECT 'account', {0};\nSHOW CREATE USER {1};\nSELECT 'grants', {0};\nSHOW GRANTS FOR {1};\n", i, who);
  }
  struct Made {
    std::string create{}, roles{};
    std::vector<std::string> grants{};
  };
  std::vector<Made> made(names.size());
  if (!names.empty()) {
    DM_TRY(auto rows, ask(sql));
    Made* now = nullptr;
    bool grants = false;
    for (auto& row : rows) {
      if (row.size() == 2) {  // ours: what SHOW gives has one column
        std::size_t number = names.size();
        std::from_chars(row[1].data(), row[1].data() + row[1].size(), number);
        if (number >= names.size()) return fail(Errc::corrupt, "the server's account of its users cannot be read");
        now = &made[number];
        grants = row[0] == "grants";
      } else if (now == nullptr || row.empty() || !(row[0].starts_with("CREATE USER ") || (grants && (row[0].starts_with("GRANT ") || row[0].starts_with("REVOKE "))))) {
        return fail(Errc::corrupt, "the server's account of its users cannot be read");
      } else if (grants) {
        now->grants.push_back(std::move(row[0]));
      } else {
        now->create = std::move(row[0]);
        now->roles = take_default_roles(now->create);
      }
    }
  }
  std::string out = fmt::format("{}\n-- Server version\t{}\nSET SESSION sql_mode = '';\n", kMysqlAccounts, one_line(std::string(version)));
  std::size_t left_out = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (made[i].create.empty() || made[i].grants.empty()) return fail(Errc::corrupt, fmt::format("the server does not say how {} was made", one_line(account(names[i][0], names[i][1]))));
    const auto who = account(names[i][0], names[i][1]);
    out += fmt::format("-- Account {}\nDROP USER IF EXISTS {};\n{};\n", one_line(who), who, made[i].create);
  }
  // Grants name other accounts, too: roles, and whom one may act for.
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto who = account(names[i][0], names[i][1]);
    out += fmt::format("-- Account {}\n", one_line(who));
    for (const auto& grant : made[i].grants) {
      const bool stale = std::ranges::any_of(gone, [&](const auto& table) {
        return table.size() == 2 && grant.find(fmt::format(" ON {}.{} TO ", sql_quoted(table[0], '`'), sql_quoted(table[1], '`'))) != std::string::npos;
      });
      const auto lower = routines.empty() ? std::string() : lowered(grant);
      if (stale || std::ranges::any_of(routines, [&](const auto& row) { return lower.find(routine(row)) != std::string::npos; })) ++left_out;
      else out += grant + ";\n";
    }
    if (!made[i].roles.empty()) out += fmt::format("ALTER USER {} DEFAULT ROLE {};\n", who, made[i].roles);
  }
  if (left_out > 0) notes.push_back(fmt::format("{} on tables or routines that are gone {} left out: nobody could be given {} again", counted(left_out, "grant"), left_out == 1 ? "is" : "are", left_out == 1 ? "it" : "them"));
  if (major >= 8) {
    DM_TRY(const auto second, ask("SELECT count(*) FROM mysql.user WHERE JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password');\n"));
    if (!second.empty() && second[0][0] != "0") notes.push_back(fmt::format("{} accounts have a second password (RETAIN CURRENT PASSWORD), which the server does not show: only the first one is saved", second[0][0]));
  }
  return out + "-- Dump completed\n";
}

std::string without_root(std::string_view dump) {
  std::string out;
  for (std::string_view rest = dump; !rest.empty();) {
    const auto line = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
    rest.remove_prefix(line.size());
    const bool statement = line.starts_with("CREATE ") || line.starts_with("GRANT ") || line.starts_with("/*!50701 DROP USER") || line.starts_with("/*M!100005 SET DEFAULT ROLE") || line.starts_with("/*!80001 ALTER USER");
    if (!statement || (line.find("`root`@`") == std::string_view::npos && line.find("'root'@'") == std::string_view::npos)) out += line;
  }
  return out;
}

}  // namespace dm::backup
