#include "cli/login.hpp"

#include <fmt/format.h>

#include <vector>

#include "base/json.hpp"
#include "base/process.hpp"
#include "sources/files.hpp"

namespace dm::cli {
namespace {

using deploy::Answer;
using deploy::Tried;

struct Reply {
  int status = 0;
  std::string headers{}, body{};
};

/// `input` is curl's standard input. The reply's headers come before its body, the status in a last line.
Result<Reply> ask(std::vector<std::string> words, std::string input, const Deadline& deadline) {
  Command command;
  command.argv = {"curl", "-q", "-sS", "--max-time", "20", "-D", "-", "-w", "\n%{http_code}"};
  command.argv.insert(command.argv.end(), words.begin(), words.end());
  bool given = false;
  Streams streams;
  streams.in = [&]() -> Result<std::string> { return std::exchange(given, true) ? std::string() : std::move(input); };
  streams.keep = 1U << 20U;
  DM_TRY(const auto done, run_process(command, streams, deadline));
  if (!done.fine()) return fail(Errc::failed, fmt::format("curl ended with {}: {}", done.status, done.err.substr(0, done.err.find('\n'))));
  Reply reply;
  const auto line = done.out.rfind('\n');
  reply.status = std::atoi(done.out.c_str() + (line == std::string::npos ? 0 : line + 1));
  const auto text = done.out.substr(0, line);
  const auto split = text.find("\r\n\r\n");
  reply.headers = text.substr(0, split);
  reply.body = split == std::string::npos ? "" : text.substr(split + 4);
  return reply;
}

std::string cookies_of(const std::string& headers) {
  std::string out;
  for (std::size_t at = 0; at < headers.size();) {
    const auto end = std::min(headers.find("\r\n", at), headers.size());
    auto line = headers.substr(at, end - at);
    at = end + 2;
    for (std::size_t i = 0; i < line.size() && line[i] != ':'; ++i) line[i] = static_cast<char>(std::tolower(static_cast<unsigned char>(line[i])));
    if (!line.starts_with("set-cookie: ")) continue;
    out += (out.empty() ? "" : "; ") + line.substr(12, line.find(';') - 12);
  }
  return out;
}

}  // namespace

Tried try_login(const Login& login, const Deadline& deadline) {
  if (login.url.empty()) return {Answer::unknown, "no login was tried: give --login-url, --login-user and --login-password-file"};
  if (!login.url.starts_with("https://")) return {Answer::fail, fmt::format("{} is not https: a login there proves nothing", login.url)};
  auto password = sources::disk().read(login.password_file, 4096);
  if (!password) return {Answer::unknown, fmt::format("no login was tried: {}", password.error().message)};
  while (password->ends_with('\n') || password->ends_with('\r')) password->pop_back();
  std::vector<std::string> common;
  if (!login.ca.empty()) common.insert(common.end(), {"--cacert", login.ca});
  if (!login.resolve.empty()) common.insert(common.end(), {"--resolve", login.resolve});
  std::string body = "{\"username\":";
  json_quote(body, login.user);
  body += ",\"password\":";
  json_quote(body, *password);
  body += ",\"keepMeLoggedIn\":false}";
  auto words = common;
  words.insert(words.end(), {"-H", "Content-Type: application/json", "--data-binary", "@-", login.url + "/api/firstfactor"});
  const auto first = ask(words, std::move(body), deadline);
  if (!first) return {first.error().code == Errc::not_found ? Answer::unknown : Answer::fail, first.error().code == Errc::not_found ? "no login was tried: curl is not installed" : first.error().message};
  if (first->status != 200 || first->body.find("\"OK\"") == std::string::npos) return {Answer::fail, fmt::format("{} refused the login of {} (status {})", login.url, login.user, first->status)};
  const auto cookies = cookies_of(first->headers);
  if (cookies.empty()) return {Answer::fail, fmt::format("{} accepted the login but gave no session", login.url)};
  words = common;
  words.insert(words.end(), {"-K", "-", login.url + "/api/user/info"});
  std::string config = "header = ";
  json_quote(config, "Cookie: " + cookies);
  const auto second = ask(words, config + "\n", deadline);
  if (!second || second->status != 200) return {Answer::fail, fmt::format("signed in at {}, but the session does not hold (status {})", login.url, second ? second->status : 0)};
  return {Answer::pass, fmt::format("{} signed in at {} with a verified certificate, and the session holds", login.user, login.url)};
}

Tried ask_health(const std::string& url, const Deadline& deadline) {
  const auto reply = ask({url}, "", deadline);
  if (!reply) return {Answer::unknown, reply.error().code == Errc::not_found ? "curl is not installed" : fmt::format("nothing answers at {}", url)};
  if (reply->status != 200) return {Answer::fail, fmt::format("{} answers with status {}", url, reply->status)};
  return {Answer::unknown, fmt::format("{} answers with 200; that it fails when the daemon does not work is not proven", url)};
}

}  // namespace dm::cli
