/// Asks an image registry, over Docker's registry API v2, what it has.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "sources/files.hpp"

namespace dm::upgrade {

/// An image reference taken apart as the docker CLI does: registry "registry-1.docker.io", name "library/postgres", tag "17".
struct Image {
  std::string registry{}, name{}, tag{}, digest{};
  bool secure = true;               ///< loopback is asked over plain HTTP, as the engine does
};
/// Errors: `invalid_input`.
Result<Image> parse_image(std::string_view reference);
/// The whole reference, as the docker CLI writes it out: "docker.io/library/postgres:17@sha256:...".
std::string to_string(const Image& image);

/// Asked as its user is logged in (`docker login`; `auths` of the docker CLI's configuration, no credential helpers). Thread-compatible.
class Registry {
 public:
  explicit Registry(std::map<std::string, std::string, std::less<>> environment) : environment_(std::move(environment)) {}
  /// Every tag of a name, over all pages. Errors: `unavailable`, `denied`, `not_found`, `corrupt`.
  Result<std::vector<std::string>> tags(const Image& image, const Deadline& deadline);
  /// "sha256:...": what the tag names there now.
  Result<std::string> digest(const Image& image, const Deadline& deadline);

 private:
  struct Answer;
  Result<Answer> ask(const Image& image, const std::string& method, const std::string& target, const Deadline& deadline);
  Result<std::string> token(const Image& image, const std::string& challenge, const Deadline& deadline);
  std::string login(const Image& image) const;
  std::map<std::string, std::string, std::less<>> environment_;
  std::map<std::string, std::string> authorization_{};  ///< by registry and name; secret
};

}  // namespace dm::upgrade
