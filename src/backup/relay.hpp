/// HTTP to a server inside its container, for drivers of products whose images have no client program: no port has to be published,
/// no network shared, and a stand-in without any network can be reached too.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.hpp"
#include "engine/http.hpp"

namespace dm::backup {

/// Connections to `port` of the container's own loopback: each is a `bash` in the container that passes bytes both ways, so what is
/// sent (a password too) is in no argument, environment or list. `engine` must outlive it. Errors of connect: those of exec,
/// `unsupported` where the image has no bash; that nobody listens shows at the first read, as `unavailable`.
std::shared_ptr<const engine::Transport> relay(engine::Engine& engine, std::string container, int port);

/// Asks a server through `relay`, with one header that lets us in.
class Inquiry {
 public:
  /// `login` is the value of `header`; "" = none is sent.
  Inquiry(engine::Engine& engine, const std::string& container, int port, std::string peer, std::string header, std::string login);

  struct Question {
    std::string method{"GET"}, target{}, body{};
    std::string content_type{"application/json"};
  };
  /// The whole answer where it is one of success (2xx). Errors: `not_found` (404), `denied` (401, 403), `conflict` (409, 412), else
  /// `failed`, with the server's own words, shortened.
  Result<std::string> ask(Question question, const Deadline& deadline);
  /// The same, passed on piece by piece.
  Result<void> stream(Question question, const Sink& out, const Deadline& deadline);

 private:
  engine::HttpRequest request(Question question) const;
  Result<void> judge(const engine::HttpHead& head, const Question& question, std::string_view words) const;
  engine::Http http_;
  std::string peer_, header_, login_;
};

/// Runs `script`, which prints "user LF password" (the words are what the container's labels datamancy.backup.user and
/// datamancy.backup.password-file say, each may be empty), and makes of it what HTTP's basic authentication sends; "" = neither.
Result<std::string> basic_login(engine::Engine& engine, const std::string& container, std::string_view script, const Deadline& deadline);
std::string basic(std::string_view user, std::string_view password);

/// Asks until the server of a stand-in answers. Errors: `failed` where its container stops before, `timeout`, `unsupported`.
Result<void> await_answer(engine::Engine& engine, const std::string& container, Inquiry& server, std::string target, const Deadline& deadline);

}  // namespace dm::backup
