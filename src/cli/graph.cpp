#include "wiring/graph_text.hpp"

#include "cli/judge.hpp"
#include "cli/secrets.hpp"
#include "secrets/delivery.hpp"

namespace dm::cli {

int graph(Args& args) {
  std::string format = "text";
  std::string output;
  args.option("--format", format);
  if (args.has("--json")) format = "json";
  if (!args.option("--output", output)) args.option("-o", output);
  if (format != "text" && format != "dot" && format != "json" && format != "svg") return bad_value("graph", "--format", format);
  if (!take_path(args, "graph")) return kUsage;
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
