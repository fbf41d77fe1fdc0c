#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "audit/docker_stage.hpp"
#include "audit/rules/helpers.hpp"

namespace dm::audit::rules {
namespace {

/// Versions that get no more fixes, by the start of their number. Looked up on 2026-11-27.
struct Ended {
  std::string_view repository;  ///< of Docker Hub
  std::span<const std::string_view> versions;
};
constexpr std::string_view kNode[]{"0", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "23", "25"};  // https://github.com/nodejs/release#release-schedule
constexpr std::string_view kPython[]{"2", "3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10"};  // https://devguide.python.org/versions/
constexpr std::string_view kPhp[]{"5", "7", "8.0", "8.1"};  // https://www.php.net/eol.php
constexpr std::string_view kRuby[]{"1", "2", "3.0", "3.1", "3.2"};  // https://www.ruby-lang.org/en/downloads/branches/
constexpr std::string_view kDebian[]{"7", "8", "9", "10", "11"};  // https://wiki.debian.org/LTS
constexpr std::string_view kUbuntu[]{"12", "14", "16", "17", "18", "19", "20", "21", "22.10", "23", "24.10", "25"};  // https://ubuntu.com/about/release-cycle
constexpr std::string_view kAlpine[]{"2", "3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15", "3.16", "3.17", "3.18", "3.19", "3.20"};  // https://alpinelinux.org/releases/
constexpr std::string_view kAirflow[]{"1", "2"};  // https://airflow.apache.org/docs/apache-airflow/stable/installation/supported-versions.html
constexpr Ended kEnded[] = {{"node", kNode}, {"python", kPython}, {"php", kPhp}, {"ruby", kRuby}, {"debian", kDebian}, {"ubuntu", kUbuntu}, {"alpine", kAlpine}, {"apache/airflow", kAirflow}};

/// Repositories of which no version gets fixes any more; `gone` where they cannot be pulled, which DM0707 tells for `image:`.
struct GivenUp {
  std::string_view repository;  ///< "name/" for all of one account
  bool gone;
  std::string_view why, instead;
};
constexpr GivenUp kGivenUp[] = {
    {"yandex/clickhouse-server", false, "its last version is of 2021", "go to clickhouse/clickhouse-server, version by version"},
    {"openjdk", false, "the image is deprecated since 2022", "eclipse-temurin has the same versions with their fixes"},
    {"centos", false, "the distribution has ended", "almalinux or rockylinux"},
    {"bitnami/", true, "Docker Hub has its versions no longer since September 2025 (https://github.com/bitnami/containers/issues/83267)", "build on the image of the makers; bitnamilegacy/ has the old ones, which get no fixes"},
    {"minio/", true, "Docker Hub has it no longer since September 2026", "quay.io/minio has its last ones, which get no fixes either"}};

std::string_view hub_repository(const product::ImageName& name) {
  if (!name.registry.empty() && name.registry != "docker.io") return {};
  return name.repository.starts_with("library/") ? name.repository.substr(8) : name.repository;
}

const GivenUp* given_up(std::string_view image) {
  const auto name = product::split_image(image);
  const auto repository = hub_repository(name);
  for (const auto& one : kGivenUp) {
    if (one.repository.ends_with('/') ? !repository.starts_with(one.repository) : repository != one.repository) continue;
    return one.gone && (!name.digest.empty() || name.tag.empty() || name.tag == "latest") ? nullptr : &one;
  }
  return nullptr;
}

/// The version that begins the tag: "3.9" of "3.9-slim", "" where it begins with no number.
std::string_view version_of(std::string_view tag) {
  const auto end = std::min(tag.find_first_not_of("0123456789."), tag.size());
  return end < tag.size() && tag[end] != '-' && tag[end] != '_' ? std::string_view() : tag.substr(0, end);
}

/// Releases of Debian in a tag ("22-bullseye", "buster-slim") that have ended.
bool ended_release(std::string_view tag) {
  return std::ranges::any_of(std::initializer_list<std::string_view>{"jessie", "stretch", "buster", "bullseye"}, [&](std::string_view name) {
    const auto at = tag.find(name);
    return at != std::string_view::npos && (at == 0 || tag[at - 1] == '-');
  });
}

/// "3.1" is the start of "3.1" and "3.1.3", not of "3.11".
bool starts(std::string_view version, std::string_view with) { return version.starts_with(with) && (version.size() == with.size() || version[with.size()] == '.'); }

/// "node 18" of node:18-alpine, "" for what is supported or unknown.
std::string ended(std::string_view image) {
  const auto name = product::split_image(image);
  const auto repository = hub_repository(name);
  const auto known = std::ranges::find(kEnded, repository, &Ended::repository);
  if (repository.empty() || known == std::end(kEnded)) return {};
  const auto version = version_of(name.tag);
  if (!version.empty() && std::ranges::any_of(known->versions, [&](std::string_view one) { return starts(version, one); })) return fmt::format("{} {}", repository, version);
  return ended_release(name.tag) && repository != "ubuntu" && repository != "alpine" ? fmt::format("{} {}", repository, name.tag) : std::string();
}

}  // namespace

extern constinit const Rule base_ended{
    .id = "DM0708",
    .name = "base-ended",
    .severity = Severity::medium,
    .area = Area::operations,
    .summary = "a program built on a version whose makers mend nothing any more",
    .rationale = "The language, its libraries and the system below stay as they are: a hole that is found from now on stays open in every image that is built, and libraries "
                 "stop to work with the old version one after the other.",
    .fix = "Name a supported version in `FROM`, build, and run the program's tests with it.",
    .checks = "40",
    .bad = R"(services:
  flows:
    image: apache/airflow:2.8.1-python3.11  # <- DM0708
  web:
    build: .
  pages:
    build: .
  old:
    build: ./old
  batch:
    build: ./batch
-- Dockerfile
FROM golang:1.12 AS build
FROM node:18-alpine AS base  # <- DM0708
FROM base
-- old/Dockerfile
FROM openjdk:17  # <- DM0708
-- batch/Dockerfile
FROM bitnami/spark:3.5  # <- DM0708
)",
    .good = R"(services:
  web:
    build: .
-- Dockerfile
FROM node:24-alpine
)",
    .look_alike = R"(services:
  web:
    build: .
  newest:
    build: {context: ., target: newest}
  mirrored:
    build: ./mirrored
  chosen:
    build: ./chosen
-- Dockerfile
FROM node:16 AS build
FROM python:3.12-slim-bookworm AS newest
FROM node:22-bookworm
COPY --from=build /app /app
-- mirrored/Dockerfile
FROM registry.example.org/node:16
-- chosen/Dockerfile
ARG NODE
FROM node:${NODE}
)",
    .minutes = 60,
    .check =
        [](const Input& input, Report& report) {
          struct Use {
            std::vector<Location> where;
            std::vector<ServiceId> services;
          };
          std::map<std::string_view, Use> uses;  // by image: one for all services that run it
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            if (!service.image || service.build != nullptr) return;
            auto& use = uses[service.image.value];
            if (std::ranges::find(use.where, service.image.where()) == use.where.end()) use.where.push_back(service.image.where());
            use.services.push_back(id);
          });
          for (auto& [image, use] : uses) {
            const auto* last = given_up(image);
            const auto name = last != nullptr ? std::string(product::split_image(image).repository) : ended(image);
            if (name.empty() || (last != nullptr && last->gone)) continue;
            auto message = fmt::format("{} {} {}, which gets no more fixes", quoted_names(input, use.services), use.services.size() == 1 ? "runs" : "run", name);
            auto& finding = report.add_all(std::move(use.where), std::move(use.services), std::move(message));
            if (last == nullptr) continue;
            finding.evidence = last->why;
            finding.hint = last->instead;
          }
          std::set<std::pair<sources::FileId, std::size_t>> seen;  // one line for several services
          for (const auto& built : built_services(input)) {
            const auto stage = stage_lines(dockerfile_lines(input.project.texts.at(built.file).content), build_target(input.wiring.service(built.service)));
            if (!stage) continue;
            const auto base = base_of(*stage);
            if (base.image.empty() || !seen.emplace(built.file, base.begin).second) continue;
            const auto* last = given_up(base.image);
            const auto name = last != nullptr ? base.image : ended(base.image);
            if (name.empty()) continue;
            const auto from = static_cast<std::uint32_t>(base.begin);
            auto& finding = report.add({built.file, {from, from + static_cast<std::uint32_t>(base.size)}}, built.service,
                                       fmt::format("the image of '{}' is built on {}, which {}", input.wiring.service(built.service).name, name, last != nullptr && last->gone ? "cannot be pulled any more" : "gets no more fixes"));
            if (last == nullptr) continue;
            finding.evidence = last->why;
            finding.hint = last->instead;
            if (last->gone) finding.severity = Severity::high;
          }
        },
};

}  // namespace dm::audit::rules
