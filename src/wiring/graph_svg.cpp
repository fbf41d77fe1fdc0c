#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "wiring/graph_edges.hpp"
#include "wiring/graph_text.hpp"

namespace dm::wiring {
namespace {

constexpr int kHeight = 34;       // of a box
constexpr int kGap = 24;          // between boxes of a row
constexpr int kRowGap = 70;
constexpr int kMargin = 20;
constexpr int kWidest = 1600;     // a layer that is wider goes on in a further row

struct Box {
  int x = 0, y = 0, width = 0;
};

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

/// The row of each service: callers above what they call. Edges that close a circle do not count.
std::vector<std::size_t> layers_of(std::size_t count, const std::vector<std::vector<ServiceId>>& calls) {
  enum class State : std::uint8_t { fresh, open, done };
  std::vector<State> state(count, State::fresh);
  std::vector<std::size_t> below(count, 0);  // longest way down
  std::vector<std::pair<ServiceId, std::size_t>> stack;
  for (ServiceId start = 0; start < count; ++start) {
    if (state[start] != State::fresh) continue;
    state[start] = State::open;
    stack.assign(1, {start, 0});
    while (!stack.empty()) {
      const auto id = stack.back().first;
      if (stack.back().second < calls[id].size()) {
        const auto target = calls[id][stack.back().second++];
        if (state[target] == State::fresh) {
          state[target] = State::open;
          stack.emplace_back(target, 0);
        } else if (state[target] == State::done) {
          below[id] = std::max(below[id], below[target] + 1);
        }
        continue;
      }
      state[id] = State::done;
      stack.pop_back();
      if (!stack.empty()) below[stack.back().first] = std::max(below[stack.back().first], below[id] + 1);
    }
  }
  const auto deepest = count == 0 ? 0 : *std::ranges::max_element(below);
  for (auto& layer : below) layer = deepest - layer;
  return below;
}

/// Orders each row by where its callers stand, so that fewer lines cross.
void untangle(std::vector<std::vector<ServiceId>>& rows, const std::vector<std::vector<ServiceId>>& callers) {
  std::vector<double> place(callers.size(), 0);
  for (auto& row : rows) {
    for (const auto id : row) {
      double sum = 0;
      for (const auto caller : callers[id]) sum += place[caller];
      place[id] = callers[id].empty() ? static_cast<double>(id) : sum / static_cast<double>(callers[id].size());
    }
    std::ranges::stable_sort(row, {}, [&](ServiceId id) { return place[id]; });
    for (std::size_t i = 0; i < row.size(); ++i) place[row[i]] = static_cast<double>(i) * 1000 / static_cast<double>(row.size());
  }
}

std::size_t letters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

std::string graph_svg(const Wiring& wiring) {
  const auto count = wiring.project->services.size();
  const auto edges = edges_of(wiring);
  std::vector<std::vector<ServiceId>> calls(count);
  std::vector<std::vector<ServiceId>> callers(count);
  for (const Edge& edge : edges) {
    calls[edge.from].push_back(edge.to);
    callers[edge.to].push_back(edge.from);
  }
  const auto layer = layers_of(count, calls);
  std::vector<std::vector<ServiceId>> rows(count == 0 ? 0 : *std::ranges::max_element(layer) + 1);
  for (ServiceId id = 0; id < count; ++id) rows[layer[id]].push_back(id);
  untangle(rows, callers);

  std::vector<Box> boxes(count);
  int y = kMargin;
  int widest = 200;
  for (const auto& row : rows) {
    int x = kMargin;
    for (const auto id : row) {
      const int width = 24 + 8 * static_cast<int>(std::min<std::size_t>(letters(wiring.service(id).name), 150));
      if (x > kMargin && x + width > kWidest) {
        x = kMargin;
        y += kHeight + kGap;
      }
      boxes[id] = {x, y, width};
      x += width + kGap;
      widest = std::max(widest, x - kGap + kMargin);
    }
    y += kHeight + kRowGap;
  }
  const int height = std::max(y - kRowGap, 0) + kMargin;

  std::string out = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" font-family="sans-serif" font-size="13">
<title>{2}</title>
<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>
<rect width="100%" height="100%" fill="#fff"/>
)",
      widest, height, escape(wiring.project->name));
  for (const Edge& edge : edges) {
    const Box& from = boxes[edge.from];
    const Box& to = boxes[edge.to];
    const bool down = to.y > from.y;
    const int x1 = from.x + from.width / 2;
    const int y1 = down ? from.y + kHeight : from.y;
    const int x2 = to.x + to.width / 2;
    const int y2 = down ? to.y : to.y + kHeight;
    const int bend = down ? 30 : -30;
    const auto* colour = edge.blocked ? "#c22" : edge.inactive ? "#aaa" : "#555";
    const auto* dash = edge.blocked || edge.guess || edge.inactive ? R"( stroke-dasharray="5 4")" : "";
    std::string why;
    for (const auto* reference : edge.reasons) {
      why += fmt::format("{}{}{}", why.empty() ? "" : "; ", to_string(reference->via), reference->key.empty() || reference->key == to_string(reference->via) ? "" : " " + reference->key);
      if (why.size() > 300) break;
    }
    out += fmt::format(R"x(<path d="M{} {}C{} {} {} {} {} {}" fill="none" stroke="{}"{} marker-end="url(#arrow)"><title>{} -&gt; {}: {}{}</title></path>
)x",
                       x1, y1, x1, y1 + bend, x2, y2 - bend, x2, y2, colour, dash, escape(wiring.service(edge.from).name), escape(wiring.service(edge.to).name),
                       escape(why.empty() ? "depends_on" : why), edge.blocked ? " (no common network)" : "");
  }
  for (ServiceId id = 0; id < count; ++id) {
    const Box& box = boxes[id];
    const auto role = role_of(wiring, id);
    const auto* fill = role == "datastore" ? "#dbe9ff" : role == "proxy" ? "#e2f4dd" : role == "one-shot" ? "#f2f2f2" : "#fff8e5";
    out += fmt::format(R"(<g><rect x="{}" y="{}" width="{}" height="{}" rx="{}" fill="{}" stroke="#333"{}/><text x="{}" y="{}" text-anchor="middle">{}</text><title>{}: {}</title></g>
)",
                       box.x, box.y, box.width, kHeight, role == "datastore" ? 16 : 5, fill, wiring.service(id).enabled ? "" : R"( stroke-dasharray="4 3")",
                       box.x + box.width / 2, box.y + 22, escape(wiring.service(id).name), escape(wiring.service(id).name), role);
  }
  return out + "</svg>\n";
}

}  // namespace dm::wiring
