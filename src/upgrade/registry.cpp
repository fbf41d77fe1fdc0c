#include "upgrade/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/http.hpp"
#include "engine/transport.hpp"
#include "product/product.hpp"

namespace dm::upgrade {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kHub = "registry-1.docker.io";  ///< where docker.io answers

bool loopback(std::string_view host) {
  const auto name = host.substr(0, host.rfind(':') == std::string_view::npos ? host.size() : host.rfind(':'));
  return name == "localhost" || name.starts_with("127.") || name == "[::1]";
}

struct Place {
  std::string host{}, port{}, path{};
  bool secure = true;
};

/// Of "https://auth.docker.io/token".
Result<Place> place_of(std::string_view url) {
  Place out;
  if (url.starts_with("https://")) url.remove_prefix(8);
  else if (url.starts_with("http://")) {
    url.remove_prefix(7);
    out.secure = false;
  } else return fail(Errc::corrupt, "the registry names a place that is no http URL");
  const auto slash = std::min(url.find('/'), url.size());
  out.host = url.substr(0, slash);
  out.path = slash == url.size() ? "/" : std::string(url.substr(slash));
  const auto colon = out.host.rfind(':');
  if (colon != std::string::npos && out.host.find(']', colon) == std::string::npos) {
    out.port = out.host.substr(colon + 1);
    out.host.resize(colon);
  } else out.port = out.secure ? "443" : "80";
  return out;
}

Result<engine::HttpResponse> http(const Place& place, const std::string& method, const std::map<std::string, std::string>& headers, const Deadline& deadline) {
  std::shared_ptr<const engine::Transport> transport;
  if (place.secure) {
    DM_TRY(auto made, engine::tls_transport(place.host, place.port, {}));
    transport = std::move(made);
  } else transport = engine::tcp_transport(place.host, place.port);
  engine::Http client(transport);
  engine::HttpRequest request;
  request.method = method;
  request.target = place.path;
  request.headers = headers;
  request.headers["Host"] = place.port == "443" || place.port == "80" ? place.host : place.host + ":" + place.port;
  return client.call(request, deadline.at_most(std::chrono::seconds(20)));
}

/// A parameter of `Bearer realm="...",service="...",scope="..."`.
std::string parameter(std::string_view challenge, std::string_view name) {
  const auto at = challenge.find(fmt::format("{}=\"", name));
  if (at == std::string_view::npos) return {};
  const auto begin = at + name.size() + 2;
  return std::string(challenge.substr(begin, challenge.find('"', begin) - begin));
}

/// The path of `Link: </v2/x/tags/list?n=100&last=z>; rel="next"`.
std::string next_page(const std::map<std::string, std::string>& headers) {
  const auto link = headers.find("link");
  if (link == headers.end() || link->second.find("rel=\"next\"") == std::string::npos) return {};
  const auto begin = link->second.find('<'), end = link->second.find('>');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return {};
  auto target = link->second.substr(begin + 1, end - begin - 1);
  if (const auto scheme = target.find("://"); scheme != std::string::npos) target = target.substr(std::min(target.find('/', scheme + 3), target.size()));
  return target.starts_with("/v2/") ? target : std::string();
}

}  // namespace

struct Registry::Answer {
  engine::HttpResponse http{};
};

Result<Image> parse_image(std::string_view reference) {
  const auto parts = product::split_image(reference);
  Image out{std::string(parts.registry), std::string(parts.repository), std::string(parts.tag), std::string(parts.digest), true};
  if (out.name.empty()) return fail(Errc::invalid_input, fmt::format("'{}' names no image", reference));
  if (out.registry.empty() || out.registry == "docker.io" || out.registry == "index.docker.io") {
    out.registry = kHub;
    if (out.name.find('/') == std::string::npos) out.name = "library/" + out.name;
  }
  if (out.tag.empty() && out.digest.empty()) out.tag = "latest";
  out.secure = !loopback(out.registry);
  return out;
}

std::string to_string(const Image& image) {
  auto out = fmt::format("{}/{}", image.registry == kHub ? "docker.io" : image.registry, image.name);
  if (!image.tag.empty()) out += ":" + image.tag;
  if (!image.digest.empty()) out += "@" + image.digest;
  return out;
}

std::string Registry::login(const Image& image) const {
  const auto named = environment_.find("DOCKER_CONFIG"), home = environment_.find("HOME");
  const auto folder = named != environment_.end() ? named->second : home != environment_.end() ? home->second + "/.docker" : std::string();
  const auto text = sources::disk().read(folder + "/config.json", 1U << 20U);
  if (!text) return {};
  const auto tree = Json::parse(*text, nullptr, false);
  if (!tree.is_object() || !tree.contains("auths") || !tree["auths"].is_object()) return {};
  const auto hub = image.registry == kHub;
  for (const auto& [name, entry] : tree["auths"].items()) {
    const bool ours = hub ? name.find("index.docker.io") != std::string::npos || name == "docker.io" : name == image.registry || name == "https://" + image.registry;
    if (ours && entry.is_object() && entry.contains("auth") && entry["auth"].is_string()) return "Basic " + entry["auth"].get<std::string>();
  }
  return {};
}

Result<std::string> Registry::token(const Image& image, const std::string& challenge, const Deadline& deadline) {
  const auto basic = login(image);
  if (!challenge.starts_with("Bearer ") && !challenge.starts_with("bearer ")) {
    if (basic.empty()) return fail(Errc::denied, fmt::format("{} wants a login: docker login {}", image.registry, image.registry));
    return basic;
  }
  const auto realm = parameter(challenge, "realm"), service = parameter(challenge, "service");
  DM_TRY(auto place, place_of(realm));
  if (!place.secure && image.secure) return fail(Errc::denied, fmt::format("{} wants to give out tokens over a connection in the clear", image.registry));
  place.path += fmt::format("{}service={}&scope=repository:{}:pull", place.path.find('?') == std::string::npos ? "?" : "&", engine::escape(service), engine::escape(image.name));
  std::map<std::string, std::string> headers;
  if (!basic.empty()) headers["Authorization"] = basic;
  DM_TRY(const auto answer, during("asking for a token", http(place, "GET", headers, deadline)));
  if (answer.head.status != 200) return fail(Errc::denied, fmt::format("{} gives no token for {} (status {})", place.host, image.name, answer.head.status));
  const auto tree = Json::parse(answer.body, nullptr, false);
  for (const auto* key : {"token", "access_token"})
    if (tree.is_object() && tree.contains(key) && tree[key].is_string()) return "Bearer " + tree[key].get<std::string>();
  return fail(Errc::corrupt, fmt::format("{} answers without a token", place.host));
}

Result<Registry::Answer> Registry::ask(const Image& image, const std::string& method, const std::string& target, const Deadline& deadline) {
  DM_TRY(auto place, place_of(fmt::format("{}://{}{}", image.secure ? "https" : "http", image.registry, target)));
  auto& authorization = authorization_[image.registry + "/" + image.name];
  std::map<std::string, std::string> headers{{"Accept", "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, "
                                                        "application/vnd.docker.distribution.manifest.v2+json, application/json"}};
  for (int attempt = 0;; ++attempt) {
    if (!authorization.empty()) headers["Authorization"] = authorization;
    DM_TRY(auto answer, during(fmt::format("asking {}", image.registry), http(place, method, headers, deadline)));
    const auto status = answer.head.status;
    if (status == 401 && attempt == 0) {
      const auto challenge = answer.head.headers.find("www-authenticate");
      if (challenge == answer.head.headers.end()) return fail(Errc::denied, fmt::format("{} refuses, and does not say how to log in", image.registry));
      DM_TRY(authorization, token(image, challenge->second, deadline));
      continue;
    }
    if (status == 200) return Answer{std::move(answer)};
    if (status == 401 || status == 403) return fail(Errc::denied, fmt::format("{} does not let us see {} (status {})", image.registry, image.name, status));
    if (status == 404) return fail(Errc::not_found, fmt::format("{} has no {}", image.registry, image.name));
    if (status == 429) return fail(Errc::unavailable, fmt::format("{} has had too many questions from here; try again later", image.registry));
    return fail(status >= 500 ? Errc::unavailable : Errc::failed, fmt::format("{} answers with status {}", image.registry, status));
  }
}

Result<std::vector<std::string>> Registry::tags(const Image& image, const Deadline& deadline) {
  std::vector<std::string> out;
  auto target = fmt::format("/v2/{}/tags/list?n=1000", image.name);
  for (int page = 0; !target.empty(); ++page) {
    if (page >= 200) return fail(Errc::corrupt, fmt::format("{} has no end of tags", image.name));
    DM_TRY(const auto answer, ask(image, "GET", target, deadline));
    const auto tree = Json::parse(answer.http.body, nullptr, false);
    if (!tree.is_object() || !tree.contains("tags")) return fail(Errc::corrupt, fmt::format("{} answers with no list of tags", image.registry));
    if (tree["tags"].is_array())
      for (const auto& tag : tree["tags"])
        if (tag.is_string()) out.push_back(tag.get<std::string>());
    target = next_page(answer.http.head.headers);
  }
  return out;
}

Result<std::string> Registry::digest(const Image& image, const Deadline& deadline) {
  DM_TRY(const auto answer, ask(image, "HEAD", fmt::format("/v2/{}/manifests/{}", image.name, image.tag), deadline));
  const auto found = answer.http.head.headers.find("docker-content-digest");
  if (found == answer.http.head.headers.end()) return fail(Errc::unsupported, fmt::format("{} does not say which image {} is", image.registry, image.tag));
  return found->second;
}

}  // namespace dm::upgrade
