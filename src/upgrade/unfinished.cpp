#include "upgrade/unfinished.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/files.hpp"
#include "sources/files.hpp"

namespace dm::upgrade {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 4> kSteps{"stopping", "moving", "changed", "returning"};
constexpr std::size_t kMost = 16U << 20U;

std::string place(const std::string& folder) { return folder + "/upgrade.json"; }

}  // namespace

Result<std::optional<Unfinished>> read_unfinished(const std::string& folder) {
  const auto text = sources::disk().read(place(folder), kMost);
  if (!text && text.error().code == Errc::not_found) return std::optional<Unfinished>();
  if (!text) return fail(text.error());
  const auto broken = [&] { return fail(Errc::corrupt, fmt::format("{} says that an upgrade was interrupted, and cannot be read", place(folder))); };
  try {
    const auto tree = Json::parse(*text);
    const auto step = std::ranges::find(kSteps, tree.at("step").get<std::string>());
    if (step == kSteps.end()) return broken();
    Unfinished out;
    out.step = static_cast<Unfinished::Step>(step - kSteps.begin());
    const std::pair<const char*, std::string*> texts[] = {{"service", &out.service}, {"from", &out.from}, {"image", &out.image}, {"path", &out.path}, {"before", &out.before},
                                                          {"after", &out.after}, {"volume", &out.volume}, {"kept", &out.kept}, {"run", &out.run}};
    for (const auto& [key, value] : texts) *value = tree.at(key).get<std::string>();
    out.from_id = tree.value("from_id", "");
    out.running = tree.at("running").get<std::vector<std::string>>();
    if (tree.contains("migrates")) {
      out.migrates = tree["migrates"].get<bool>();
      out.data_volume = tree.at("data_volume").get<std::string>();
      const std::pair<const char*, std::vector<std::string>*> lists[] = {{"trees", &out.trees}, {"needed", &out.needed}, {"shared", &out.shared}, {"done", &out.done}};
      for (const auto& [key, value] : lists) *value = tree.at(key).get<std::vector<std::string>>();
    }
    return std::optional(std::move(out));
  } catch (const Json::exception&) {
    return broken();
  }
}

Result<void> write_unfinished(const std::string& folder, const Unfinished& what) {
  Json tree{{"step", kSteps[static_cast<std::size_t>(what.step)]}, {"service", what.service}, {"from", what.from}, {"image", what.image}, {"path", what.path}, {"before", what.before},
                  {"after", what.after}, {"volume", what.volume}, {"kept", what.kept}, {"run", what.run}, {"running", what.running}, {"from_id", what.from_id}};
  if (what.migrates) tree.update({{"migrates", *what.migrates}, {"data_volume", what.data_volume}, {"trees", what.trees}, {"needed", what.needed}, {"shared", what.shared}, {"done", what.done}});
  DM_CHECK(make_folders(folder, 0700));
  return write_atomic(place(folder), tree.dump(1, ' ', false, Json::error_handler_t::replace) + "\n", 0600);
}

Result<void> forget_unfinished(const std::string& folder) {
  if (::unlink(place(folder).c_str()) != 0 && errno != ENOENT) return fail(errno_error("remove " + place(folder), errno));
  return {};
}

}  // namespace dm::upgrade
