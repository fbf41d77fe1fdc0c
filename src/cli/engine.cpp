#include "cli/engine.hpp"

namespace dm::cli {

Result<std::unique_ptr<engine::Engine>> open_engine(const Args& args) {
  DM_TRY(const engine::Place place, engine::find_engine({args.host, args.context}, args.project.environment, sources::disk()));
  return engine::open_engine(place);
}

}  // namespace dm::cli
