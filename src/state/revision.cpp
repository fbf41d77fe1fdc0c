#include "state/revision.hpp"

#include <algorithm>

namespace dm::state {
namespace {

constexpr std::int64_t kKeep = 50;

constexpr const char* kColumns = "select id, at, ended, who, verb, result, note, compose, folder from revisions ";

using Row = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::string, std::string, std::string, std::string, std::string, std::string>;

Revision from(const Row& row) {
  Revision out;
  std::tie(out.id, out.at, out.ended, out.who, out.verb, out.result, out.note, out.compose, out.folder) = row;
  return out;
}

template <class... Args>
std::vector<Revision> select(Db& db, const std::string& where, const Args&... args) {
  std::vector<Revision> out;
  for (const auto& row : db.rows<std::int64_t, std::int64_t, std::int64_t, std::string, std::string, std::string, std::string, std::string, std::string>(kColumns + where, args...))
    out.push_back(from(row));
  return out;
}

void write_services(Db& db, std::int64_t id, const std::vector<RevisionService>& services) {
  db.run("delete from revision_services where revision = ?", id);
  for (const auto& s : services)
    db.run("insert into revision_services (revision, service, image, image_id, config) values (?, ?, ?, ?, ?)", id, std::string_view(s.service),
           std::string_view(s.image), std::string_view(s.image_id), std::string_view(s.config));
}

Revision fill(Db& db, Revision out) {
  for (auto& [model, holes] : db.rows<std::string, std::string>("select model, holes from revisions where id = ?", out.id)) {
    out.model = model;
    out.holes = holes;
  }
  for (auto& [service, image, image_id, config] :
       db.rows<std::string, std::string, std::string, std::string>("select service, image, image_id, config from revision_services where revision = ? order by service", out.id))
    out.services.push_back({service, image, image_id, config});
  for (auto& [path, digest, kept, content] :
       db.rows<std::string, std::string, std::int64_t, std::string>("select path, digest, kept, content from revision_files where revision = ? order by path", out.id))
    out.files.push_back({path, digest, kept != 0, content});
  return out;
}

}  // namespace

std::int64_t begin_revision(Db& db, const Revision& revision) {
  std::int64_t id = 0;
  db.transaction([&] {
    db.run("insert into revisions (at, ended, who, verb, result, note, compose, folder, model, holes) values (?, 0, ?, ?, 'under way', ?, ?, ?, ?, ?)", revision.at,
           std::string_view(revision.who), std::string_view(revision.verb), std::string_view(revision.note), std::string_view(revision.compose),
           std::string_view(revision.folder), std::string_view(revision.model), std::string_view(revision.holes));
    id = std::get<0>(db.rows<std::int64_t>("select last_insert_rowid()").front());
    write_services(db, id, revision.services);
    for (const auto& file : revision.files)
      db.run("insert into revision_files (revision, path, digest, kept, content) values (?, ?, ?, ?, ?)", id, std::string_view(file.path), std::string_view(file.digest),
             std::int64_t{file.kept ? 1 : 0}, std::string_view(file.content));
  });
  return id;
}

void end_revision(Db& db, std::int64_t id, std::string_view result, std::string_view note, const std::vector<RevisionService>& services, std::int64_t at) {
  db.transaction([&] {
    db.run("update revisions set ended = ?, result = ?, note = ? where id = ?", at, result, note, id);
    if (!services.empty()) write_services(db, id, services);
    // Old ones go, but never the newest good ones.
    const char* const old =
        "(select id from revisions where id not in (select id from revisions order by id desc limit ?1) "
        "and id not in (select id from revisions where result = 'good' order by id desc limit 5))";
    for (const auto* table : {"revision_services", "revision_files"}) db.run(std::string("delete from ") + table + " where revision in " + old, kKeep);
    db.run(std::string("delete from revisions where id in ") + old, kKeep);
  });
}

std::vector<Revision> revisions(Db& db, std::int64_t limit) { return select(db, "order by id desc limit ?", limit); }

std::optional<Revision> revision(Db& db, std::int64_t id) {
  auto found = select(db, "where id = ?", id);
  if (found.empty()) return std::nullopt;
  return fill(db, std::move(found.front()));
}

std::optional<Revision> last_good(Db& db, std::int64_t before) {
  auto found = before > 0 ? select(db, "where result = 'good' and id < ? order by id desc limit 1", before) : select(db, "where result = 'good' order by id desc limit 1");
  if (found.empty()) return std::nullopt;
  return fill(db, std::move(found.front()));
}

std::map<std::string, std::map<std::string, std::string>> container_files(Db& db) {
  std::map<std::string, std::map<std::string, std::string>> out;
  for (auto& [container, path, digest] : db.rows<std::string, std::string, std::string>("select container, path, digest from container_files")) out[container][path] = digest;
  return out;
}

void set_container_files(Db& db, std::string_view container, const std::map<std::string, std::string>& digests) {
  db.transaction([&] {
    db.run("delete from container_files where container = ?", container);
    for (const auto& [path, digest] : digests)
      db.run("insert into container_files (container, path, digest) values (?, ?, ?)", container, std::string_view(path), std::string_view(digest));
  });
}

void forget_containers(Db& db, const std::vector<std::string>& present) {
  for (const auto& [container] : db.rows<std::string>("select distinct container from container_files"))
    if (std::ranges::find(present, container) == present.end()) db.run("delete from container_files where container = ?", std::string_view(container));
}

std::string remembered(Db& db, std::string_view key) {
  const auto found = db.rows<std::string>("select value from remembered where key = ?", key);
  return found.empty() ? std::string() : std::get<0>(found.front());
}

void remember(Db& db, std::string_view key, std::string_view value) {
  db.run("insert into remembered (key, value) values (?, ?) on conflict (key) do update set value = excluded.value", key, value);
}

}  // namespace dm::state
