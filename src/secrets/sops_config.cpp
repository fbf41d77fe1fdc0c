#include "secrets/sops_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "formats/yaml.hpp"

namespace dm::secrets {
namespace {

void add_recipients(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    auto one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto begin = one.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) continue;
    one = one.substr(begin, one.find_last_not_of(" \t\r\n") - begin + 1);
    out.emplace_back(one);
  }
}

Result<CreationRule> read_rule(const formats::YamlNode& node, const std::string& path) {
  constexpr std::array kKinds{Rule::Kind::unencrypted_suffix, Rule::Kind::encrypted_suffix, Rule::Kind::unencrypted_regex, Rule::Kind::encrypted_regex};
  CreationRule out;
  out.line = node.line;
  const auto wrong = [&](const formats::YamlNode& where, std::string_view what) { return fail(Errc::invalid_input, fmt::format("{}:{}: {}", path, where.line, what)); };
  for (const auto& [key, value] : node.entries) {
    const auto kind = std::ranges::find(kKinds, std::string_view(key), [](Rule::Kind one) { return to_string(one); });
    if (key == "path_regex") {
      out.path_regex = value.text;
      auto pattern = Pattern::compile(value.text);
      if (!pattern) return wrong(value, pattern.error().message);
      out.path = std::move(*pattern);
    } else if (key == "age") {
      if (value.kind == formats::YamlNode::Kind::scalar) add_recipients(value.text, out.age);
      for (const auto& item : value.items) add_recipients(item.text, out.age);
    } else if (kind != kKinds.end()) {
      if (out.rule) return wrong(value, "more than one encryption rule in one creation rule");
      auto rule = make_rule(*kind, value.text);
      if (!rule) return wrong(value, rule.error().message);
      out.rule = std::move(*rule);
    } else if (key == "mac_only_encrypted") {
      out.mac_only_encrypted = value.text == "true";
    } else if (key == "key_groups" || key == "shamir_threshold" || key == "encrypted_comment_regex" || key == "unencrypted_comment_regex" ||
               (key != "name" && (!value.text.empty() || !value.items.empty() || !value.entries.empty()))) {
      out.unsupported.push_back(key);
    }
  }
  return out;
}

}  // namespace

const CreationRule* SopsConfig::rule_for(std::string_view file) const {
  const auto folder = sources::parent_path(path);
  if (file.starts_with(folder) && folder.size() < file.size()) file.remove_prefix(folder == "/" ? 1 : folder.size() + 1);
  for (const auto& rule : rules)
    if (!rule.path || rule.path->search(file)) return &rule;
  return nullptr;
}

Result<SopsConfig> parse_sops_config(std::string_view text, std::string path) {
  SopsConfig out{std::move(path), {}};
  auto root = formats::parse_yaml(text);
  if (!root) return fail(Errc::invalid_input, fmt::format("{}: {}", out.path, root.error().message));
  const auto* rules = root->find("creation_rules");
  if (rules == nullptr) return out;
  for (const auto& node : rules->items) {
    DM_TRY(auto rule, read_rule(node, out.path));
    out.rules.push_back(std::move(rule));
  }
  return out;
}

std::string sops_config_text(const std::vector<std::string>& recipients) {
  std::string out = "# For whom sealed files are sealed: read by datamancy and by sops.\ncreation_rules:\n  - path_regex: (\\.enc\\.(env|ya?ml|json|ini)|\\.env\\.enc|\\.enc)$\n    age:\n";
  for (const auto& recipient : recipients) out += fmt::format("      - {}\n", recipient);
  return out;
}

Result<SopsConfig> find_sops_config(const sources::Files& files, std::string_view file) {
  auto folder = sources::parent_path(sources::clean_path(file));
  for (int level = 0; level < 100; ++level) {
    const auto path = (folder == "/" ? "" : folder) + "/.sops.yaml";
    if (files.stat(path).kind == sources::Kind::regular) {
      DM_TRY(const auto text, files.read(path, 1U << 20U));
      return parse_sops_config(text, path);
    }
    if (folder == "/") break;
    folder = sources::parent_path(folder);
  }
  return SopsConfig{};
}

}  // namespace dm::secrets
