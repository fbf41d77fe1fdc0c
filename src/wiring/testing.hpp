/// For the tests of this module: a project from texts, wired.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "compose/load.hpp"
#include "wiring/wiring.hpp"

namespace dm::wiring::testing {

/// `text` is compose.yaml; more files follow, each after a line "-- PATH". Lies in /p.
struct Wired {
  sources::MemoryFiles files;
  product::Catalogue products;
  compose::Loaded loaded;
  Wiring wiring;

  explicit Wired(std::string_view text) {
    std::string path = "compose.yaml";
    std::string content;
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      const auto line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.starts_with("-- ")) {
        files.add("/p/" + path, content);
        path = line.substr(3);
        content.clear();
      } else {
        content += line;
        content += '\n';
      }
    }
    files.add("/p/" + path, content);
    compose::Options options;
    options.working_directory = "/p";
    options.lenient = true;
    loaded = compose::load(options, files);
    wiring = wire(*loaded.project, products);
  }

  const Reference* reference(std::string_view from, std::string_view host) const {
    for (const auto& reference : wiring.references)
      if (wiring.service(reference.from).name == from && reference.host == host && reference.via != Reference::Via::depends_on) return &reference;
    return nullptr;
  }
  /// "db:5432 db2" ...: the firm ones, in order, without depends_on.
  std::string firm(std::string_view from) const {
    std::string out;
    for (const auto& reference : wiring.references) {
      if (wiring.service(reference.from).name != from || !reference.firm || reference.via == Reference::Via::depends_on) continue;
      out += (out.empty() ? "" : " ") + reference.host + (reference.port ? ":" + std::to_string(*reference.port) : "");
    }
    return out;
  }
  std::string_view text(const Location& where) const { return loaded.project->texts.text(where); }
};

}  // namespace dm::wiring::testing
