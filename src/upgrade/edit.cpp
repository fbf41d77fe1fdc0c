#include "upgrade/edit.hpp"

#include <fmt/format.h>

#include "text/edit.hpp"

namespace dm::upgrade {

Result<ImageEdit> edit_image(const compose::Project& project, const compose::Service& service, std::string_view image) {
  if (!service.image || !service.image.node->where) return fail(Errc::unsupported, fmt::format("'{}' names no image (it is built)", service.name));
  const auto& value = *service.image.node;
  const auto& source = project.texts.at(value.where.file);
  const auto place = project.texts.describe(value.where, project.folder);
  if (value.segments != nullptr)
    for (const auto& segment : *value.segments)
      if (segment.kind != compose::Segment::Kind::literal)
        return fail(Errc::unsupported, fmt::format("{}: the image of '{}' is made of the variable {}: set that to the new tag, then 'datamancy up'", place, service.name, segment.variable));
  ImageEdit out;
  out.path = source.path;
  out.before = source.content;
  out.place = place.substr(0, place.rfind(':'));
  const auto written = project.texts.text(value.where);
  const auto at = written.find(service.image.value);
  if (at == std::string_view::npos) return fail(Errc::unsupported, fmt::format("{}: the image of '{}' is written in a form that is not changed here", place, service.name));
  const auto begin = value.where.span.begin + static_cast<std::uint32_t>(at);
  DM_TRY(out.after, text::apply(out.before, {{{begin, begin + static_cast<std::uint32_t>(service.image.value.size())}, std::string(image)}}));
  return out;
}

}  // namespace dm::upgrade
