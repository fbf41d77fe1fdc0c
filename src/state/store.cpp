#include "state/store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.hpp"

namespace dm::state {
namespace {

std::string safe_name(std::string_view text) {
  std::string out;
  for (const char c : text) out += (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ? c : '_';
  return out.empty() ? "_" : out.substr(0, 200);
}

}  // namespace

std::string root_folder(const std::map<std::string, std::string>& environment, bool root) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  if (const auto own = value("DATAMANCY_STATE"); !own.empty()) return own;
  if (root) return "/var/lib/datamancy";
  if (const auto xdg = value("XDG_STATE_HOME"); xdg.starts_with('/')) return xdg + "/datamancy";
  return value("HOME") + "/.local/state/datamancy";
}

Result<std::string> store_folder(const std::string& root, std::string_view engine_id, std::string_view project) {
  auto folder = fmt::format("{}/{}/{}", root, safe_name(engine_id), safe_name(project));
  DM_CHECK(during("making the folder for the program's own records (DATAMANCY_STATE names another)", make_folders(folder, 0700)));
  return folder;
}

Db open_store(const std::string& folder) { return Db(folder + "/state.db"); }

Result<Fd> lock_store(const std::string& folder, std::string_view what, const Deadline& deadline) {
  return lock_file(folder + "/lock", what, deadline);
}

}  // namespace dm::state
