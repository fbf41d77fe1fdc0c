// An engine behind ssh: the docker CLI's helper on the other machine joins its standard streams to the engine's socket.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/guarded.hpp"
#include "base/process.hpp"
#include "engine/transport.hpp"

namespace dm::engine {
namespace {

/// The ssh process and our end of the socket pair that is its standard input and output.
class SshConnection final : public Connection {
 public:
  SshConnection(Command command, Fd ours, Fd theirs, std::string name) : name_(std::move(name)), stream_(fd_connection(std::move(ours))) {
    runner_ = std::jthread([this, command = std::move(command), fd = std::move(theirs)](const std::stop_token& stop) mutable {
      command.descriptors = {{0, fd.get()}, {1, fd.get()}};
      Streams streams;
      streams.err = [this](std::string_view words) -> Result<void> {
        said_.with([&](std::string& said) {
          said.append(words);
          if (said.size() > 2000) said.erase(0, said.size() - 2000);
        });
        return {};
      };
      // Our copy of its end is closed with the thread's end, so that the reader sees the end of the stream.
      const auto finished = run_process(command, streams, Deadline(Clock::time_point::max(), stop));
      if (!finished) said_.with([&](std::string& said) { said = finished.error().describe(); });
      fd.reset();
      done_ = true;
    });
  }
  ~SshConnection() override { runner_.request_stop(); }
  SshConnection(const SshConnection&) = delete;
  SshConnection& operator=(const SshConnection&) = delete;

  Result<std::size_t> read(char* buffer, std::size_t size, const Deadline& deadline) override {
    auto got = stream_->read(buffer, size, deadline);
    const bool ended = got ? *got == 0 : got.error().code == Errc::unavailable;
    if (ended && !any_) return fail(Errc::unavailable, why());
    if (got && *got > 0) any_ = true;
    return got;
  }
  Result<void> write(std::string_view bytes, const Deadline& deadline) override {
    auto wrote = stream_->write(bytes, deadline);
    if (!wrote && !any_ && wrote.error().code == Errc::unavailable) wrote.error().message = why();
    return wrote;
  }
  Result<void> finish_writing() override { return stream_->finish_writing(); }
  bool idle() const override { return stream_->idle(); }

 private:
  std::string why() const {
    for (int waited = 0; !done_ && waited < 1000; waited += 20) ::poll(nullptr, 0, 20);  // its last words may still be on the way
    auto said = said_.with([](const std::string& text) { return text; });
    while (said.ends_with('\n') || said.ends_with('\r')) said.pop_back();
    return fmt::format("ssh to '{}' gave no engine{}{} (it needs a key without a question, and the docker CLI on that machine)", name_, said.empty() ? "" : ": ", said);
  }

  std::string name_;
  Guarded<std::string> said_;
  std::unique_ptr<Connection> stream_;
  bool any_ = false;
  std::atomic<bool> done_ = false;
  std::jthread runner_;  // last: ends first
};

class SshTransport final : public Transport {
 public:
  SshTransport(std::string user, std::string host, std::string port, std::string path)
      : user_(std::move(user)), host_(std::move(host)), port_(std::move(port)), path_(std::move(path)) {}

  Result<std::unique_ptr<Connection>> connect(const Deadline& deadline) const override {
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (!find_program("ssh")) return fail(Error{Errc::not_found, "program 'ssh' is not in PATH; it is needed for engine hosts ssh://", {}, 10});
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail(errno_error("socketpair", errno));
    Fd ours(ends[0]);
    Fd theirs(ends[1]);
    Command command;
    command.argv = {"ssh", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T"};
    if (!user_.empty()) command.argv.insert(command.argv.end(), {"-l", user_});
    if (!port_.empty()) command.argv.insert(command.argv.end(), {"-p", port_});
    command.argv.insert(command.argv.end(), {"--", host_, "docker"});
    if (!path_.empty()) command.argv.insert(command.argv.end(), {"--host", "unix://" + path_});
    command.argv.insert(command.argv.end(), {"system", "dial-stdio"});
    return std::unique_ptr<Connection>(std::make_unique<SshConnection>(std::move(command), std::move(ours), std::move(theirs), host_));
  }
  std::string host() const override { return "docker.example.com"; }

 private:
  std::string user_, host_, port_, path_;
};

}  // namespace

std::unique_ptr<Transport> ssh_transport(std::string user, std::string host, std::string port, std::string socket_path) {
  return std::make_unique<SshTransport>(std::move(user), std::move(host), std::move(port), std::move(socket_path));
}

}  // namespace dm::engine
