#include "deploy/template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "sensitive/sensitive.hpp"

namespace dm::deploy {
namespace {

using nlohmann::json;

std::string unescaped(std::string_view text) {  // Compose prints "$$" for "$"
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text[i] == '$' && i + 1 < text.size() && text[i + 1] == '$') ++i;
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == '$' ? 2 : 1, c);
  return out;
}

struct Maker {
  const std::map<std::string, std::string>& secrets;  // value -> the variable that has it
  const std::function<std::string(std::string_view)>& digest;
  json holes = json::array();

  static bool secret(std::string_view key, const std::string& value) {
    if (value.empty() || value.starts_with('/')) return false;
    if (sensitive::secret_name(key)) return true;
    const auto line = std::string(key) + "=" + value;
    return sensitive::mask_line(line) != line;
  }
  std::string hole(std::string_view value, const std::string& variable, const std::vector<std::string>& path) {
    const auto name = fmt::format("DM_HOLE_{}", holes.size());
    json entry{{"name", name}, {"at", path}, {"digest", digest(value)}};
    if (!variable.empty()) entry["variable"] = variable;
    holes.push_back(std::move(entry));
    return "${" + name + ":?a secret of this revision: use datamancy rollback}";
  }
  /// A hole for each secret variable in the text: the rest of a URL is no secret and goes back with the revision. Where more than the
  /// variables' values is secret, the whole text is one hole.
  void cut(std::string& text, const std::string& key, const std::vector<std::string>& path) {
    const auto plain = unescaped(text);
    struct Piece {
      std::size_t begin, end;
      const std::string* variable;
    };
    std::vector<Piece> pieces;
    for (std::size_t at = 0; at < plain.size();) {
      Piece best{at, at, nullptr};
      for (const auto& [value, variable] : secrets)  // the longest, where one begins with another
        if (plain.compare(at, value.size(), value) == 0 && at + value.size() > best.end) best = {at, at + value.size(), &variable};
      if (best.variable != nullptr) pieces.push_back(best);
      at = best.variable != nullptr ? best.end : at + 1;
    }
    constexpr std::string_view kVariable = "${_}";
    std::string rest;  // what stays readable, as the mask of secrets reads it: a variable is none
    std::size_t from = 0;
    for (const auto& piece : pieces) {
      rest += plain.substr(from, piece.begin - from).append(kVariable);
      from = piece.end;
    }
    rest += plain.substr(from);
    const bool only_variables = !pieces.empty() && (rest == kVariable || !secret(key, rest));
    if (!only_variables) {
      if (!pieces.empty() || secret(key, plain)) text = hole(plain, "", path);
      return;
    }
    text.clear();
    from = 0;
    for (const auto& piece : pieces) {
      text += escaped(plain.substr(from, piece.begin - from));
      text += hole(plain.substr(piece.begin, piece.end - piece.begin), *piece.variable, path);
      from = piece.end;
    }
    text += escaped(plain.substr(from));
  }
  void walk(json& node, const std::string& key, std::vector<std::string>& path) {
    if (node.is_object()) {
      for (auto& [name, value] : node.items()) {
        path.push_back(name);
        walk(value, name, path);
        path.pop_back();
      }
    } else if (node.is_array()) {
      for (std::size_t i = 0; i < node.size(); ++i) {
        path.push_back(std::to_string(i));
        walk(node[i], key, path);
        path.pop_back();
      }
    } else if (node.is_string()) {
      // Names of secrets, images and targets are no secrets, whatever they are called.
      if (path.size() > 2 && path[0] == "services" && (path[2] == "secrets" || path[2] == "configs" || path[2] == "image" || path[2] == "volumes" || path[2] == "networks")) return;
      if (path[0] == "secrets" && key != "content") return;
      cut(node.get_ref<std::string&>(), key, path);
    }
  }
};

const json* at(const json& root, const json& path) {
  const json* node = &root;
  for (const auto& step : path) {
    const auto& key = step.get_ref<const std::string&>();
    if (node->is_object()) {
      const auto found = node->find(key);
      if (found == node->end()) return nullptr;
      node = &*found;
    } else if (node->is_array()) {
      const auto index = static_cast<std::size_t>(std::atoi(key.c_str()));
      if (index >= node->size()) return nullptr;
      node = &(*node)[index];
    } else {
      return nullptr;
    }
  }
  return node;
}

void replace_paths(json& node, const std::map<std::string, std::string>& paths) {
  if (node.is_object() || node.is_array()) {
    for (auto& child : node) replace_paths(child, paths);
  } else if (node.is_string()) {
    if (const auto found = paths.find(node.get_ref<const std::string&>()); found != paths.end()) node = found->second;
  }
}

}  // namespace

Result<Template> make_template(const std::string& text, const compose::Project& project, const std::function<std::string(std::string_view)>& digest,
                               const std::vector<std::pair<std::string, std::string>>& sealed) {
  auto root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) return fail(Errc::corrupt, "the model is no JSON");
  std::map<std::string, std::string> secrets;
  for (const auto& [name, definition] : project.environment) {
    const auto& value = definition.value;
    const bool is_sealed = value.size() >= 4 && std::ranges::find(sealed, value, &std::pair<std::string, std::string>::second) != sealed.end();
    if (is_sealed || (sensitive::secret_name(name) && value.size() >= 6)) secrets.emplace(value, name);
  }
  for (const auto& [name, value] : sealed)
    if (value.size() >= 4) secrets.emplace(value, name);
  Maker maker{secrets, digest};
  std::vector<std::string> path;
  maker.walk(root, "", path);
  return Template{root.dump(1), maker.holes.dump()};
}

Result<Filled> fill(const Template& kept, const std::string& today, const std::map<std::string, std::string>& variables, const std::vector<std::string>& others,
                    const std::function<std::string(std::string_view)>& digest) {
  const auto holes = json::parse(kept.holes, nullptr, false);
  const auto now = json::parse(today, nullptr, false);
  if (holes.is_discarded() || now.is_discarded()) return fail(Errc::corrupt, "the record of the revision is damaged");
  std::map<std::string, std::string> by_digest;
  for (const auto& value : others) by_digest.emplace(digest(value), value);
  Filled out;
  std::set<std::string> changed;
  for (const auto& hole : holes) {
    const auto& wanted = hole["digest"].get_ref<const std::string&>();
    const auto variable = hole.value("variable", std::string());
    const auto present = variables.find(variable);
    std::string value;
    bool found = false;
    if (!variable.empty()) {
      if (present != variables.end()) {
        value = present->second;
        found = digest(value) == wanted;
      }
    } else if (const auto* node = at(now, hole["at"]); node != nullptr && node->is_string()) {
      value = unescaped(node->get_ref<const std::string&>());
      found = digest(value) == wanted;
    }
    if (const auto other = by_digest.find(wanted); !found && other != by_digest.end()) {
      value = other->second;
      found = true;
    }
    if (!found && present != variables.end()) {  // rotated since: the server knows only the present one
      changed.insert(variable);
      found = true;
    }
    if (found) {
      out.variables[hole["name"]] = value;
    } else {
      std::string path;
      for (const auto& step : hole["at"]) path += (path.empty() ? "" : ".") + step.get<std::string>();
      out.missing.push_back(path);
    }
  }
  out.changed.assign(changed.begin(), changed.end());
  return out;
}

Result<std::string> with_paths(const std::string& model, const std::map<std::string, std::string>& paths) {
  auto root = json::parse(model, nullptr, false);
  if (root.is_discarded()) return fail(Errc::corrupt, "the model of the revision is damaged");
  for (const auto* part : {"services", "configs", "secrets"})
    if (const auto found = root.find(part); found != root.end()) replace_paths(*found, paths);
  return root.dump(1);
}

}  // namespace dm::deploy
