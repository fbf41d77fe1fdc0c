/// "Did you mean": the name nearest to one that is not there.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dm::compose {

/// Steps from `a` to `b`: a letter more, less or other, or two that changed places.
std::size_t distance(std::string_view a, std::string_view b);

/// Collects names and keeps the one nearest to `wanted`; names that are too far away are never kept.
class Nearest {
 public:
  explicit Nearest(std::string_view wanted) : wanted_(wanted) {}
  void offer(std::string_view name);
  std::string_view name() const { return name_; }
  /// "did you mean 'NAME'?", or `otherwise` where there is none.
  std::string hint(std::string otherwise) const;

 private:
  std::string_view wanted_;
  std::string_view name_;
  std::size_t best_ = 3;
};

}  // namespace dm::compose
