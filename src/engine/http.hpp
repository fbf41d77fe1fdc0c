/// HTTP/1.1 towards an engine: whole answers, streamed answers, streamed uploads and hijacked connections.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/transport.hpp"

namespace dm::engine {

struct HttpRequest {
  std::string method{"GET"};
  std::string target{};           ///< path and query, escaped
  std::string body{};
  std::string content_type{};
  std::map<std::string, std::string> headers{};  ///< further ones; may hold a secret
  Source upload{};                ///< instead of `body`: sent in chunks
  bool upgrade = false;           ///< ask for a raw stream
};

struct HttpHead {
  unsigned status = 0;
  std::map<std::string, std::string> headers{};  ///< names in lower case
};

struct HttpResponse {
  HttpHead head{};
  std::string body{};
};

/// An answer whose body is read piece by piece.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  virtual const HttpHead& head() const = 0;
  /// Empty at its proper end; `unavailable` where the connection ended before.
  virtual Result<std::string> read(const Deadline& deadline) = 0;
  /// The raw connection after an upgrade; `rest` is what was read already.
  virtual std::unique_ptr<Connection> hijack(std::string& rest) = 0;
};

class Http {
 public:
  /// `peer` is who answers, in messages.
  explicit Http(std::shared_ptr<const Transport> transport, std::string peer = "the engine");
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  /// The whole answer, at most 64 MB. Uses a kept connection where one is idle.
  Result<HttpResponse> call(const HttpRequest& request, const Deadline& deadline);
  /// The same, its body passed on as it comes: success = the answer came to its own end. Errors: those of `body` too.
  Result<HttpHead> fetch(const HttpRequest& request, const std::function<Result<void>(const HttpHead& head, std::string_view piece)>& body, const Deadline& deadline);
  /// Its own connection.
  Result<std::unique_ptr<HttpStream>> open(const HttpRequest& request, const Deadline& deadline);

 private:
  class Idle;
  std::shared_ptr<const Transport> transport_;
  std::string peer_;
  std::unique_ptr<Idle> idle_;
};

/// RFC 3986 escaping of a path segment or query value.
std::string escape(std::string_view text);

}  // namespace dm::engine
