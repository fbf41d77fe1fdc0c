#include "report/markup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace dm::report::markup {
namespace {

bool starts_item(std::string_view line, std::string_view& rest, char& kind) {
  if (line.starts_with("* ") || line.starts_with("- ")) {
    rest = line.substr(2);
    kind = 'u';
    return true;
  }
  const auto digits = line.find_first_not_of("0123456789");
  if (digits == std::string_view::npos || digits == 0 || !line.substr(digits).starts_with(". ")) return false;
  rest = line.substr(digits + 2);
  kind = 'o';
  return true;
}

/// Bold, italic, code and backslashes of one line.
std::string spans(std::string_view text) {
  std::string out;
  bool bold = false;
  bool italic = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && std::string_view("|<*`\\_[").find(text[i + 1]) != std::string_view::npos) {
      out += html(text.substr(++i, 1));
    } else if (text[i] == '`') {
      const auto end = text.find('`', i + 1);
      if (end == std::string_view::npos) {
        out += '`';
        continue;
      }
      out += "<code>";
      for (auto at = i + 1; at < end; ++at)
        if (!(text[at] == '\\' && at + 1 < end && text[at + 1] == '|')) out += html(text.substr(at, 1));
      out += "</code>";
      i = end;
    } else if (text.substr(i).starts_with("**")) {
      out += bold ? "</strong>" : "<strong>";
      bold = !bold;
      ++i;
    } else if (text[i] == '*' && (italic || (i + 1 < text.size() && text[i + 1] != ' '))) {
      out += italic ? "</em>" : "<em>";
      italic = !italic;
    } else {
      out += html(text.substr(i, 1));
    }
  }
  if (italic) out += "</em>";
  if (bold) out += "</strong>";
  return out;
}

std::vector<std::string_view> cells(std::string_view row) {
  std::vector<std::string_view> out;
  row.remove_prefix(1);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i] == '\\') ++i;
    else if (row[i] == '|') {
      auto cell = row.substr(begin, i - begin);
      while (cell.starts_with(' ')) cell.remove_prefix(1);
      while (cell.ends_with(' ')) cell.remove_suffix(1);
      out.push_back(cell);
      begin = i + 1;
    }
  }
  return out;
}

class Page {
 public:
  std::string render(std::string_view markdown) {
    while (!markdown.empty()) {
      const auto end = std::min(markdown.find('\n'), markdown.size());
      line(markdown.substr(0, end));
      markdown.remove_prefix(std::min(end + 1, markdown.size()));
    }
    close();
    if (fence_ > 0) out_ += "</pre>\n";
    return std::move(out_);
  }

 private:
  void line(std::string_view text) {
    const auto ticks = std::min(text.find_first_not_of('`'), text.size());
    if (fence_ > 0) {
      if (ticks >= fence_ && ticks == text.size()) {
        out_ += "</pre>\n";
        fence_ = 0;
      } else {
        out_ += html(text) + "\n";
      }
      return;
    }
    if (ticks >= 3) {
      close();
      out_ += "<pre>";
      fence_ = ticks;
      return;
    }
    if (text.empty()) return close();
    const auto level = std::min(text.find_first_not_of('#'), text.size());
    if (level > 0 && level <= 6 && text.substr(level).starts_with(' ')) {
      close();
      out_ += fmt::format("<h{0}>{1}</h{0}>\n", level, spans(text.substr(level + 1)));
    } else if (text.front() == '|') {
      row(text);
    } else {
      item_or_text(text);
    }
  }

  void row(std::string_view text) {
    if (text.starts_with("|---")) return;
    const bool first = open_ != "table";
    if (first) {
      close();
      out_ += "<table>\n";
      open_ = "table";
    }
    out_ += "<tr>";
    for (const auto cell : cells(text)) out_ += fmt::format("<{0}>{1}</{0}>", first ? "th" : "td", spans(cell));
    out_ += "</tr>\n";
  }

  void item_or_text(std::string_view text) {
    const bool inner = text.starts_with("  ");
    std::string_view rest;
    char kind = 'u';
    if (starts_item(inner ? text.substr(2) : text, rest, kind)) {
      const std::string_view list = kind == 'u' ? "ul" : "ol";
      if (!inner || open_.empty()) {
        if (open_ != list) {
          close();
          out_ += fmt::format("<{}>\n", list);
          open_ = list;
        }
        out_ += fmt::format("<li>{}</li>\n", spans(rest));
      } else {
        out_ += fmt::format("<li class=\"inner\">{}</li>\n", spans(rest));
      }
      return;
    }
    if (open_ != "p") {
      close();
      out_ += "<p>";
      open_ = "p";
    } else {
      out_ += "<br>\n";
    }
    out_ += spans(text);
  }

  void close() {
    if (!open_.empty()) out_ += fmt::format("</{}>\n", open_);
    open_ = {};
  }

  std::string out_;
  std::string_view open_;   // the element that is open: "p", "ul", "ol", "table"
  std::size_t fence_ = 0;
};

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}"
    "h1,h2,h3{line-height:1.25}h2{margin-top:2.5rem;border-bottom:1px solid #d5dae0}table{border-collapse:collapse;width:100%}"
    "th,td{border:1px solid #d5dae0;padding:.3rem .5rem;text-align:left;vertical-align:top}th{background:#f3f5f7}"
    "code,pre{font:14px/1.45 ui-monospace,monospace;background:#f3f5f7}code{padding:.1rem .25rem;overflow-wrap:anywhere}"
    "pre{padding:.6rem;overflow-x:auto}li.inner{margin-left:1.5rem;list-style:circle}figure{margin:1rem 0;overflow:auto}"
    "@media(prefers-color-scheme:dark){body{color:#e4e7eb;background:#14171a}th,code,pre{background:#22272c}"
    "th,td,h2{border-color:#3a4149}figure{background:#fff}}";

}  // namespace

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      out += ' ';
      continue;
    }
    if (c == '|' || c == '<' || c == '*' || c == '`') out += '\\';
    out += c;
  }
  return out;
}

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

std::string fenced(std::string_view text) {
  std::size_t longest = 2;
  std::size_t run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  while (text.ends_with('\n')) text.remove_suffix(1);
  const std::string fence(longest + 1, '`');
  return fmt::format("{}\n{}\n{}", fence, text, fence);
}

std::string upper(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

std::string html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else if (byte < 0x20 && c != '\n' && c != '\t') out += "\xEF\xBF\xBD";
    else out += c;
  }
  return out;
}

std::string to_html(std::string_view markdown) { return Page().render(markdown); }

std::string page(std::string_view title, std::string_view markdown, std::string_view figure, std::string_view before) {
  auto body = to_html(markdown);
  if (!figure.empty()) {
    const auto drawing = fmt::format("<h2>Who Talks to Whom</h2>\n<figure>\n{}\n</figure>\n", figure);
    const auto at = before.empty() ? std::string::npos : body.find(fmt::format("<h2>{}", html(before)));
    body.insert(at == std::string::npos ? body.size() : at, drawing);
  }
  return fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                     "content=\"width=device-width\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
                     html(title), kStyle, body);
}

}  // namespace dm::report::markup
