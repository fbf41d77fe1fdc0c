/// The engine's framing of two streams on one connection: eight bytes (1 = out, 2 = err, three zeros, length big-endian), then the piece.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace dm::engine {

class Frames {
 public:
  using OnPiece = std::function<Result<void>(bool is_err, std::string_view bytes)>;
  explicit Frames(OnPiece on_piece) : on_piece_(std::move(on_piece)) {}
  /// Errors: `corrupt` (not this framing), and those of the callback.
  Result<void> feed(std::string_view bytes);
  /// False in the middle of a frame: an end here lost something.
  bool at_boundary() const { return head_.empty() && left_ == 0; }

 private:
  OnPiece on_piece_;
  std::string head_;
  std::uint64_t left_ = 0;
  bool is_err_ = false;
};

}  // namespace dm::engine
