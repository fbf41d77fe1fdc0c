#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Alpine's tags of an image bring busybox, whatever its plain tag lacks.
bool alpine_has(std::string_view image, std::string_view tool) {
  const auto tag = product::split_image(image).tag;
  return tag.find("alpine") != std::string_view::npos && (tool == "sh" || tool == "wget" || tool == "nc");
}

}  // namespace

extern constinit const Rule healthcheck_tool_missing{
    .id = "DM0302",
    .name = "healthcheck-tool-missing",
    .severity = Severity::high,
    .area = Area::operations,
    .summary = "the healthcheck uses a tool that the image lacks",
    .rationale = "The check can never pass: the service is unhealthy for ever, and whatever waits for it never "
                 "starts.",
    .fix = "Use a tool that the image has; `datamancy explain` and the product data name one.",
    .checks = "110 O1",
    .bad = R"(services:
  cache:
    image: redis:7.4
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:6379"]  # <- DM0302
  edge:
    image: envoyproxy/envoy:v1.31.7
    healthcheck:
      test: ["CMD-SHELL", "wget -qO- http://localhost:9901/ready"]  # <- DM0302
)",
    .good = R"(services:
  cache:
    image: redis:7.4
    healthcheck:
      test: ["CMD-SHELL", "redis-cli -e ping"]
)",
    .look_alike = R"(services:
  cache:
    build: ./redis-with-curl
    image: redis:7.4
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:6379"]
  panel:
    image: portainer/portainer-ce:2.39.5-alpine
    healthcheck:
      test: ["CMD-SHELL", "wget -qO- http://127.0.0.1:9000/api/system/status | grep -q InstanceID"]
)",
    .minutes = 10,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || service.build != nullptr || !service.healthcheck || service.healthcheck->disabled || service.healthcheck->test.size() < 2) return;
            const auto& test = service.healthcheck->test;
            auto tool = test[1].value.substr(0, test[1].value.find(' '));
            if (test[0].value == "CMD-SHELL" && std::ranges::find(product->missing_tools, "sh") != product->missing_tools.end()) tool = "sh";
            if (std::ranges::find(product->missing_tools, tool) == product->missing_tools.end() || alpine_has(service.image.value, tool)) return;
            std::string hint;
            for (const auto& known : product->health) {
              for (const auto& word : known.test) hint += (hint.empty() ? "use: " : " ") + word;
              break;
            }
            report.add(test[1].where(), id, fmt::format("healthcheck of '{}' needs '{}', which the image of {} has not", service.name, tool, product->name), {}, hint);
          });
        },
};

}  // namespace dm::audit::rules
