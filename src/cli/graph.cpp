#include "wiring/graph_text.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "cli/secrets.hpp"
#include "secrets/delivery.hpp"

namespace dm::cli {

int graph(Args& args) {
  std::string format = "text";
  std::string output;
  args.option("--format", format);
  if (args.has("--json")) format = "json";
  if (!args.option("--output", output)) args.option("-o", output);
  const bool known = format == "text" || format == "dot" || format == "json" || format == "svg";
  if (!known || args.words.size() > 1 || (!args.words.empty() && args.words[0].starts_with('-'))) {
    fmt::print(stderr, "datamancy: graph does not know '{}'; see 'datamancy graph --help'\n", known ? args.words.back() : format);
    return kUsage;
  }
  if (!args.words.empty()) {
    const auto path = sources::clean_path(args.words[0], args.project.working_directory);
    if (sources::disk().stat(path).kind == sources::Kind::directory) args.project.working_directory = path;
    else args.project.files.push_back(path);
  }
  args.project.lenient = true;
  read_stdin(args.project);
  const auto folder = project_folder(args);
  auto sealed = secrets::placeholders_for(folder, args.project, {args.project.environment, {}, true});
  add_to(args.project, sealed, folder);
  const secrets::UnsealedFiles files(sealed, secrets::UnsealedFiles::Show::placeholders);
  const auto loaded = secrets::load_with_placeholders(args.project, sealed, files, {args.project.environment, {}, true});
  if (!loaded.usable) {
    print_diagnostics(*loaded.project, loaded.diagnostics);
    return kFailed;
  }
  const product::Catalogue products;
  const auto wiring = wiring::wire(*loaded.project, products);
  const auto text = format == "dot" ? wiring::graph_dot(wiring) : format == "json" ? wiring::graph_json(wiring) : format == "svg" ? wiring::graph_svg(wiring) : wiring::graph_text(wiring);
  return write_output(output, text) ? kClean : kFailed;
}

}  // namespace dm::cli
