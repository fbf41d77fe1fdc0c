// The client against engines that answer wrongly: each is a few recorded bytes on a real socket.
#include "engine/docker.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>

namespace dm::engine {
namespace {

/// Answers every request with what the function gives for its first line; an empty text closes, "hang" never answers.
class Stub {
 public:
  using Answer = std::function<std::string(const std::string& request)>;
  explicit Stub(Answer answer) : path_(std::string(::testing::TempDir()) + "dm-stub-" + std::to_string(::getpid()) + ".sock") {
    ::unlink(path_.c_str());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);  // NOLINT
    ::listen(listener_.get(), 8);
    thread_ = std::jthread([this, answer = std::move(answer)](const std::stop_token& stop) {
      std::vector<Fd> hung;
      while (!stop.stop_requested()) {
        pollfd entry{listener_.get(), POLLIN, 0};
        if (::poll(&entry, 1, 20) <= 0) continue;
        Fd client(::accept(listener_.get(), nullptr, nullptr));
        std::string text;
        while (text.find("\r\n\r\n") == std::string::npos) {
          auto piece = read_some(client.get());
          if (!piece || piece->empty()) break;
          text += *piece;
        }
        const auto reply = answer(text.substr(0, text.find('\r')));
        if (reply == "hang") hung.push_back(std::move(client));
        else static_cast<void>(write_all(client.get(), reply));
      }
    });
  }
  ~Stub() { ::unlink(path_.c_str()); }
  std::unique_ptr<Engine> engine() const { return docker(unix_transport(path_), {"the stub", "", false}); }

 private:
  std::string path_;
  Fd listener_;
  std::jthread thread_;
};

std::string ok(const std::string& body) { return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body; }
const std::string kVersion = ok(R"({"Version":"26.1","ApiVersion":"1.45","MinAPIVersion":"1.24"})");
Stub::Answer after_version(std::string answer) {
  return [answer](const std::string& request) { return request.starts_with("GET /version") ? kVersion : answer; };
}
Deadline soon() { return Deadline::in(std::chrono::seconds(10)); }

TEST(Docker, AMissingSocketIsUnavailableAndSaysHowToMendIt) {
  const auto engine = docker(unix_transport("/nowhere/docker.sock"), {"unix:///nowhere/docker.sock (default)", "", false});
  const auto info = engine->info(soon());
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, Errc::unavailable);
  EXPECT_NE(info.error().message.find("systemctl start docker"), std::string::npos);
}

TEST(Docker, SomethingElseThatAnswersIsNoEngine) {
  const Stub stub([](const std::string&) { return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; });
  EXPECT_EQ(stub.engine()->info(soon()).error().code, Errc::corrupt);
  const Stub ssh([](const std::string&) { return "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"; });
  EXPECT_EQ(ssh.engine()->info(soon()).error().code, Errc::corrupt);
}

TEST(Docker, AnEngineThatIsTooOldIsNamed) {
  const Stub stub([](const std::string&) { return ok(R"({"Version":"19.03","ApiVersion":"1.40","MinAPIVersion":"1.12"})"); });
  const auto info = stub.engine()->info(soon());
  EXPECT_EQ(info.error().code, Errc::unsupported);
  EXPECT_NE(info.error().message.find("20.10"), std::string::npos);
}

TEST(Docker, TheVersionedPathIsUsedAfterNegotiation) {
  std::string asked;
  const Stub stub([&](const std::string& request) {
    if (request.starts_with("GET /version")) return kVersion;
    asked = request;
    return ok("[]");
  });
  ASSERT_TRUE(stub.engine()->images(soon()));
  EXPECT_EQ(asked, "GET /v1.45/images/json HTTP/1.1");
}

TEST(Docker, AnEngineThatHangsEndsAtTheDeadlineAndAtTheStop) {
  const Stub stub(after_version("hang"));
  const auto engine = stub.engine();
  const auto begin = Clock::now();
  EXPECT_EQ(engine->info(Deadline::in(std::chrono::milliseconds(100))).error().code, Errc::timeout);
  std::stop_source stop;
  std::jthread stopper([&] { ::usleep(50'000); stop.request_stop(); });
  const auto stopped = engine->info(Deadline::in(std::chrono::seconds(60), stop.get_token()));
  EXPECT_EQ(stopped.error().code, Errc::conflict);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
}

TEST(Docker, AnAnswerThatBreaksOffIsNeverASuccess) {
  const Stub cut(after_version("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"));
  EXPECT_EQ(cut.engine()->images(soon()).error().code, Errc::unavailable);
  const Stub chunk(after_version("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n"));
  EXPECT_EQ(chunk.engine()->images(soon()).error().code, Errc::unavailable);
  const Stub nothing(after_version(""));
  EXPECT_EQ(nothing.engine()->images(soon()).error().code, Errc::unavailable);
}

TEST(Docker, AnArchiveWithoutItsEndIsNotWhole) {
  const Stub stub(after_version("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n"));
  const Sink ignore = [](std::string_view) -> Result<void> { return {}; };
  EXPECT_EQ(stub.engine()->get_archive("web", "/data", ignore, soon()).error().code, Errc::corrupt);
}

TEST(Docker, ALostEventStreamIsUnavailable) {
  const Stub stub(after_version("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n39\r\n{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"a\"}}\n\r\n0\r\n\r\n"));
  std::vector<std::string> seen;
  const auto ended = stub.engine()->events({}, {}, [&](const Event& event) -> Result<void> { seen.push_back(event.action); return {}; }, soon());
  EXPECT_EQ(ended.error().code, Errc::unavailable);
  EXPECT_EQ(seen, std::vector<std::string>{"start"});
}

TEST(Docker, TheEnginesRefusalsKeepTheirMeaning) {
  const auto refuse = [](const std::string& status) { return after_version("HTTP/1.1 " + status + "\r\nContent-Length: 17\r\nConnection: close\r\n\r\n{\"message\":\"why\"}"); };
  const auto code_of = [&](const std::string& status) { return Stub(refuse(status)).engine()->start("web", soon()).error().code; };
  EXPECT_EQ(code_of("404 Not Found"), Errc::not_found);
  EXPECT_EQ(code_of("409 Conflict"), Errc::conflict);
  EXPECT_EQ(code_of("403 Forbidden"), Errc::denied);
  EXPECT_EQ(code_of("500 Internal Server Error"), Errc::failed);
  EXPECT_EQ(code_of("503 Service Unavailable"), Errc::unavailable);
}

}  // namespace
}  // namespace dm::engine
