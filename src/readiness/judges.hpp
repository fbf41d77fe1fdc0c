/// Judges of controls, for what no single rule says: each answers from what the files show, or says why it cannot.
#pragma once

#include "readiness/control.hpp"

namespace dm::readiness {

Verdict judge_sealed(const Stack& stack);         ///< O12, O37: secrets that stand readable in an env file
Verdict judge_environment(const Stack& stack);    ///< secrets that only the environment can carry lie in the engine's own files
Verdict judge_bounded(const Stack& stack);        ///< O41 - O43, O65: what is known to exhaust a host has a memory limit
Verdict judge_tiers(const Stack& stack);          ///< O4: a break-in at the edge must not stand before the database at once
Verdict judge_rate_limit(const Stack& stack);     ///< O17: something at the edge counts requests
Verdict judge_central_logs(const Stack& stack);   ///< O75: logs leave the containers
Verdict judge_git(const Stack& stack);            ///< O3: without a work tree there is nothing to say about what git would take
Verdict judge_connections(const Stack& stack);    ///< O18: the pools of all clients fit into what PostgreSQL allows
Verdict judge_scripts(const Stack& stack);        ///< O7: scripts parse; only a shell reads them whole
Verdict judge_sign_in(const Stack& stack);        ///< O78: who may enter what the edge routes to
Verdict judge_ldap(const Stack& stack);           ///< O79: hashes, policy and lockout of the directory
Verdict judge_tiers_of_data(const Stack& stack);  ///< O72: which data may be lost how far back

}  // namespace dm::readiness
