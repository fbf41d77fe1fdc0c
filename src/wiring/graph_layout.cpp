#include "wiring/graph_layout.hpp"

#include <algorithm>
#include <numeric>

namespace dm::wiring {
namespace {

constexpr int kGap = 22;               // between boxes of a row
constexpr int kRowGap = 62;
constexpr int kMargin = 20;
constexpr int kWidest = 1500;          // a layer that is wider becomes two
constexpr int kBendWidth = 6;
constexpr int kSweeps = 8;
constexpr std::size_t kMostBends = 20000;  // beyond, long lines run straight

using Neighbours = std::vector<std::vector<std::size_t>>;

/// The layer of each service: callers above what they call. Edges that close a circle do not count.
std::vector<std::size_t> layers_of(std::size_t count, const Neighbours& calls) {
  enum class State : std::uint8_t { fresh, open, done };
  std::vector<State> state(count, State::fresh);
  std::vector<std::size_t> below(count, 0);  // longest way down
  std::vector<std::pair<std::size_t, std::size_t>> stack;
  for (std::size_t start = 0; start < count; ++start) {
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

/// Boxes and bends alike, in rows.
struct Grid {
  std::vector<int> width;
  std::vector<double> centre;
  std::vector<std::vector<std::size_t>> rows;
  Neighbours up, down;

  /// Sorts each row by the middle of its neighbours in the row before, downwards and upwards.
  void untangle() {
    std::vector<double> place(width.size(), 0);
    const auto number = [&](const std::vector<std::size_t>& row) {
      for (std::size_t i = 0; i < row.size(); ++i) place[row[i]] = static_cast<double>(i);
    };
    for (const auto& row : rows) number(row);
    const auto order = [&](std::vector<std::size_t>& row, const Neighbours& side) {
      std::vector<std::pair<double, std::size_t>> keyed;
      for (const auto item : row) {
        double sum = 0;
        for (const auto other : side[item]) sum += place[other];
        keyed.emplace_back(side[item].empty() ? place[item] : sum / static_cast<double>(side[item].size()), item);
      }
      std::ranges::stable_sort(keyed, {}, &std::pair<double, std::size_t>::first);
      std::ranges::transform(keyed, row.begin(), &std::pair<double, std::size_t>::second);
      number(row);
    };
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (std::size_t r = 1; r < rows.size(); ++r) order(rows[r], up);
      for (std::size_t r = rows.size(); r-- > 1;) order(rows[r - 1], down);
    }
  }

  double distance(std::size_t left, std::size_t right) const { return (width[left] + width[right]) / 2.0 + kGap; }

  /// Moves each row towards its neighbours, in its order and without overlap.
  void straighten() {
    for (const auto& row : rows) {
      double x = 0;
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i > 0) x += distance(row[i - 1], row[i]);
        centre[row[i]] = x;
      }
      for (const auto item : row) centre[item] -= x / 2;  // rows are centred to begin with
    }
    const auto pull = [&](const std::vector<std::size_t>& row, const Neighbours& side) {
      std::vector<double> wish(row.size());
      for (std::size_t i = 0; i < row.size(); ++i) {
        double sum = 0;
        for (const auto other : side[row[i]]) sum += centre[other];
        wish[i] = side[row[i]].empty() ? centre[row[i]] : sum / static_cast<double>(side[row[i]].size());
      }
      // The mean of pushing right and pushing left keeps the row where it wants to be on the whole.
      auto right = wish;
      auto left = wish;
      for (std::size_t i = 1; i < row.size(); ++i) right[i] = std::max(right[i], right[i - 1] + distance(row[i - 1], row[i]));
      for (std::size_t i = row.size(); i-- > 1;) left[i - 1] = std::min(left[i - 1], left[i] - distance(row[i - 1], row[i]));
      for (std::size_t i = 0; i < row.size(); ++i) centre[row[i]] = (left[i] + right[i]) / 2;
    };
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (std::size_t r = 1; r < rows.size(); ++r) pull(rows[r], up);
      for (std::size_t r = rows.size(); r-- > 1;) pull(rows[r - 1], down);
    }
  }

  /// Empty strips from top to bottom, between parts that nothing connects, are narrowed.
  void close_up() {
    std::vector<std::size_t> items;
    for (const auto& row : rows) items.insert(items.end(), row.begin(), row.end());
    const auto left = [&](std::size_t item) { return centre[item] - width[item] / 2.0; };
    std::ranges::sort(items, {}, left);
    double reached = items.empty() ? 0 : left(items.front());
    double shift = 0;
    for (const auto item : items) {
      const double begin = left(item);
      shift += std::max(0.0, begin - reached - 2 * kGap);
      reached = std::max(reached, begin + width[item]);
      centre[item] -= shift;
    }
  }
};

}  // namespace

Layout lay_out(const std::vector<int>& widths, const std::vector<Edge>& edges) {
  const auto count = widths.size();
  Layout out;
  out.boxes.resize(count);
  out.bends.resize(edges.size());
  Neighbours calls(count);
  std::vector<bool> connected(count, false);
  for (const Edge& edge : edges) {
    calls[edge.from].push_back(edge.to);
    connected[edge.from] = connected[edge.to] = true;
  }
  auto layer = layers_of(count, calls);

  // Layers that are too wide become several; nothing in a layer calls another of it.
  std::vector<std::vector<std::size_t>> rows;
  const auto deepest = count == 0 ? 0 : *std::ranges::max_element(layer);
  std::vector<std::vector<std::size_t>> by_layer(deepest + 1);
  for (std::size_t id = 0; id < count; ++id)
    if (connected[id]) by_layer[layer[id]].push_back(id);
  for (const auto& members : by_layer) {
    const auto total = std::accumulate(members.begin(), members.end(), 0, [&](int sum, std::size_t id) { return sum + widths[id] + kGap; });
    const auto parts = std::max(1, (total + kWidest - 1) / kWidest);
    const auto each = (members.size() + static_cast<std::size_t>(parts) - 1) / static_cast<std::size_t>(parts);
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i % std::max<std::size_t>(each, 1) == 0) rows.emplace_back();
      rows.back().push_back(members[i]);
      layer[members[i]] = rows.size() - 1;
    }
  }

  Grid grid;
  grid.width = widths;
  grid.rows = rows;
  grid.up.resize(count);
  grid.down.resize(count);
  std::vector<std::vector<std::size_t>> passes(edges.size());
  std::size_t bends = 0;
  for (std::size_t e = 0; e < edges.size(); ++e) {
    std::size_t above = edges[e].from;
    std::size_t under = edges[e].to;
    const bool upward = layer[above] > layer[under];
    if (upward) std::swap(above, under);
    if (layer[above] == layer[under]) continue;
    auto last = above;
    if (bends < kMostBends)
      for (auto row = layer[above] + 1; row < layer[under]; ++row, ++bends) {
        const auto bend = grid.width.size();
        grid.width.push_back(kBendWidth);
        grid.up.push_back({last});
        grid.down.emplace_back();
        grid.down[last].push_back(bend);
        grid.rows[row].push_back(bend);
        passes[e].push_back(bend);
        last = bend;
      }
    grid.down[last].push_back(under);
    grid.up[under].push_back(last);
    if (upward) std::ranges::reverse(passes[e]);
  }
  grid.centre.assign(grid.width.size(), 0);
  grid.untangle();
  grid.straighten();
  grid.close_up();

  double least = 0;
  double most = 200;
  if (!grid.rows.empty()) {
    least = 1e9;
    most = -1e9;
    for (const auto& row : grid.rows)
      for (const auto item : row) {
        least = std::min(least, grid.centre[item] - grid.width[item] / 2.0);
        most = std::max(most, grid.centre[item] + grid.width[item] / 2.0);
      }
  }
  int y = kMargin;
  std::vector<Box> placed(grid.width.size());
  for (const auto& row : grid.rows) {
    for (const auto item : row) placed[item] = {kMargin + static_cast<int>(grid.centre[item] - grid.width[item] / 2.0 - least), y, grid.width[item]};
    y += kBoxHeight + kRowGap;
  }
  for (std::size_t id = 0; id < count; ++id) out.boxes[id] = placed[id];
  for (std::size_t e = 0; e < edges.size(); ++e)
    for (const auto bend : passes[e]) out.bends[e].push_back(placed[bend]);
  out.width = std::max(2 * kMargin + static_cast<int>(most - least), 640);

  // What nothing connects stands apart, in rows of its own.
  if (std::ranges::find(connected, false) != connected.end()) {
    if (!grid.rows.empty()) y += 10 - kRowGap / 2;
    out.apart_y = y;
    y += 22;
    int x = kMargin;
    const int limit = std::max(out.width - kMargin, 900);
    for (std::size_t id = 0; id < count; ++id) {
      if (connected[id]) continue;
      if (x > kMargin && x + widths[id] > limit) {
        x = kMargin;
        y += kBoxHeight + kGap;
      }
      out.boxes[id] = {x, y, widths[id]};
      x += widths[id] + kGap;
      out.width = std::max(out.width, x - kGap + kMargin);
    }
    y += kBoxHeight + kRowGap;
  }
  out.height = std::max(y - kRowGap, 0) + kMargin;
  return out;
}

}  // namespace dm::wiring
