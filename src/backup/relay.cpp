#include "backup/relay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "backup/inside.hpp"
#include "secrets/crypto.hpp"

namespace dm::backup {
namespace {

/// $1 = port. A background job of a shell reads from /dev/null unless it is told otherwise.
constexpr std::string_view kRelay = R"sh(
command -v bash >/dev/null 2>&1 || { echo "there is no bash in this image" >&2; exit 125; }
exec bash -c '
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 111
cat <&3 & down=$!
cat <&0 >&3 & up=$!
wait -n "$down" "$up"
kill "$down" "$up" 2>/dev/null
wait
exit 0
' bash "$1"
)sh";

/// Bytes in one direction.
class Lane {
 public:
  Result<void> put(std::string_view bytes, const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    while (held_.size() >= kLimit && !over_) {
      if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
      if (deadline.passed()) return fail(Errc::timeout, "the other side takes nothing");
      moved_.wait_for(lock, std::chrono::milliseconds(deadline.poll_ms()));
    }
    if (over_) return fail(Errc::unavailable, words_.empty() ? "the connection is closed" : words_);
    held_.append(bytes);
    moved_.notify_all();
    return {};
  }
  /// At least one byte; none = it has ended.
  Result<std::string> get(std::size_t limit, const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    while (held_.empty() && !over_) {
      if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
      if (deadline.passed()) return fail(Errc::timeout, "the server does not answer");
      moved_.wait_for(lock, std::chrono::milliseconds(deadline.poll_ms()));
    }
    if (held_.empty() && !words_.empty()) return fail(Errc::unavailable, words_);
    std::string out = held_.substr(0, limit);
    held_.erase(0, out.size());
    moved_.notify_all();
    return out;
  }
  void close(std::string words = {}) {
    const std::lock_guard lock(mutex_);
    over_ = true;
    if (words_.empty()) words_ = std::move(words);
    moved_.notify_all();
  }
  bool quiet() const {
    const std::lock_guard lock(mutex_);
    return held_.empty() && !over_;
  }

 private:
  static constexpr std::size_t kLimit = 2U << 20U;
  mutable std::mutex mutex_;
  std::condition_variable moved_;
  std::string held_, words_;
  bool over_ = false;
};

class RelayConnection final : public engine::Connection {
 public:
  RelayConnection(engine::Engine& engine, std::string container, int port) : thread_([this, &engine, container = std::move(container), port] {
    const Deadline deadline(Clock::time_point::max(), stop_.get_token());
    Inside inside{.name = "bash", .script = kRelay, .words = {std::to_string(port)}};
    inside.in = [this] { return up_.get(65536, Deadline()); };
    inside.out = [this, deadline](std::string_view bytes) { return down_.put(bytes, deadline); };
    inside.over = [this] { up_.close("the server closed the connection"); };
    const auto ended = run_inside(engine, container, std::move(inside), deadline);
    const auto words = ended ? std::string() : ended.error().describe();
    down_.close(words);
    up_.close(words);  // where nothing was even started
    done_ = true;
  }) {}
  ~RelayConnection() override {
    up_.close();
    down_.close();
    // It ends by itself when its input does: ending it by force takes longer.
    for (int waited = 0; waited < 1000 && !done_; waited += 10) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  RelayConnection(const RelayConnection&) = delete;
  RelayConnection& operator=(const RelayConnection&) = delete;

  Result<std::size_t> read(char* buffer, std::size_t size, const Deadline& deadline) override {
    DM_TRY(const std::string got, down_.get(size, deadline));
    std::ranges::copy(got, buffer);
    return got.size();
  }
  Result<void> write(std::string_view bytes, const Deadline& deadline) override { return up_.put(bytes, deadline); }
  Result<void> finish_writing() override { return {}; }  // an end of ours would end the relay
  bool idle() const override { return up_.quiet() && down_.quiet(); }

 private:
  std::stop_source stop_;
  std::atomic<bool> done_{false};
  Lane up_, down_;
  std::thread thread_;  // last: it uses the others
};

class Relay final : public engine::Transport {
 public:
  Relay(engine::Engine& engine, std::string container, int port) : engine_(engine), container_(std::move(container)), port_(port) {}
  Result<std::unique_ptr<engine::Connection>> connect(const Deadline&) const override { return std::unique_ptr<engine::Connection>(new RelayConnection(engine_, container_, port_)); }
  std::string host() const override { return fmt::format("127.0.0.1:{}", port_); }

 private:
  engine::Engine& engine_;
  std::string container_;
  int port_;
};

}  // namespace

std::shared_ptr<const engine::Transport> relay(engine::Engine& engine, std::string container, int port) { return std::make_shared<Relay>(engine, std::move(container), port); }

Inquiry::Inquiry(engine::Engine& engine, const std::string& container, int port, std::string peer, std::string header, std::string login)
    : http_(relay(engine, container, port), peer), peer_(std::move(peer)), header_(std::move(header)), login_(std::move(login)) {}

engine::HttpRequest Inquiry::request(Question question) const {
  engine::HttpRequest out;
  out.method = std::move(question.method);
  out.target = std::move(question.target);
  out.body = std::move(question.body);
  if (!out.body.empty()) out.content_type = std::move(question.content_type);
  out.headers["Accept"] = "application/json";
  if (!login_.empty()) out.headers[header_] = login_;
  return out;
}

Result<void> Inquiry::judge(const engine::HttpHead& head, const Question& question, std::string_view words) const {
  if (head.status >= 200 && head.status < 300) return {};
  const auto code = head.status == 404 ? Errc::not_found : head.status == 401 || head.status == 403 ? Errc::denied : head.status == 409 || head.status == 412 ? Errc::conflict : Errc::failed;
  return fail(code, fmt::format("{} answered {} {} with {}: {}", peer_, question.method, question.target.substr(0, std::min<std::size_t>(question.target.find('?'), 200)), head.status, last_words(words.substr(0, 300))));
}

Result<void> Inquiry::stream(Question question, const Sink& out, const Deadline& deadline) {
  std::string words;  // of an answer that is no success
  Question asked{.method = question.method, .target = question.target};
  DM_TRY(const auto head, http_.fetch(request(std::move(question)), [&](const engine::HttpHead& head, std::string_view piece) -> Result<void> {
           if (head.status >= 200 && head.status < 300) return out(piece);
           words += piece.substr(0, 4096 - std::min<std::size_t>(words.size(), 4096));
           return {};
         }, deadline));
  return judge(head, asked, words);
}

Result<std::string> Inquiry::ask(Question question, const Deadline& deadline) {
  std::string answer;
  DM_CHECK(stream(std::move(question), [&](std::string_view piece) -> Result<void> {
    answer += piece;
    if (answer.size() > (64U << 20U)) return fail(Errc::corrupt, peer_ + "'s answer is over 64 MB");
    return {};
  }, deadline));
  return answer;
}

std::string basic(std::string_view user, std::string_view password) {
  return user.empty() ? std::string() : "Basic " + secrets::base64(fmt::format("{}:{}", user, password), true);
}

Result<std::string> basic_login(engine::Engine& engine, const std::string& container, std::string_view script, const Deadline& deadline) {
  DM_TRY(const auto state, engine.container(container, deadline.at_most(std::chrono::seconds(20))));
  const auto label = [&](const char* key) {
    const auto found = state.labels.find(key);
    return found == state.labels.end() ? std::string() : found->second;
  };
  Inside inside{.name = "looking for the login", .script = script, .words = {label("datamancy.backup.user"), label("datamancy.backup.password-file")}};
  DM_TRY(const auto said, run_inside(engine, container, std::move(inside), deadline.at_most(std::chrono::minutes(1))));
  const auto cut = said.out.find('\n');
  return basic(std::string_view(said.out).substr(0, cut), cut == std::string::npos ? std::string_view() : std::string_view(said.out).substr(cut + 1));
}

Result<void> await_answer(engine::Engine& engine, const std::string& container, Inquiry& server, std::string target, const Deadline& deadline) {
  std::string last = "no answer yet";
  while (true) {
    const auto state = engine.container(container, deadline.at_most(std::chrono::seconds(20)));  // a busy engine is asked again
    if (!state && (state.error().code != Errc::timeout || deadline.passed())) return fail(state.error());
    if (state && !state->running) return fail(Errc::failed, fmt::format("the server stopped with {} before it was ready", state->exit_code));
    const auto there = server.ask({.target = target}, deadline.at_most(std::chrono::seconds(15)));
    if (there) return {};
    if (there.error().code == Errc::unsupported) return fail(there.error());
    last = there.error().message;
    if (deadline.stopped()) return fail(Errc::conflict, "interrupted");
    if (deadline.passed()) return fail(Errc::timeout, fmt::format("the server did not get ready: {}", last));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
}

}  // namespace dm::backup
