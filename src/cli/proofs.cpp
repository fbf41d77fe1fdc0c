#include "cli/proofs.hpp"

#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "cli/session.hpp"
#include "deploy/check.hpp"
#include "deploy/look.hpp"

namespace dm::cli {

std::optional<readiness::Proofs> stored_proofs(Args& args, const std::string& project) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto root = state::root_folder(plain_environment(args), ::geteuid() == 0);
  bool any = false;
  for (const auto& engine : fs::directory_iterator(root, error)) any = any || fs::exists(engine.path() / project / "state.db", error);
  if (!any) return std::nullopt;
  auto engine = open_engine(args);
  if (!engine) return std::nullopt;
  const auto limit = Deadline::in(std::chrono::seconds(5));
  const auto info = (*engine)->info(limit);
  if (!info) return std::nullopt;
  const auto folder = state::store_folder(root, info->id, project);
  if (!folder || !fs::exists(*folder + "/state.db", error)) return std::nullopt;
  const auto containers = deploy::look(**engine, project, limit);
  if (!containers) return std::nullopt;
  auto db = state::open_store(*folder);
  readiness::Proofs out;
  out.newest = state::newest_proofs(db);
  out.present = deploy::present_of(info->id, *containers);
  out.now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return out;
}

}  // namespace dm::cli
