#include <array>

#include "readiness/judges.hpp"

namespace dm::readiness {
namespace {

bool always(const Stack& stack) { return !stack.project->services.empty(); }
bool never(const Stack&) { return false; }
bool running(const Stack& stack) { return stack.long_running > 0; }
bool checks(const Stack& stack) { return stack.checks; }
bool data(const Stack& stack) { return stack.datastore || stack.volumes; }
bool datastore(const Stack& stack) { return stack.datastore; }
bool sql(const Stack& stack) { return stack.sql; }
bool postgres(const Stack& stack) { return stack.postgres; }
bool cache(const Stack& stack) { return stack.cache; }
bool ldap(const Stack& stack) { return stack.ldap; }
bool proxy(const Stack& stack) { return stack.proxy; }
bool sign_in(const Stack& stack) { return stack.proxy && stack.identity; }
bool aliases(const Stack& stack) { return stack.proxy && stack.aliases; }
bool gpu(const Stack& stack) { return stack.gpu; }
bool init_scripts(const Stack& stack) { return stack.init_scripts; }
bool secrets(const Stack& stack) { return stack.secrets || stack.dotenv; }
bool risky(const Stack& stack) { return stack.risky; }
bool edge_and_data(const Stack& stack) { return stack.proxy && stack.datastore; }
bool templates(const Stack& stack) { return stack.templates; }
bool several(const Stack& stack) { return stack.project->services.size() > 1; }

using enum Area;
using enum Evidence;

constexpr std::string_view kStats = "docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.MemPerc}}'";
constexpr std::string_view kUnhealthy = "docker ps -a --filter health=unhealthy; docker ps -a --filter status=restarting";
constexpr std::string_view kLogs = "docker inspect -f '{{.Name}} {{json .HostConfig.LogConfig}}' $(docker compose ps -q)";
constexpr std::string_view kMemory = "docker inspect -f '{{.Name}} {{.HostConfig.Memory}}' $(docker compose ps -q)";

constexpr std::string_view kConnections = "SELECT count(*), current_setting('max_connections') FROM pg_stat_activity, under load";
constexpr std::string_view kSignIn = "curl -sI https://HOST/ of each route: 401, or 302 to the sign-in";
constexpr std::string_view kLdap = "ldapsearch -Y EXTERNAL -H ldapi:/// -b cn=config olcPasswordHash olcPPolicyDefault; a sixth wrong password locks an account";

/// One line a control, by area. Weights: 10 no service without it, 7 an outage waits, 4 trouble, 1 polish.
constexpr std::array kControls{
    // Does it start, and do its parts find each other?
    Control{"R01", "O31", architecture, 10, "every profile and combination loads", files, "DM0100 DM0101 DM0109 DM0110 DM0111", always, ""},
    Control{"R02", "", architecture, 9, "what is mounted and referred to exists", applied, "DM0104 DM0106 DM0107 DM0112 DM0114 DM0115 DM0118 DM0130 DM0910 DM0912", always,
            ""},
    Control{"R03", "", architecture, 8, "services name each other rightly and reach each other", applied, "DM0131 DM0201 DM0203 DM0204 DM0209 DM0211 DM0212 DM0503 DM0506", several,
            ""},
    Control{"R04", "O31 O77", architecture, 8, "everything starts and becomes healthy", engine, "", running, "docker compose up -d; docker compose ps -a", nullptr, 0,
            "datamancy up; datamancy check"},
    Control{"R05", "O16", architecture, 2, "the edge has no dead network aliases", applied, "DM0207", aliases, ""},
    Control{"R06", "O18", architecture, 3, "connections to PostgreSQL are pooled within its maximum", files, "DM0210", postgres, kConnections, judge_connections, 30},
    Control{"R07", "O20", architecture, 2, "rendered configuration has no placeholder left and no drift", unchecked, "", templates, ""},
    Control{"R08", "O7", architecture, 1, "scripts of the project parse", files, "DM0116", init_scripts, "sh -n FILE", judge_scripts},
    Control{"R09", "O32", architecture, 6, "the GPU is visible inside the engine", engine, "", gpu,
            "docker run --rm --gpus all ubuntu nvidia-smi", nullptr, 0,
            "datamancy check"},
    Control{"R10", "O80", architecture, 1, "remote machines are reached by a dedicated user", unchecked, "", never, ""},
    Control{"R19", "", architecture, 3, "nothing else is wrong with the architecture", files, "*", never, ""},
    // Who can do what?
    Control{"R20", "O8", security, 8, "no container is privileged or equals it", applied,
            "DM0601 DM0605 DM0606 DM0614 DM0617 DM0618 DM0619 DM0620 DM0621 DM0622 DM0624 DM0625 DM0626 DM0627 DM0628 DM0629", always, ""},
    Control{"R21", "O8", security, 2, "services run with few rights and not as root", applied, "DM0602 DM0604 DM0611 DM0631", always, ""},
    Control{"R22", "O4", security, 7, "no datastore is open to other machines or without a password", applied, "DM0901 DM0512", datastore, ""},
    Control{"R33", "O4", security, 4, "the edge shares no network with a datastore", applied, "DM0220", edge_and_data, "", judge_tiers},
    Control{"R23", "O12 O37", security, 7, "no secret is written into compose files or command lines", files, "DM0501 DM0502 DM0505 DM0510 DM0705", always, ""},
    Control{"R24", "O12 O37", security, 6, "env files hold no readable secret", files, "DM0520 DM0521", secrets, "", judge_sealed, 45},
    Control{"R34", "", security, 2, "no secret lies in the engine's own files", applied, "DM0514", secrets,
            "docker inspect -f '{{.Name}} {{json .Config.Env}}' $(docker compose ps -q) | sed 's/=[^\"]*//g'", judge_environment, 30},
    Control{"R25", "O74", security, 4, "a missing secret stops the start instead of being empty", applied, "DM0108", secrets, ""},
    Control{"R26", "O3", security, 5, "env files are ignored by git and not committed", files, "DM0511", secrets,
            "git check-ignore -v .env; git log --all --oneline -- .env", judge_git},
    Control{"R27", "O2", security, 5, "database init scripts take any password and inject nothing", files, "DM0130 DM0530", init_scripts, ""},
    Control{"R28", "O17", security, 4, "login attempts are limited at the edge", files, "", sign_in, "", judge_rate_limit, 45},
    Control{"R29", "O19", security, 5, "the edge has certificates that renew", engine, "DM0911 DM0913", proxy,
            "openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -enddate"},
    Control{"R30", "O39", security, 5, "a login through the edge works", drill, "", sign_in, "", nullptr, 0,
            "datamancy check --login-url URL --login-user NAME --login-password-file FILE"},
    Control{"R31", "O78", security, 5, "every routed interface is behind a sign-in", files, "DM0903 DM0904", sign_in, kSignIn, judge_sign_in},
    Control{"R32", "O79", security, 4, "LDAP has strong hashes, a password policy and a lockout", files, "", ldap, kLdap, judge_ldap},
    Control{"R39", "", security, 3, "nothing else is wrong with security", files, "*", never, ""},
    // Does it stay up, and does somebody notice?
    Control{"R40", "O1 O35", operations, 7, "healthchecks exist, can run and test the service", files, "DM0301 DM0302 DM0304 DM0311", running, ""},
    Control{"R41", "O1", operations, 2, "healthchecks are well timed, one-shots have none", files, "DM0303 DM0305", checks, ""},
    Control{"R42", "O35 O53", operations, 6, "no container is unhealthy or restarting", engine, "DM1001 DM1006 DM1007 DM1009 DM1010", running, kUnhealthy, nullptr, 0,
            "datamancy report --live"},
    Control{"R43", "O5", operations, 4, "restart policies fit the kind of service", files, "DM0803", always, ""},
    Control{"R44", "O10 O36", operations, 7, "memory limits are set", applied, "DM0801", running, ""},
    Control{"R45", "O41 O42 O43 O65", operations, 5, "what is known to exhaust a host is bounded", applied, "", risky, "", judge_bounded},
    Control{"R46", "O10", operations, 2, "processors and processes are bounded", applied, "DM0805 DM0806", running, ""},
    Control{"R47", "O36", operations, 4, "memory limits are in force", engine, "DM1004", running, kMemory, nullptr, 0,
            "datamancy report --live"},
    Control{"R48", "O79", operations, 3, "caches have a memory limit of their own", applied, "DM0811", cache, ""},
    Control{"R49", "O11 O38", operations, 5, "logs rotate and are kept", applied, "DM0802 DM0807", running, ""},
    Control{"R50", "O38", operations, 3, "log rotation is in force", engine, "DM1005", running, kLogs, nullptr, 0,
            "datamancy report --live"},
    Control{"R51", "", operations, 4, "images are pinned", applied, "DM0701 DM0702 DM0703 DM0704 DM0706 DM0710", always, ""},
    Control{"R52", "O33", operations, 5, "disks have 50 GB free where volumes and engine live", engine, "DM1013", always,
            "df -h \"$(docker info -f '{{.DockerRootDir}}')\"", nullptr, 0,
            "datamancy report --live"},
    Control{"R53", "O40 O56 O76", operations, 3, "a daemon watches, diagnoses and repairs within bounds", engine, "", running, "", nullptr, 0,
            "datamancy check"},
    Control{"R54", "O51 O52", operations, 3, "memory against limits is watched", engine, "DM0810", running, kStats},
    Control{"R55", "O54", operations, 3, "database connections against their maximum are watched", engine, "", sql, ""},
    Control{"R56", "O53 O55", operations, 4, "disk, health, certificates and backup age raise alerts", engine, "DM0310", running, ""},
    Control{"R57", "O75", operations, 2, "logs are kept centrally", files, "", several, "", judge_central_logs, 120},
    Control{"R58", "O67", operations, 4, "a seven-day burn-in passed", drill, "", running, ""},
    Control{"R59", "O77", operations, 3, "acceptance: failure, partition and load were exercised", drill, "", running, ""},
    Control{"R69", "", operations, 2, "nothing else is wrong with operations", files, "*", never, ""},
    // Does the data come back?
    Control{"R70", "O34", recovery, 10, "data lies on volumes, where the product writes it", files, "DM0401 DM0402 DM0405", datastore, ""},
    Control{"R78", "", recovery, 3, "datastores are given time to shut down", applied, "DM0808", datastore, ""},
    Control{"R71", "O6 O34", recovery, 9, "every datastore is covered by a backup", files, "DM0403 DM0412", datastore, ""},
    Control{"R72", "O13", recovery, 6, "a backup ran and was verified", drill, "", data, "", nullptr, 0,
            "datamancy backup run; datamancy backup verify"},
    Control{"R73", "O13 O34", recovery, 8, "a restore was drilled", drill, "", data, "", nullptr, 0,
            "datamancy drill restore --all"},
    Control{"R74", "O14 O15", recovery, 6, "a copy lies off-site", drill, "DM0410 DM0411", data, "", nullptr, 0,
            "datamancy backup replicate"},
    Control{"R75", "O73", recovery, 4, "three copies, one that this host cannot delete", drill, "", data, ""},
    Control{"R76", "O71", recovery, 3, "recovery point (24 h) and recovery times are measured", drill, "", data, "", nullptr, 0,
            "datamancy drill restore --all"},
    Control{"R77", "O72", recovery, 2, "data tiers decide depth and frequency", files, "", data, "", judge_tiers_of_data},
    Control{"R89", "", recovery, 2, "nothing else endangers recovery", files, "*", never, ""},
};

}  // namespace

std::span<const Control> controls() { return kControls; }

}  // namespace dm::readiness
