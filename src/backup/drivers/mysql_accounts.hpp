/// Users and grants of MySQL, whose own program cannot dump them: as the statements by which the server itself says how they were made.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/io.hpp"

namespace dm::backup {

/// The first words of such a dump.
constexpr std::string_view kMysqlAccounts = "-- MySQL accounts, written by datamancy";

/// Answers of several statements, row by row.
using MysqlAsk = std::function<Result<std::vector<std::vector<std::string>>>(const std::string& sql)>;

/// `text` as a name (mark '`') or a text (mark '\'') of SQL.
std::string sql_quoted(std::string_view text, char mark);

/// SQL that makes every account of a MySQL 5.7 or later anew, but those that the server and its image make themselves (`mysql.*`, `root@localhost`, `root@%`)
/// and the drill's own. What it cannot hold goes to `notes`. Errors: `corrupt` where an answer is none.
Result<std::string> mysql_accounts(const MysqlAsk& ask, std::string_view version, std::vector<std::string>& notes);

/// What `mariadb-dump --system=users` wrote, without the accounts by which we are in: to make them anew takes our own rights away half-way.
std::string without_root(std::string_view dump);

}  // namespace dm::backup
