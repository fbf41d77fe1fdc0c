#include "deploy/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "base/json.hpp"

namespace dm::deploy {
namespace {

class Quiet final : public Progress {
 public:
  void stage(std::string_view) override {}
  void changed(const std::string&, const View&) override {}
  void line(std::string_view) override {}
  void say(std::string_view kind, std::string_view text) override { fmt::print(stderr, "{}: {}\n", kind, text); }
  void tick() override {}
  void end() override {}
};

std::string seconds_since(Clock::time_point start) {
  return fmt::format("{:.1f}", std::chrono::duration<double>(Clock::now() - start).count());
}

class Plain final : public Progress {
 public:
  void stage(std::string_view text) override { fmt::print(stderr, "[{:>5}] {}\n", seconds_since(start_), text); }
  void changed(const std::string& service, const View& view) override {
    fmt::print(stderr, "[{:>5}] {}: {}{}{}\n", seconds_since(start_), service, to_string(view.phase), view.why.empty() ? "" : ": ", view.why);
  }
  void line(std::string_view text) override { fmt::print(stderr, "        {}\n", text); }
  void say(std::string_view kind, std::string_view text) override { fmt::print(stderr, "{}: {}\n", kind, text); }
  void tick() override { std::fflush(stderr); }
  void end() override {}

 private:
  Clock::time_point start_ = Clock::now();
};

/// One object a line: {"id", "parent_id", "status", "text"}, as Compose's own, and ours beside.
class Json final : public Progress {
 public:
  void stage(std::string_view text) override { print("", text, "stage"); }
  void changed(const std::string& service, const View& view) override { print(service, view.why, to_string(view.phase)); }
  void line(std::string_view text) override { print("", text, "line"); }
  void say(std::string_view kind, std::string_view text) override { print("", text, kind); }
  void tick() override { std::fflush(stderr); }
  void end() override {}

 private:
  void print(std::string_view id, std::string_view text, std::string_view status) {
    std::string out = "{\"id\":";
    json_quote(out, id);
    out += ",\"status\":";
    json_quote(out, status);
    out += ",\"text\":";
    json_quote(out, text);
    out += fmt::format(",\"seconds\":{}}}\n", seconds_since(start_));
    std::fwrite(out.data(), 1, out.size(), stderr);
  }
  Clock::time_point start_ = Clock::now();
};

/// Draws the services that are not finished, and how many are; redraws in place.
class Tty final : public Progress {
 public:
  explicit Tty(bool color) : color_(color) {}
  void stage(std::string_view text) override {
    clear();
    stage_ = text;
    draw();
  }
  void changed(const std::string& service, const View& view) override {
    views_[service] = view;
    clear();
    if (view.phase == Phase::failed) fmt::print(stderr, "{}: {}\n", paint(service, "31"), view.why);
    draw();
  }
  void line(std::string_view) override {}
  void say(std::string_view kind, std::string_view text) override {
    clear();
    fmt::print(stderr, "{}: {}\n", kind, text);
  }
  void tick() override {
    if (Clock::now() - drawn_ < std::chrono::milliseconds(200)) return;
    clear();
    draw();
  }
  void end() override {
    clear();
    std::fflush(stderr);
  }

 private:
  std::string paint(std::string_view text, const char* code) const {
    return color_ ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
  }
  static std::string fitted(std::string_view text, std::size_t room) {
    if (text.size() <= room) return std::string(text);
    auto cut = room > 3 ? room - 3 : room;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80U) --cut;  // not within a character
    return std::string(text.substr(0, cut)) + (room > 3 ? "..." : "");
  }
  void clear() {
    for (int i = 0; i < lines_; ++i) std::fputs("\033[1A\033[2K", stderr);
    lines_ = 0;
  }
  void draw() {
    winsize size{};
    std::size_t rows = 24, columns = 80;
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 && size.ws_col > 20) {
      rows = size.ws_row;
      columns = size.ws_col;
    }
    --columns;  // a line that fills the last column may wrap: then the next redraw would leave it standing
    std::size_t good = 0, width = 8;
    for (const auto& [name, view] : views_) {
      good += view.phase == Phase::ready || view.phase == Phase::done ? 1 : 0;
      width = std::max(width, name.size());
    }
    width = std::min(width, columns / 3);
    const bool settling = !views_.empty() && good == views_.size();
    fmt::print(stderr, "{}\n", fitted(fmt::format("{} {}/{} {} s", settling ? "all up, watched for restarts:" : stage_.c_str(), good, views_.size(), seconds_since(start_)), columns));
    lines_ = 1;
    std::size_t left_out = 0;
    for (const auto& [name, view] : views_) {
      if (view.phase == Phase::ready || view.phase == Phase::done) continue;
      if (static_cast<std::size_t>(lines_) + 2 >= rows) {
        ++left_out;
        continue;
      }
      const char* code = is_bad(view.phase) ? "31" : view.phase == Phase::waiting ? "90" : "33";
      const auto taken = 2 + width + 2 + 9 + 2;
      fmt::print(stderr, "  {:{}}  {}  {}\n", fitted(name, width), width, paint(fmt::format("{:9}", to_string(view.phase)), code), fitted(view.why, columns > taken ? columns - taken : 0));
      ++lines_;
    }
    if (left_out > 0) {
      fmt::print(stderr, "  ... and {} more\n", left_out);
      ++lines_;
    }
    std::fflush(stderr);
    drawn_ = Clock::now();
  }

  bool color_;
  std::string stage_{"starting"};
  std::map<std::string, View> views_;
  int lines_ = 0;
  Clock::time_point start_ = Clock::now();
  Clock::time_point drawn_{};
};

}  // namespace

std::optional<ProgressForm> progress_form(std::string_view word) {
  constexpr std::array kWords{std::pair{"auto", ProgressForm::automatic}, std::pair{"tty", ProgressForm::tty}, std::pair{"plain", ProgressForm::plain},
                              std::pair{"json", ProgressForm::json}, std::pair{"quiet", ProgressForm::quiet}};
  for (const auto& [name, form] : kWords)
    if (word == name) return form;
  return std::nullopt;
}

void Progress::lines(std::string_view text) {
  while (!text.empty()) {
    const auto one = text.substr(0, text.find('\n'));
    if (!one.empty()) line(one);
    text.remove_prefix(std::min(one.size() + 1, text.size()));
  }
}

std::unique_ptr<Progress> make_progress(ProgressForm form, bool color) {
  if (form == ProgressForm::automatic) form = ::isatty(STDERR_FILENO) == 1 ? ProgressForm::tty : ProgressForm::plain;
  switch (form) {
    case ProgressForm::tty: return std::make_unique<Tty>(color);
    case ProgressForm::json: return std::make_unique<Json>();
    case ProgressForm::quiet: return std::make_unique<Quiet>();
    case ProgressForm::plain: case ProgressForm::automatic: break;
  }
  return std::make_unique<Plain>();
}

}  // namespace dm::deploy
