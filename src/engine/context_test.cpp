#include "engine/context.hpp"

#include <gtest/gtest.h>

namespace dm::engine {
namespace {

/// sha256("lab") and sha256("my-rootless") name the folders.
constexpr const char* kLab = "/home/eve/.docker/contexts/meta/b30205ebd4d57e50ea8fd1fe04bc57a53afc6c9d07d7b7faddba5e0c1b0d79d1/meta.json";

struct World {
  sources::MemoryFiles files;
  Environment environment{{"HOME", "/home/eve"}};
  Result<Place> find(Choice choice = {}) const { return find_engine(choice, environment, files); }
};

std::string meta_path(const std::string& folder, const std::string& hash) { return folder + "/contexts/meta/" + hash + "/meta.json"; }

TEST(Context, WithoutAnyWordTheDefaultSocketIsMeant) {
  const World world;
  const auto place = world.find();
  ASSERT_TRUE(place);
  EXPECT_EQ(place->host, "unix:///var/run/docker.sock");
  EXPECT_EQ(place->describe(), "unix:///var/run/docker.sock (default)");
}

TEST(Context, BothFlagsTogetherAreAnError) {
  const World world;
  EXPECT_EQ(world.find({"tcp://x", "lab"}).error().code, Errc::invalid_input);
}

TEST(Context, DockerHostBeatsDockerContextAsInTheCodeAndNotAsInItsDocumentation) {
  World world;
  world.environment["DOCKER_HOST"] = "tcp://10.0.0.1:2375";
  world.environment["DOCKER_CONTEXT"] = "lab";
  const auto place = world.find();
  ASSERT_TRUE(place);
  EXPECT_EQ(place->host, "tcp://10.0.0.1:2375");
  EXPECT_EQ(place->reason, "DOCKER_HOST");
}

TEST(Context, FlagsBeatTheEnvironment) {
  World world;
  world.environment["DOCKER_HOST"] = "tcp://10.0.0.1:2375";
  EXPECT_EQ(world.find({"unix:///run/other.sock", ""})->reason, "--host");
  world.files.add(meta_path("/home/eve/.docker", "7cdb8e9a0f6ed8a8ab5ab2fbc5d9ed32c6b1cc1e1dd8e7ed4bf5b1c9f8fb1bd4"), "{}");
  const auto missing = world.find({"", "nowhere"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_NE(missing.error().message.find("docker context ls"), std::string::npos);
}

TEST(Context, CurrentContextOfTheConfigIsReadWithItsCertificates) {
  World world;
  world.files.add("/home/eve/.docker/config.json", R"({"auths":{}, "currentContext":"lab"})");
  const auto unknown = world.find();
  ASSERT_FALSE(unknown);
  // The message names the path, and so the hash of the name.
  const auto from = unknown.error().message.find("/home/eve/.docker/contexts/meta/");
  ASSERT_NE(from, std::string::npos);
  const auto path = unknown.error().message.substr(from, unknown.error().message.find(';') - from);
  EXPECT_EQ(path.size(), std::string_view(kLab).size());
  world.files.add(path, R"({"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://lab.example:2376","SkipTLSVerify":false}}})");
  auto tls = path;
  tls.replace(tls.find("/meta/"), 6, "/tls/");
  tls.erase(tls.rfind('/'));
  world.files.add(tls + "/docker/ca.pem", "CA");
  world.files.add(tls + "/docker/cert.pem", "CERT");
  world.files.add(tls + "/docker/key.pem", "KEY");
  const auto place = world.find();
  ASSERT_TRUE(place);
  EXPECT_EQ(place->host, "tcp://lab.example:2376");
  ASSERT_TRUE(place->tls);
  EXPECT_EQ(place->tls->ca + place->tls->cert + place->tls->key, "CACERTKEY");
  EXPECT_TRUE(place->tls->verify);
  EXPECT_NE(place->reason.find("currentContext of /home/eve/.docker/config.json"), std::string::npos);
}

TEST(Context, TheNameIsHashedWithSha256) {
  World world;
  const auto unknown = world.find({"", "abc"});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("/meta/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/meta.json"), std::string::npos);
}

TEST(Context, ContextDefaultMeansTheEnvironmentsEngine) {
  World world;
  world.environment["DOCKER_CONTEXT"] = "default";
  EXPECT_EQ(world.find()->host, "unix:///var/run/docker.sock");
  world.environment["DOCKER_HOST"] = "unix:///run/x.sock";
  EXPECT_EQ(world.find({"", "default"})->host, "unix:///run/x.sock");
}

TEST(Context, TlsVerifyWithoutACertificateAuthorityIsRefusedByName) {
  World world;
  world.environment["DOCKER_HOST"] = "tcp://10.0.0.1:2376";
  world.environment["DOCKER_TLS_VERIFY"] = "1";
  world.environment["DOCKER_CERT_PATH"] = "/certs";
  EXPECT_EQ(world.find().error().code, Errc::not_found);
  world.files.add("/certs/ca.pem", "CA");
  ASSERT_TRUE(world.find());
  EXPECT_EQ(world.find()->tls->ca, "CA");
  world.files.add("/certs/cert.pem", "CERT");
  EXPECT_EQ(world.find().error().code, Errc::invalid_input);  // and no key
}

TEST(Context, ADamagedConfigFileIsNotOurConcernButADamagedContextIs) {
  World world;
  world.files.add("/home/eve/.docker/config.json", "{not json");
  EXPECT_EQ(world.find()->reason, "default");
  world.files.add("/home/eve/.docker/contexts/meta/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/meta.json", "[]");
  EXPECT_EQ(world.find({"", "abc"}).error().code, Errc::invalid_input);
}

TEST(Host, IsReadAsTheDockerCliReadsIt) {
  EXPECT_EQ(parse_host("unix://", false)->path, "/var/run/docker.sock");
  EXPECT_EQ(parse_host("tcp://", false)->name, "localhost");
  EXPECT_EQ(parse_host("tcp://h", false)->port, "2375");
  EXPECT_EQ(parse_host("tcp://h", true)->port, "2376");
  EXPECT_EQ(parse_host("10.0.0.1:99", false)->port, "99");
  EXPECT_EQ(parse_host("tcp://[::1]:99", false)->name, "::1");
  const auto ssh = parse_host("ssh://eve@lab:2222/run/user/1000/docker.sock", false);
  EXPECT_EQ(ssh->user + "|" + ssh->name + "|" + ssh->port + "|" + ssh->path, "eve|lab|2222|/run/user/1000/docker.sock");
  EXPECT_EQ(parse_host("ssh://eve:secret@lab", false).error().code, Errc::invalid_input);
  EXPECT_EQ(parse_host("npipe:////./pipe/docker", false).error().code, Errc::unsupported);
  EXPECT_EQ(parse_host("tcp://h:port", false).error().code, Errc::invalid_input);
}

}  // namespace
}  // namespace dm::engine
