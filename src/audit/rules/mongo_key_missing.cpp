#include <fmt/format.h>

#include <algorithm>

#include "audit/rules/helpers.hpp"
#include "audit/rules/runs_script.hpp"

namespace dm::audit::rules {

extern constinit const Rule mongo_key_missing{
    .id = "DM0132",
    .name = "mongo-key-missing",
    .severity = Severity::high,
    .area = Area::architecture,
    .summary = "a MongoDB replica set with a sign-in and without its key file",
    .rationale = "The image switches the sign-in on as soon as it is given a root user, and a member of a replica set with a sign-in needs a key that it shows to the others: `security.keyFile "
                 "is required when authorization is enabled with replica sets`. The server ends with that line, at every start.",
    .fix = "Make a key (`openssl rand -base64 756`), mount it as a secret that belongs to the user 999 with mode 0400, and add `--keyFile /run/secrets/mongo-key` to the command.",
    .checks = "119 O31",
    .bad = R"(services:
  mongo:
    image: mongo:7.0
    command: [mongod, --replSet, rs0, --bind_ip_all]  # <- DM0132
    environment: {MONGO_INITDB_ROOT_USERNAME: admin, MONGO_INITDB_ROOT_PASSWORD: "${MONGO_PASSWORD:?}"}
    volumes: ["mongo:/data/db"]
volumes: {mongo: }
)",
    .good = R"(services:
  mongo:
    image: mongo:7.0
    command: [mongod, --replSet, rs0, --bind_ip_all, --keyFile, /run/secrets/mongo-key]
    environment: {MONGO_INITDB_ROOT_USERNAME: admin, MONGO_INITDB_ROOT_PASSWORD: "${MONGO_PASSWORD:?}"}
    volumes: ["mongo:/data/db", "./mongo-key:/run/secrets/mongo-key:ro"]
volumes: {mongo: }
-- mongo-key
c3VuZmxvd2Vy
)",
    .look_alike = R"(services:
  open:
    image: mongo:7.0
    command: mongod --replSet rs0 --bind_ip_all
    volumes: ["open:/data/db"]
  single:
    image: mongo:7.0
    environment: {MONGO_INITDB_ROOT_USERNAME: admin, MONGO_INITDB_ROOT_PASSWORD: "${MONGO_PASSWORD:?}"}
    volumes: ["single:/data/db"]
  scripted:
    image: mongo:7.0
    command: [bash, /start.sh, --replSet]
    environment: {MONGO_INITDB_ROOT_USERNAME: admin, MONGO_INITDB_ROOT_PASSWORD: "${MONGO_PASSWORD:?}"}
    volumes: ["scripted:/data/db"]
  client:
    image: mongo:7.0
    command: mongosh --host open /set.js
    environment: {MONGO_INITDB_ROOT_USERNAME: admin, MONGO_INITDB_ROOT_PASSWORD: "${MONGO_PASSWORD:?}"}
    restart: "no"
volumes: {open: , scripted: , single: }
)",
    .minutes = 15,
    .check =
        [](const Input& input, Report& report) {
          each_service(input, [&](ServiceId id, const compose::Service& service) {
            const auto* product = input.wiring.product_of[id];
            if (product == nullptr || product->id != "mongodb" || service.build != nullptr || service.entrypoint_node != nullptr || runs_script(service)) return;
            const auto* user = service.env("MONGO_INITDB_ROOT_USERNAME");
            if ((user == nullptr || user->value.value.empty()) && service.env("MONGO_INITDB_ROOT_USERNAME_FILE") == nullptr) return;
            const auto says = [&](std::string_view option) { return std::ranges::any_of(service.command, [&](const auto& word) { return word.value.find(option) != std::string_view::npos; }); };
            if (!says("--replSet") || says("keyFile") || says("--noauth") || says("transitionToAuth") || says("--config") || says("clusterAuthMode") || says("tlsC") || says("sslC") || says("-f ")) return;
            report.add(place(service, "command"), id, fmt::format("'{}' does not start: a replica set with a root user needs --keyFile", service.name));
          });
        },
};

}  // namespace dm::audit::rules
