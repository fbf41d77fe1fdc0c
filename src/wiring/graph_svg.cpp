#include <fmt/format.h>

#include <algorithm>

#include "wiring/graph_edges.hpp"
#include "wiring/graph_layout.hpp"
#include "wiring/graph_text.hpp"

namespace dm::wiring {
namespace {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else if (static_cast<unsigned char>(c) < 0x20) out += ' ';  // XML allows no control characters
    else out += c;
  }
  return out;
}

std::size_t letters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

constexpr int kLegend = 34;

/// From the edge of a box through the gaps to the edge of the other, leaving and coming in upright.
std::string line(const Box& from, const std::vector<Box>& bends, const Box& to) {
  const bool down = to.y > from.y;
  const auto middle = [](const Box& box) { return box.x + box.width / 2; };
  int x = middle(from);
  int y = down ? from.y + kBoxHeight : from.y;
  auto out = fmt::format("M{} {}", x, y);
  const auto go = [&](int next_x, int next_y) {
    const int half = (next_y - y) / 2;
    out += fmt::format("C{} {} {} {} {} {}", x, y + half, next_x, next_y - half, next_x, next_y);
    x = next_x;
    y = next_y;
  };
  for (const Box& bend : bends) {
    go(middle(bend), down ? bend.y : bend.y + kBoxHeight);
    y = down ? bend.y + kBoxHeight : bend.y;
    out += fmt::format("L{} {}", x, y);
  }
  go(middle(to), down ? to.y : to.y + kBoxHeight);
  return out;
}

std::string legend(int y) {
  std::string out = fmt::format(R"(<g font-size="11" fill="#444">)");
  int x = 20;
  const auto box = [&](std::string_view fill, std::string_view name, int radius, std::string_view extra) {
    out += fmt::format(R"(<rect x="{}" y="{}" width="18" height="12" rx="{}" fill="{}" stroke="#333"{}/><text x="{}" y="{}">{}</text>)", x, y, radius, fill, extra, x + 24, y + 10, name);
    x += 40 + 7 * static_cast<int>(name.size());
  };
  box("#e2f4dd", "proxy", 3, "");
  box("#fff8e5", "service", 3, "");
  box("#dbe9ff", "datastore", 6, "");
  box("#f2f2f2", "one-shot", 3, "");
  box("#fff", "off in this run", 3, R"( stroke-dasharray="4 3")");
  const auto stroke = [&](std::string_view colour, std::string_view dash, std::string_view name) {
    out += fmt::format(R"(<path d="M{} {}h24" stroke="{}"{}/><text x="{}" y="{}">{}</text>)", x, y + 6, colour, dash, x + 30, y + 10, name);
    x += 46 + 6 * static_cast<int>(name.size());
  };
  stroke("#667", "", "calls");
  stroke("#667", R"( stroke-dasharray="5 4")", "perhaps");
  stroke("#c22", R"( stroke-dasharray="5 4")", "cannot reach");
  return out + "</g>\n";
}

}  // namespace

std::string graph_svg(const Wiring& wiring) {
  const auto count = wiring.project->services.size();
  const auto edges = edges_of(wiring);
  std::vector<int> widths;
  for (ServiceId id = 0; id < count; ++id) widths.push_back(24 + 8 * static_cast<int>(std::min<std::size_t>(letters(wiring.service(id).name), 150)));
  const auto layout = lay_out(widths, edges);
  const int height = layout.height + kLegend;

  std::string out = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" font-family="sans-serif" font-size="13">
<title>{2}</title>
<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>
<rect width="100%" height="100%" fill="#fff"/>
)",
      layout.width, height, escape(wiring.project->name));
  for (std::size_t e = 0; e < edges.size(); ++e) {
    const Edge& edge = edges[e];
    const auto* colour = edge.blocked ? "#c22" : edge.inactive ? "#bbb" : "#667";
    const auto* dash = edge.blocked || edge.guess || edge.inactive ? R"( stroke-dasharray="5 4")" : "";
    std::string why;
    for (const auto* reference : edge.reasons) {
      why += fmt::format("{}{}{}", why.empty() ? "" : "; ", to_string(reference->via), reference->key.empty() || reference->key == to_string(reference->via) ? "" : " " + reference->key);
      if (why.size() > 300) break;
    }
    out += fmt::format(R"x(<path d="{}" fill="none" stroke="{}"{} marker-end="url(#arrow)"><title>{} -&gt; {}: {}{}</title></path>
)x",
                       line(layout.boxes[edge.from], layout.bends[e], layout.boxes[edge.to]), colour, dash, escape(wiring.service(edge.from).name), escape(wiring.service(edge.to).name),
                       escape(why.empty() ? "depends_on" : why), edge.blocked ? " (no common network)" : "");
  }
  for (ServiceId id = 0; id < count; ++id) {
    const Box& box = layout.boxes[id];
    const auto role = role_of(wiring, id);
    const auto* fill = role == "datastore" ? "#dbe9ff" : role == "proxy" ? "#e2f4dd" : role == "one-shot" ? "#f2f2f2" : "#fff8e5";
    out += fmt::format(R"(<g><rect x="{}" y="{}" width="{}" height="{}" rx="{}" fill="{}" stroke="#333"{}/><text x="{}" y="{}" text-anchor="middle">{}</text><title>{}: {}</title></g>
)",
                       box.x, box.y, box.width, kBoxHeight, role == "datastore" ? 16 : 5, fill, wiring.service(id).enabled ? "" : R"( stroke-dasharray="4 3")",
                       box.x + box.width / 2, box.y + 22, escape(wiring.service(id).name), escape(wiring.service(id).name), role);
  }
  if (layout.apart_y > 0)
    out += fmt::format(R"(<text x="20" y="{}" fill="#555">nothing in the files connects these to another service</text>
)", layout.apart_y + 10);
  return out + legend(height - kLegend + 6) + "</svg>\n";
}

}  // namespace dm::wiring
