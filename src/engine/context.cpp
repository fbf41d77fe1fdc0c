#include "engine/context.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "engine/docker.hpp"

namespace dm::engine {
namespace {

using Json = nlohmann::json;
constexpr const char* kDefaultSocket = "/var/run/docker.sock";

std::string variable(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

std::string text(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string config_folder(const Environment& environment) {
  auto folder = variable(environment, "DOCKER_CONFIG");
  return folder.empty() ? variable(environment, "HOME") + "/.docker" : folder;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

bool exists(const sources::Files& files, const std::string& path) { return files.stat(path).kind == sources::Kind::regular; }

/// ca.pem, cert.pem and key.pem of a folder, as far as they are there.
Result<TlsFiles> read_tls(const sources::Files& files, const std::string& folder) {
  TlsFiles out;
  for (const auto& [name, into] : {std::pair{"ca.pem", &out.ca}, {"cert.pem", &out.cert}, {"key.pem", &out.key}}) {
    const auto path = folder + "/" + name;
    if (!exists(files, path)) continue;
    DM_TRY(*into, files.read(path, 1U << 20U));
  }
  if (out.cert.empty() != out.key.empty())
    return fail(Errc::invalid_input, fmt::format("{} has {} but no {}", folder, out.cert.empty() ? "key.pem" : "cert.pem", out.cert.empty() ? "cert.pem" : "key.pem"));
  return out;
}

/// TLS as the environment asks for it; a host by flag or variable uses it too.
Result<std::optional<TlsFiles>> tls_of(const Environment& environment, const sources::Files& files) {
  const bool verify = !variable(environment, "DOCKER_TLS_VERIFY").empty();
  if (!verify && variable(environment, "DOCKER_TLS").empty()) return std::optional<TlsFiles>();
  auto folder = variable(environment, "DOCKER_CERT_PATH");
  if (folder.empty()) folder = config_folder(environment);
  DM_TRY(TlsFiles tls, read_tls(files, folder));
  tls.verify = verify;
  if (verify && tls.ca.empty()) return fail(Errc::not_found, fmt::format("DOCKER_TLS_VERIFY is set, but there is no {}/ca.pem; set DOCKER_CERT_PATH to its folder", folder));
  return std::optional<TlsFiles>(std::move(tls));
}

Result<Place> by_context(const std::string& name, std::string reason, const Environment& environment, const sources::Files& files) {
  const auto root = config_folder(environment) + "/contexts";
  const auto id = sha256_hex(name);
  const auto path = fmt::format("{}/meta/{}/meta.json", root, id);
  if (!exists(files, path)) return fail(Errc::not_found, fmt::format("context '{}' ({}) does not exist: there is no {}; see 'docker context ls'", name, reason, path));
  DM_TRY(const std::string content, files.read(path, 1U << 20U));
  const auto meta = Json::parse(content, nullptr, false);
  const auto broken = [&](std::string_view why) { return fail(Errc::invalid_input, fmt::format("{}: {}", path, why)); };
  if (meta.is_discarded() || !meta.is_object()) return broken("this is not JSON of a context");
  const auto endpoints = meta.find("Endpoints");
  if (endpoints == meta.end() || !endpoints->is_object() || !endpoints->contains("docker")) return broken("it has no endpoint 'docker'");
  const auto& docker = (*endpoints)["docker"];
  Place out;
  out.host = text(docker, "Host");
  if (out.host.empty()) out.host = std::string("unix://") + kDefaultSocket;
  out.context = name;
  out.reason = std::move(reason);
  DM_TRY(TlsFiles tls, read_tls(files, fmt::format("{}/tls/{}/docker", root, id)));
  const bool skip = docker.is_object() && docker.value("SkipTLSVerify", Json(false)) == Json(true);
  tls.verify = !skip;
  if (skip || !tls.ca.empty() || !tls.cert.empty()) out.tls = std::move(tls);
  return out;
}

}  // namespace

Result<Place> find_engine(const Choice& choice, const Environment& environment, const sources::Files& files) {
  if (!choice.host.empty() && !choice.context.empty()) return fail(Errc::invalid_input, "--host and --context exclude each other; name one of them");
  const auto api_version = variable(environment, "DOCKER_API_VERSION");
  const auto direct = [&](std::string host, std::string reason) -> Result<Place> {
    Place out{std::move(host), "default", std::move(reason), {}, api_version};
    DM_TRY(out.tls, tls_of(environment, files));
    if (out.host.find("://") == std::string::npos) out.host = "tcp://" + out.host;
    return out;
  };
  const auto with_version = [&](Result<Place> place) {
    if (place) place->api_version = api_version;
    return place;
  };
  std::string context;
  std::string reason;
  const auto config = config_folder(environment) + "/config.json";
  if (!choice.context.empty()) {
    context = choice.context;
    reason = fmt::format("context '{}' by --context", context);
  } else if (!choice.host.empty()) {
    return direct(choice.host, "--host");
  } else if (auto host = variable(environment, "DOCKER_HOST"); !host.empty()) {
    return direct(std::move(host), "DOCKER_HOST");
  } else if (auto named = variable(environment, "DOCKER_CONTEXT"); !named.empty()) {
    context = std::move(named);
    reason = fmt::format("context '{}' by DOCKER_CONTEXT", context);
  } else if (exists(files, config)) {
    // A config.json that cannot be read is not ours to judge: the docker CLI warns and goes on with the default.
    if (const auto content = files.read(config, 16U << 20U)) context = text(Json::parse(*content, nullptr, false), "currentContext");
    reason = fmt::format("context '{}', currentContext of {}", context, config);
  }
  if (context.empty() || context == "default") {
    // The context "default" is the environment's engine.
    if (auto host = variable(environment, "DOCKER_HOST"); !host.empty()) return direct(std::move(host), "DOCKER_HOST");
    return direct(std::string("unix://") + kDefaultSocket, "default");
  }
  return with_version(by_context(context, reason, environment, files));
}

Result<Host> parse_host(const std::string& text, bool tls) {
  const auto cut = text.find("://");
  Host out;
  out.scheme = cut == std::string::npos ? "tcp" : text.substr(0, cut);
  auto rest = cut == std::string::npos ? text : text.substr(cut + 3);
  const auto bad = [&](std::string_view why) { return fail(Errc::invalid_input, fmt::format("engine host '{}': {}", text, why)); };
  if (out.scheme == "unix") {
    out.path = rest.empty() ? kDefaultSocket : rest;
    if (!out.path.starts_with('/')) return bad("the path of a unix socket must be absolute");
    return out;
  }
  if (out.scheme == "http") out.scheme = "tcp";
  if (out.scheme != "tcp" && out.scheme != "ssh")
    return fail(Errc::unsupported, fmt::format("engine host '{}': scheme '{}' is not one of unix, tcp, ssh", text, out.scheme));
  if (const auto slash = rest.find('/'); slash != std::string::npos) {
    out.path = rest.substr(slash);
    if (out.path == "/") out.path.clear();
    rest.erase(slash);
  }
  if (out.scheme == "tcp" && !out.path.empty()) return bad("a path after the port is not supported");
  if (out.scheme == "ssh") {
    if (const auto at = rest.rfind('@'); at != std::string::npos) {
      out.user = rest.substr(0, at);
      rest.erase(0, at + 1);
      if (out.user.find(':') != std::string::npos) return bad("a password in the host is not supported; use an ssh key");
    }
  }
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string::npos) return bad("the address has no ']'");
    out.name = rest.substr(1, end - 1);
    rest.erase(0, end + 1);
    if (!rest.empty() && rest[0] != ':') return bad("after ']' comes ':PORT'");
    if (!rest.empty()) out.port = rest.substr(1);
  } else if (const auto colon = rest.rfind(':'); colon != std::string::npos) {
    out.name = rest.substr(0, colon);
    out.port = rest.substr(colon + 1);
  } else {
    out.name = rest;
  }
  if (!std::ranges::all_of(out.port, [](char c) { return c >= '0' && c <= '9'; }) || out.port.size() > 5) return bad("the port is no number");
  if (out.scheme == "ssh") {
    if (out.name.empty()) return bad("it names no machine");
    return out;
  }
  if (out.name.empty()) out.name = "localhost";
  if (out.port.empty()) out.port = tls ? "2376" : "2375";
  return out;
}

Result<std::unique_ptr<Engine>> open_engine(const Place& place) {
  DM_TRY(const Host host, parse_host(place.host, place.tls.has_value()));
  DockerOptions options{place.describe(), place.api_version, host.scheme == "unix"};
  std::shared_ptr<const Transport> transport;
  if (host.scheme == "unix") {
    transport = unix_transport(host.path);
  } else if (host.scheme == "ssh") {
    transport = ssh_transport(host.user, host.name, host.port, host.path);
  } else if (place.tls) {
    DM_TRY(std::unique_ptr<Transport> made, tls_transport(host.name, host.port, *place.tls));
    transport = std::move(made);
  } else {
    transport = tcp_transport(host.name, host.port);
  }
  return docker(std::move(transport), std::move(options));
}

}  // namespace dm::engine
