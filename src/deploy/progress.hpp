/// What a person or a script sees while services come up. On standard error; one implementation per form.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "deploy/gate.hpp"

namespace dm::deploy {

enum class ProgressForm : std::uint8_t { automatic, tty, plain, json, quiet };
/// Nothing for an unknown word.
std::optional<ProgressForm> progress_form(std::string_view word);

class Progress {
 public:
  virtual ~Progress() = default;
  /// The run enters a new part: "preflight", "creating 3 containers", ...
  virtual void stage(std::string_view text) = 0;
  /// The view of one service changed.
  virtual void changed(const std::string& service, const View& view) = 0;
  /// A line of another program (docker compose), or a remark.
  virtual void line(std::string_view text) = 0;
  /// Each of several; empty ones are left out.
  void lines(std::string_view text);
  /// Something that a person should know beside it all: "hurts", "note" ...
  virtual void say(std::string_view kind, std::string_view text) = 0;
  /// Called often; a terminal redraws its clock.
  virtual void tick() = 0;
  /// The terminal is left as it was found.
  virtual void end() = 0;
};

/// `automatic` is tty where standard error is a terminal, else plain. `color` is off where NO_COLOR is set.
std::unique_ptr<Progress> make_progress(ProgressForm form, bool color);

}  // namespace dm::deploy
