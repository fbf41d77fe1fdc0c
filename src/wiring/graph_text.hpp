/// The wiring as text, Graphviz dot, JSON or a self-contained SVG. The same wiring gives the same bytes.
#pragma once

#include <string>

#include "wiring/wiring.hpp"

namespace dm::wiring {

/// One block a service: what it needs and why, who needs it, what cannot be reached; then the critical path.
std::string graph_text(const Wiring& wiring);
std::string graph_dot(const Wiring& wiring);
/// {"version": 1, "project", "services": [...], "edges": [...], "critical_path": [...]}
std::string graph_json(const Wiring& wiring);
/// Callers above what they call; no scripts, fonts or links from outside.
std::string graph_svg(const Wiring& wiring);

std::string_view to_string(Reference::Via via);
std::string_view to_string(Reference::Outcome outcome);

}  // namespace dm::wiring
