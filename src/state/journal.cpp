#include "state/journal.hpp"

namespace dm::state {

std::int64_t begin(Db& db, const Entry& entry) {
  db.run("insert into journal (at, who, verb, subject, action) values (?, ?, ?, ?, ?)", entry.at, entry.who, entry.verb, entry.subject, entry.action);
  const auto [id] = db.rows<std::int64_t>("select last_insert_rowid()").at(0);
  return id;
}

void finish(Db& db, std::int64_t id, std::string_view outcome) { db.run("update journal set outcome = ? where id = ?", outcome, id); }

std::vector<Entry> newest_entries(Db& db, std::int64_t limit) {
  std::vector<Entry> out;
  using S = std::string;
  using I = std::int64_t;
  for (auto& [id, at, who, verb, subject, action, outcome] : db.rows<I, I, S, S, S, S, S>(
           "select id, at, who, verb, subject, action, coalesce(outcome, '') from journal order by id desc limit ?", limit))
    out.push_back({id, at, who, verb, subject, action, outcome});
  return out;
}

}  // namespace dm::state
