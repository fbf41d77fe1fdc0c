/// Small questions that several rules ask.
#pragma once

#include <string>
#include <string_view>

#include "audit/rule.hpp"
#include "base/words.hpp"

namespace dm::audit::rules {

/// The place of a key of the service, or of the service's name.
Location place(const compose::Service& service, std::string_view key);
/// Written out in the file: no part of it comes from a variable.
bool is_literal(const compose::Value& value);
/// The healthcheck's command as one text, without CMD and CMD-SHELL; "" where there is none.
std::string health_command(const compose::Service& service);
/// "a, b and 3 more".
std::string join_names(const Input& input, const std::vector<ServiceId>& services, std::size_t most = 6);
/// "'a'", "'a' and 'b'", "'a', 'b' and 2 more".
std::string quoted_names(const Input& input, const std::vector<ServiceId>& services);
/// Published on all of the host's addresses.
bool every_interface(const compose::Port& port);
/// Ports of a service that stand open: their places, and their numbers as "8080, 9090" with `random` for one that the engine chooses.
struct OpenPorts {
  std::vector<Location> where;
  std::string list;
  void add(const compose::Port& port, std::string_view random);
};
/// Those that are published on all of the host's addresses: a port that the engine chooses is `random`, or "${DB_PORT} (not set)" if a variable was to give it.
OpenPorts published_to_all(const Input& input, const compose::Service& service, std::string_view random = "(random)");
/// The mount that a path in the container lies on, the innermost; null where it is the image's.
const compose::Mount* mount_of(const compose::Service& service, std::string_view path);
/// The files of settings that a service mounts.
std::span<const wiring::ConfigFile> config_files_of(const Input& input, ServiceId id);
/// An env file that Compose refuses to start without, and who names it where.
struct MissingEnvFile {
  std::string path;
  std::vector<Location> where;
  std::vector<ServiceId> services;
};
std::vector<MissingEnvFile> missing_env_files(const Input& input);
/// "1 of 5 services has" and "3 of 5 services have": who of all the project's services.
std::string of_all(const Input& input, std::size_t number, std::string_view one, std::string_view many);
/// The value of an example: changeme, password, <your key>.
bool placeholder(std::string_view value);
/// The password is the user's own name, as the variable beside it gives it ("POSTGRES_PASSWORD: app" beside "POSTGRES_USER: app"); the
/// name of that variable, "" where it is not.
std::string same_as_user(const compose::Service& service, const compose::EnvVar& variable);
/// All its profiles name work that somebody does by hand, so that nothing waits for it and nobody is to be told when it stops.
bool run_by_hand(const compose::Service& service);
/// A server whose image asks for no password, and no option, variable or mounted file of its own makes it ask.
bool asks_no_password(const Input& input, ServiceId id);
/// A capability as the kernel names it, without CAP_: the engine takes "cap_net_admin" for NET_ADMIN.
std::string capability_name(std::string_view text);
/// Watches the host by trade (node-exporter, cAdvisor, ...), so that it must see the folders of the host.
bool watches_host(const compose::Service& service);
/// A file beside `path` that is its example ("app.env.example", "example.env", ".env.sample"), relative to the project; "" for none.
std::string example_of(const Input& input, const std::string& path);
/// What stands in compose files, scripts and Makefiles of the project's folder that were not loaded, in one text.
std::string texts_beside(const Input& input);
/// Never on at the same time: each has profiles, and they have none in common.
bool alternatives(const compose::Service& a, const compose::Service& b);
/// Calls `body(id, service)` for each service that runs on.
template <class F>
void each_service(const Input& input, F&& body) {
  for (ServiceId id = 0; id < input.project.services.size(); ++id) body(id, input.project.services[id]);
}
/// A finding for each service that sets `key` (pid, ipc, network_mode ...) to `host`; `soften` may change it.
void shares_with_host(const Input& input, Report& report, std::string_view key, void (*soften)(const compose::Service&, Finding&) = nullptr);
/// One finding for all services that `bad` names: the form of blanket rules.
template <class F, class G>
void blanket(const Input& input, Report& report, F&& bad, G&& message) {
  std::vector<ServiceId> services;
  std::vector<Location> where;
  each_service(input, [&](ServiceId id, const compose::Service& service) {
    if (!bad(id, service)) return;
    services.push_back(id);
    where.push_back(service.where);
  });
  if (services.empty()) return;
  auto text = message(services);
  report.add_all(std::move(where), std::move(services), std::move(text));
}

}  // namespace dm::audit::rules
