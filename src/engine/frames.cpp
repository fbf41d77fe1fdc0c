#include "engine/frames.hpp"

#include <algorithm>

namespace dm::engine {

Result<void> Frames::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ == 0) {
      const auto take = std::min<std::size_t>(8 - head_.size(), bytes.size());
      head_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (head_.size() < 8) return {};
      if (static_cast<unsigned char>(head_[0]) > 3 || head_[1] != 0 || head_[2] != 0 || head_[3] != 0)
        return fail(Errc::corrupt, "the engine's stream is not framed as it should be");
      is_err_ = head_[0] >= 2;
      for (std::size_t i = 4; i < 8; ++i) left_ = (left_ << 8U) | static_cast<unsigned char>(head_[i]);
      head_.clear();
      continue;
    }
    const auto take = std::min<std::uint64_t>(left_, bytes.size());
    DM_CHECK(on_piece_(is_err_, bytes.substr(0, take)));
    bytes.remove_prefix(take);
    left_ -= take;
  }
  return {};
}

}  // namespace dm::engine
