// INI as SOPS reads it. Values and comments are replaced where they stand; the metadata is the section [sops].
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "secrets/sops_nested.hpp"

namespace dm::secrets {
namespace {

constexpr std::string_view kSpace = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("\\n")) out += '\n', ++i;
    else out += text[i];
  }
  return out;
}

class Reader {
 public:
  Reader(std::string_view text, bool plain) : text_(text), plain_(plain) {}
  text::Span block{};   ///< what follows the line [sops], to its section's end

  Result<Document> read() {
    Document out{Store::ini, {}, {}, false, std::string(text_), plain_};
    std::vector<std::pair<std::string, std::string>> flat;
    std::string section = "DEFAULT";
    Leaf comment;       // lines of comments in a row are one
    bool in_comment = false;
    const auto end_comment = [&](const std::string& of) {
      if (in_comment && of != "sops") {
        comment.path = {of};
        comment.text = SecretString(text_.substr(comment.where.begin, comment.where.size()));
        out.leaves.push_back(std::move(comment));
      }
      in_comment = false;
    };
    for (std::size_t at = 0, number = 1; at < text_.size(); ++number) {
      const auto end = std::min(text_.find('\n', at), text_.size());
      const auto line = trimmed(text_.substr(at, end - at));
      const auto begin = static_cast<std::uint32_t>(line.empty() ? at : static_cast<std::size_t>(line.data() - text_.data()));
      at = end + 1;
      if (section == "sops") block.end = static_cast<std::uint32_t>(std::min(at, text_.size()));
      if (line.empty()) continue;
      if (line[0] == ';' || line[0] == '#') {
        const auto first = std::min(line.find_first_not_of(" ", 1), line.size());
        if (!in_comment) comment = {{}, LeafType::comment, {}, {begin + static_cast<std::uint32_t>(first), 0}, number};
        comment.where.end = begin + static_cast<std::uint32_t>(line.size());
        in_comment = true;
        continue;
      }
      if (line[0] == '[') {
        if (!line.ends_with(']')) return wrong(number, "a section has no end");
        const auto before = std::exchange(section, trimmed(line.substr(1, line.size() - 2)));
        end_comment(section == "sops" ? before : section);  // the last comment of the file stands before our section
        if (section == "sops") block = {static_cast<std::uint32_t>(std::min(at, text_.size())), static_cast<std::uint32_t>(std::min(at, text_.size()))};
        continue;
      }
      end_comment(section);
      const auto cut = line.find_first_of("=:");
      if (cut == std::string_view::npos || cut == 0) return wrong(number, "no '=' in it");
      const auto key = trimmed(line.substr(0, cut));
      auto value = trimmed(line.substr(cut + 1));
      const auto offset = begin + static_cast<std::uint32_t>(value.empty() ? line.size() : static_cast<std::size_t>(value.data() - line.data()));
      const text::Span where{offset, offset + static_cast<std::uint32_t>(value.size())};
      if (section == "sops") {
        flat.emplace_back(key, unescaped(value));
        continue;
      }
      const bool quoted = value.size() >= 2 && (value[0] == '"' || value[0] == '`' || value[0] == '\'') && value.find(value[0], 1) == value.size() - 1;
      if (plain_ && !quoted && (value.ends_with('\\') || value.find_first_of("\"`'") == 0 || value.find(" ;") != std::string_view::npos || value.find(" #") != std::string_view::npos))
        return wrong(number, "a value that SOPS would read otherwise (a quote without its end, a comment, a line that goes on); put it in quotes");
      if (quoted) value = value.substr(1, value.size() - 2);
      if (plain_ && std::ranges::any_of(out.leaves, [&](const Leaf& one) { return one.path.size() == 2 && one.path[0] == section && one.path[1] == key; }))
        return wrong(number, fmt::format("'{}' is set twice in [{}]", key, section));
      out.leaves.push_back({{section, std::string(key)}, LeafType::str, SecretString(value), where, number});
    }
    end_comment(section);
    if (plain_) {
      if (!flat.empty()) return fail(Errc::invalid_input, "it has a section [sops], which is metadata of sealed files");
      return out;
    }
    if (flat.empty()) return undecryptable("it has no [sops] section");
    DM_TRY(out.sops, read_metadata(flat));
    out.has_sops = true;
    return out;
  }

 private:
  tl::unexpected<Error> wrong(std::size_t line, std::string_view what) const {
    const auto message = fmt::format("line {}: {}", line, what);
    if (plain_) return fail(Errc::invalid_input, message);
    return undecryptable(message);
  }

  std::string_view text_;
  bool plain_;
};

/// As a value of the file: in quotes where its ends or a sign in it would be taken for something else.
std::string in_quotes(std::string_view value) {
  const bool odd = value.find_first_of(";#\"'`\\") != std::string_view::npos || trimmed(value).size() != value.size();
  if (!odd) return std::string(value);
  for (const char quote : {'"', '`', '\''})
    if (value.find(quote) == std::string_view::npos) return fmt::format("{}{}{}", quote, value, quote);
  return fmt::format("\"{}\"", value);
}

std::string section_of(const Metadata& metadata) {
  const auto flat = write_metadata(metadata);
  std::size_t width = 0;
  for (const auto& [name, value] : flat) width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, value] : flat) {
    out += fmt::format("{:{}} = ", name, width);
    for (const char c : value) out += c == '\n' ? "\\n" : std::string(1, c);
    out += '\n';
  }
  return out;
}

}  // namespace

Result<Document> stores::read_ini(std::string_view text) { return Reader(text, false).read(); }
Result<Document> stores::read_plain_ini(std::string_view text) { return Reader(text, true).read(); }

Result<std::string> stores::write_ini(const Document& document) {
  Reader reader(document.source, document.from_plain);
  DM_TRY(const auto original, reader.read());
  text::Edit edit{reader.block, section_of(document.sops)};
  if (document.from_plain) {
    const auto end = static_cast<std::uint32_t>(document.source.size());
    edit = {{end, end}, fmt::format("{}\n[sops]\n{}", document.source.empty() || document.source.ends_with('\n') ? "" : "\n", edit.with)};
  }
  return edited_source(document, original, {edit}, [](const Leaf& leaf) {
    const auto text = leaf.text.reveal();
    return leaf.type == LeafType::comment || text.starts_with("ENC[") ? std::string(text) : in_quotes(text);
  });
}

SecretString stores::plain_ini(const Opened& opened) {
  const std::string_view source = opened.document.source;
  Reader reader(source, false);
  if (!reader.read()) return {};
  SecretString out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < opened.values.size(); ++i) {
    const auto& where = opened.document.leaves[i].where;
    const auto& value = opened.values[i];
    out.append(source.substr(at, where.begin - at));
    if (!value.sealed) out.append(source.substr(where.begin, where.size()));
    else if (value.type == LeafType::comment) out.append(value.plain.reveal());
    else {
      auto text = in_quotes(value.plain.reveal());
      out.append(text);
      wipe(text);
    }
    at = where.end;
  }
  // [sops] is the last section that `sops` writes; what follows it is metadata.
  const auto block = source.rfind("[sops]", reader.block.begin);
  auto rest = source.substr(at, block - at);
  while (rest.ends_with("\n\n")) rest.remove_suffix(1);
  out.append(rest);
  return out;
}

}  // namespace dm::secrets
