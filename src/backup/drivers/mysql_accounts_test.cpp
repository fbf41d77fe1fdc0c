#include "backup/drivers/mysql_accounts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dm::backup {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MysqlAccounts, GrantsOnWhatIsGoneAreLeftOutBecauseNobodyCouldBeGivenThem) {
  using Row = std::vector<std::string>;
  using Rows = std::vector<Row>;
  const MysqlAsk ask = [](const std::string& sql) -> Result<Rows> {
    Rows out;
    const auto row = [&](auto... words) { out.push_back(Row{std::string(words)...}); };
    if (sql.starts_with("SELECT user, host")) {
      row("shop", "%");
    } else if (sql.find("mysql.tables_priv") != std::string::npos) {
      row("shop", "old");
    } else if (sql.find("mysql.procs_priv") != std::string::npos) {
      row("Gone", "sum", "PROCEDURE");
      row("shop", "sum", "PROCEDURE");
    } else if (sql.find("information_schema.ROUTINES") != std::string::npos) {
      row("shop", "Sum", "PROCEDURE");
    } else if (sql.find("SHOW GRANTS") == std::string::npos) {
      row("0");
    } else {
      row("account", "0");
      row("CREATE USER `shop`@`%` IDENTIFIED WITH 'mysql_native_password' AS 0x01");
      row("grants", "0");
      row("GRANT SELECT ON `shop`.`old` TO `shop`@`%`");
      row("GRANT EXECUTE ON PROCEDURE `Gone`.`sum` TO `shop`@`%`");
      row("GRANT EXECUTE ON PROCEDURE `shop`.`sum` TO `shop`@`%`");
    }
    return out;
  };
  std::vector<std::string> notes;
  const auto dump = mysql_accounts(ask, "8.4.3", notes);
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_THAT(*dump, Not(HasSubstr("`old`")));
  EXPECT_THAT(*dump, Not(HasSubstr("`Gone`")));
  EXPECT_THAT(*dump, HasSubstr("GRANT EXECUTE ON PROCEDURE `shop`.`sum` TO `shop`@`%`;"));
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_THAT(notes[0], HasSubstr("2 grants"));
}

}  // namespace
}  // namespace dm::backup
