#include "secrets/migrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "formats/dotenv.hpp"
#include "secrets/delivery.hpp"
#include "text/span.hpp"

namespace dm::secrets {
namespace {

using Variables = std::vector<std::pair<std::string, SecretString>>;

Result<Variables> read_by_compose(std::string_view text, const std::vector<std::string>& names) {
  ProjectSecrets one;
  one.files.push_back({"", SecretString(text), {}, names});
  return variables_of(one, {});
}

}  // namespace

Result<SecretString> normal_dotenv(std::string_view text) {
  const formats::Expand as_written = [](std::string_view raw, const std::vector<formats::DotenvEntry>&, std::string& out) {
    out = raw;
    return true;
  };
  const auto parsed = formats::parse_dotenv(text, as_written);
  const text::LineIndex lines(text);
  if (!parsed.errors.empty())
    return fail(Errc::invalid_input, fmt::format("line {}: Compose cannot read it; mend it first (the line is not shown)", lines.position(text, parsed.errors[0].where.begin).line));
  std::map<std::string, std::size_t, std::less<>> last;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < parsed.entries.size(); ++i) last[parsed.entries[i].key] = i;
  for (const auto& [name, place] : last) names.push_back(name);

  SecretString out;
  std::size_t at = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  const auto comments_until = [&](std::size_t end) {
    while (at < end) {
      const auto stop = std::min(text.find('\n', at), end);
      auto line = text.substr(at, stop - at);
      at = stop + 1;
      const auto begin = line.find_first_not_of(" \t\r");
      if (begin == std::string_view::npos || line[begin] != '#') continue;
      line.remove_prefix(begin);
      while (line.ends_with('\r')) line.remove_suffix(1);
      out.append(line);
      out.append('\n');
    }
  };
  for (std::size_t i = 0; i < parsed.entries.size(); ++i) {
    const auto& entry = parsed.entries[i];
    comments_until(entry.key_span.begin);
    at = std::min(text.find('\n', std::max(entry.key_span.end, entry.value_span.end)), text.size()) + 1;
    if (entry.inherits) return fail(Errc::invalid_input, fmt::format("line {}: '{}' has no value and would come from the shell; give it one or take it out", lines.position(text, entry.key_span.begin).line, entry.key));
    if (last[entry.key] != i) continue;
    const auto raw = text.substr(entry.value_span.begin, entry.value_span.size());
    out.append(entry.key);
    out.append('=');
    if (raw.find_first_of("\n\r") == std::string_view::npos) {
      out.append(raw);
    } else if (raw.starts_with('\'')) {
      const auto value = dotenv_value(entry.value);
      out.append(value.reveal());
    } else {  // in double quotes: only the line ends need another spelling
      for (const char c : raw) {
        if (c == '\n') out.append("\\n");
        else if (c == '\r') out.append("\\r");
        else out.append(c);
      }
    }
    out.append('\n');
  }
  comments_until(text.size());
  DM_TRY(const auto before, read_by_compose(text, names));
  DM_TRY(const auto after, read_by_compose(out.reveal(), names));
  for (std::size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
    if (i < before.size() && i < after.size() && before[i].first == after[i].first && before[i].second == after[i].second) continue;
    return fail(Errc::unsupported, fmt::format("'{}' cannot be written in a form that SOPS and Compose read alike; put it into a file of its own ('datamancy secrets seal')", i < before.size() ? before[i].first : after[i].first));
  }
  return out;
}

}  // namespace dm::secrets
