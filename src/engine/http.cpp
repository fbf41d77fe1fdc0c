#include "engine/http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <cctype>
#include <limits>

#include "base/guarded.hpp"
#include "base/words.hpp"

namespace dm::engine {
namespace {

namespace http = boost::beast::http;
constexpr std::size_t kPiece = 65536;
constexpr std::size_t kMaxAnswer = 64U << 20U;
constexpr std::size_t kMaxIdle = 4;

std::string head_of(const HttpRequest& request, const std::string& host) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: datamancy\r\n", request.method, request.target, request.headers.contains("Host") ? request.headers.at("Host") : host);
  for (const auto& [name, value] : request.headers)
    if (name != "Host") text += fmt::format("{}: {}\r\n", name, value);
  if (request.upgrade) text += "Connection: Upgrade\r\nUpgrade: tcp\r\n";
  if (!request.content_type.empty()) text += fmt::format("Content-Type: {}\r\n", request.content_type);
  if (request.upload) {
    text += "Transfer-Encoding: chunked\r\n";
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    text += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  return text + "\r\n";
}

/// Parses one answer out of a connection.
class Answer final : public HttpStream {
 public:
  Answer(std::unique_ptr<Connection> connection, bool is_head, const std::string& peer) : connection_(std::move(connection)), peer_(peer) {
    parser_.body_limit((std::numeric_limits<std::uint64_t>::max)());  // not none: Boost 1.74 takes that for zero
    parser_.header_limit(1U << 20U);
    parser_.skip(is_head);
    parser_.eager(false);
  }

  const HttpHead& head() const override { return head_; }
  bool any() const { return any_; }
  bool done() { return parser_.is_done(); }
  bool reusable() { return parser_.is_done() && parser_.keep_alive() && input_.empty(); }
  std::unique_ptr<Connection> release() { return std::move(connection_); }
  Connection& connection() { return *connection_; }

  Result<void> read_head(const Deadline& deadline) {
    for (;;) {
      while (!parser_.is_header_done()) {
        if (input_.empty() || starved_) {
          DM_TRY(const bool more, fill(deadline));
          if (!more) return fail(Errc::unavailable, peer_ + " closed the connection without an answer");
        }
        DM_CHECK(feed());
      }
      const auto& message = parser_.get();
      head_.status = message.result_int();
      if (head_.status != 100) break;
      return fail(Errc::corrupt, peer_ + " sent an interim answer that nobody asked for");
    }
    for (const auto& field : parser_.get()) {
      head_.headers[lowered({field.name_string().data(), field.name_string().size()})] = std::string(field.value().data(), field.value().size());
    }
    return {};
  }

  Result<std::string> read(const Deadline& deadline) override {
    if (buffer_.empty()) buffer_.resize(kPiece);
    while (!parser_.is_done()) {
      auto& body = parser_.get().body();
      body.data = buffer_.data();
      body.size = buffer_.size();
      body.more = true;
      if (!input_.empty() && !starved_) DM_CHECK(feed());
      if (const auto got = buffer_.size() - body.size; got > 0) return std::string(buffer_.data(), got);
      if (parser_.is_done()) break;
      if (!input_.empty() && !starved_) continue;
      DM_TRY(const bool more, fill(deadline));
      if (more) continue;
      boost::beast::error_code error;
      parser_.put_eof(error);
      if (error) return fail(Errc::unavailable, peer_ + " closed the connection in the middle of its answer");
    }
    return std::string();
  }

  std::unique_ptr<Connection> hijack(std::string& rest) override {
    rest = std::exchange(input_, {});
    return std::move(connection_);
  }

 private:
  Result<bool> fill(const Deadline& deadline) {
    std::array<char, kPiece> piece;  // NOLINT: filled by read
    DM_TRY(const std::size_t got, connection_->read(piece.data(), piece.size(), deadline));
    input_.append(piece.data(), got);
    starved_ = false;
    if (got > 0) any_ = true;
    return got > 0;
  }
  Result<void> feed() {
    boost::beast::error_code error;
    const auto used = parser_.put(boost::asio::const_buffer(input_.data(), input_.size()), error);
    input_.erase(0, used);
    if (error == http::error::need_more) {
      starved_ = true;
      return {};
    }
    if (error && error != http::error::need_buffer) return fail(Errc::corrupt, fmt::format("this is no HTTP answer of {}: {}", peer_, error.message()));
    return {};
  }

  std::unique_ptr<Connection> connection_;
  std::string peer_;
  http::response_parser<http::buffer_body> parser_;
  HttpHead head_;
  std::string input_;
  std::string buffer_;
  bool starved_ = true;  // the parser needs more than `input_` has
  bool any_ = false;
};

/// Sends the body in chunks.
Result<void> upload(Connection& connection, const Source& source, const Deadline& deadline) {
  for (;;) {
    DM_TRY(const std::string piece, source());
    if (piece.empty()) return connection.write("0\r\n\r\n", deadline);
    DM_CHECK(connection.write(fmt::format("{:x}\r\n", piece.size()) + piece + "\r\n", deadline));
  }
}

Result<void> send(Connection& connection, const HttpRequest& request, const std::string& host, const Deadline& deadline) {
  DM_CHECK(connection.write(head_of(request, host) + request.body, deadline));
  if (request.upload) return upload(connection, request.upload, deadline);
  return {};
}

}  // namespace

class Http::Idle {
 public:
  std::unique_ptr<Connection> take() {
    return kept_.with([](auto& kept) -> std::unique_ptr<Connection> {
      while (!kept.empty()) {
        auto last = std::move(kept.back());
        kept.pop_back();
        if (last->idle()) return last;
      }
      return nullptr;
    });
  }
  void keep(std::unique_ptr<Connection> connection) {
    kept_.with([&](auto& kept) {
      if (kept.size() < kMaxIdle) kept.push_back(std::move(connection));
    });
  }

 private:
  Guarded<std::vector<std::unique_ptr<Connection>>> kept_;
};

Http::Http(std::shared_ptr<const Transport> transport, std::string peer) : transport_(std::move(transport)), peer_(std::move(peer)), idle_(std::make_unique<Idle>()) {}
Http::~Http() = default;

Result<HttpHead> Http::fetch(const HttpRequest& request, const std::function<Result<void>(const HttpHead& head, std::string_view piece)>& body, const Deadline& deadline) {
  auto connection = idle_->take();
  for (bool kept = connection != nullptr;; kept = false) {
    if (!connection) {
      DM_TRY(auto made, transport_->connect(deadline));
      connection = std::move(made);
    }
    Answer answer(std::move(connection), request.method == "HEAD", peer_);
    auto sent = send(answer.connection(), request, transport_->host(), deadline);
    auto got = sent ? answer.read_head(deadline) : sent;
    // An engine that refuses an upload early answers and closes: its answer says more than our broken pipe.
    if (!sent && sent.error().code == Errc::unavailable && request.upload) {
      if (auto said = answer.read_head(deadline); said && answer.head().status >= 400) got = {};
    }
    // The other side may close a kept connection at the moment we use it; what only asks may be asked again.
    if (!got && kept && !answer.any() && got.error().code == Errc::unavailable && (request.method == "GET" || request.method == "HEAD")) continue;
    DM_CHECK(got);
    for (;;) {
      DM_TRY(const std::string piece, answer.read(deadline));
      if (piece.empty()) break;
      DM_CHECK(body(answer.head(), piece));
    }
    if (sent && answer.reusable()) idle_->keep(answer.release());
    return answer.head();
  }
}

Result<HttpResponse> Http::call(const HttpRequest& request, const Deadline& deadline) {
  HttpResponse response;
  DM_TRY(response.head, fetch(request, [&](const HttpHead&, std::string_view piece) -> Result<void> {
           response.body += piece;
           if (response.body.size() > kMaxAnswer) return fail(Errc::corrupt, peer_ + "'s answer is over 64 MB");
           return {};
         }, deadline));
  return response;
}

Result<std::unique_ptr<HttpStream>> Http::open(const HttpRequest& request, const Deadline& deadline) {
  DM_TRY(auto connection, transport_->connect(deadline));
  auto answer = std::make_unique<Answer>(std::move(connection), request.method == "HEAD", peer_);
  DM_CHECK(send(answer->connection(), request, transport_->host(), deadline));
  DM_CHECK(answer->read_head(deadline));
  return std::unique_ptr<HttpStream>(std::move(answer));
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

}  // namespace dm::engine
