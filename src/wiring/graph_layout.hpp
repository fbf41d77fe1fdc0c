/// Where the boxes of the drawn graph stand and which way its lines go. Internal to the module.
#pragma once

#include <vector>

#include "wiring/graph_edges.hpp"

namespace dm::wiring {

inline constexpr int kBoxHeight = 34;

struct Box {
  int x = 0, y = 0, width = 0;
};

/// Layers from callers down to what they call. A line that crosses layers passes between their boxes.
struct Layout {
  std::vector<Box> boxes;                      ///< by ServiceId
  std::vector<std::vector<Box>> bends;         ///< by edge: the gaps that it passes through, from its start to its end
  int width = 0, height = 0;
  int apart_y = 0;                             ///< top of the services that nothing connects; 0 = there are none
};

/// `widths` are the boxes' widths by ServiceId. Linear in what it draws, some sweeps over it.
Layout lay_out(const std::vector<int>& widths, const std::vector<Edge>& edges);

}  // namespace dm::wiring
