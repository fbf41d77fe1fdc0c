/// What an `up` leaves in the store: revisions, the journal, and the digests of mounted files; and the way back.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/deploying.hpp"
#include "deploy/content.hpp"
#include "state/revision.hpp"

namespace dm::cli {

/// Digest function of the session's store.
Result<std::function<std::string(std::string_view)>> digester(const Session& session);

/// The revision that an `up` of this session makes: template of the model, files, images as the files name them.
Result<state::Revision> describe(const Session& session, const deploy::Plan& plan, std::string verb);
/// Services with the image ids and hashes of their containers.
std::vector<state::RevisionService> services_of(const Session& session, const std::vector<deploy::Container>& containers);
/// Rows "under way" of processes that died (we hold the lock) are closed; says so, and whether there were any.
bool close_interrupted(Session& session);
/// Records with which content the containers were made. `before`: the ones that were there before the run.
void record_content(Session& session, const deploy::Digests& now, const std::vector<deploy::Mounted>& list, const std::vector<deploy::Container>& before,
                    const std::vector<deploy::Container>& after);

/// Values of the containers' environment: candidates for the holes of a template. In memory only.
std::vector<std::string> running_values(Session& session);

/// Puts images, files and model of `target` in place and turns `session` into one of the revision's model. `notes` gets what could
/// not be brought back. Errors: what makes it impossible (an image is gone, a secret is not to be had).
Result<void> become(Session& session, const Args& args, const state::Revision& target, const std::vector<std::string>& values, std::vector<std::string>& notes);

/// Runs the plan of `session` with its records; with `request.atomic`, goes back to the last good revision where it fails.
int deploy_session(Session& session, Args& args, UpRequest& request, const std::string& verb);

}  // namespace dm::cli
