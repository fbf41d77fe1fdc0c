#include "engine/parse.hpp"

#include <gtest/gtest.h>

#include "engine/docker.hpp"
#include "engine/frames.hpp"

namespace dm::engine {
namespace {

TEST(Parse, TimesBecomeNanosecondsWithTheirOffset) {
  EXPECT_EQ(parse_time("1970-01-01T00:00:01Z"), 1'000'000'000);
  EXPECT_EQ(parse_time("1970-01-01T00:00:01.000000005Z"), 1'000'000'005);
  EXPECT_EQ(parse_time("1970-01-01T02:00:01.5+02:00"), 1'500'000'000);
  EXPECT_EQ(parse_time("0001-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_time("soon"), 0);
}

TEST(Parse, AContainerKeepsWhatJudgementsNeed) {
  const auto one = parse_container(R"({"Id":"abc","Name":"/web","Image":"sha256:1","RestartCount":4,"LogPath":"/x.log","Created":"2026-11-25T23:06:18Z",
    "State":{"Status":"restarting","Running":true,"Restarting":true,"OOMKilled":true,"Pid":7,"ExitCode":137,"Error":"","StartedAt":"2026-11-25T23:06:21.5Z","FinishedAt":"0001-01-01T00:00:00Z",
      "Health":{"Status":"unhealthy","FailingStreak":9,"Log":[{"Start":"2026-11-25T23:06:21Z","End":"2026-11-25T23:06:22Z","ExitCode":-1,"Output":"executable file not found"}]}},
    "Config":{"Image":"web:1","User":"1000","Env":["A=b"],"Labels":{"k":"v"},"Healthcheck":{"Test":["CMD","true"],"Interval":1000000000,"Retries":5}},
    "HostConfig":{"Memory":1048576,"CpuQuota":50000,"CpuPeriod":100000,"PidsLimit":null,"LogConfig":{"Type":"json-file","Config":{"max-size":"10m"}},
      "RestartPolicy":{"Name":"on-failure","MaximumRetryCount":5},"Privileged":true,"CapAdd":["NET_ADMIN"],"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}},
    "NetworkSettings":{"Ports":{},"Networks":{"front":{"NetworkID":"n1","Aliases":["web","w"],"IPAddress":"172.18.0.2"}}},
    "Mounts":[{"Type":"volume","Name":"data","Source":"/var/lib/x","Destination":"/data","RW":false}]})");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->name, "web");
  EXPECT_TRUE(one->oom_killed);
  EXPECT_EQ(one->finished, 0);
  EXPECT_EQ(one->health.log.at(0).exit_code, -1);
  EXPECT_EQ(one->limits.nano_cpus, 500'000'000);
  EXPECT_EQ(one->limits.pids, 0);
  EXPECT_EQ(one->log_options.at("max-size"), "10m");
  EXPECT_EQ(one->ports.at(0), (Port{80, 8080, "0.0.0.0", "tcp"}));
  EXPECT_EQ(one->networks.at("front").aliases.size(), 2U);
  EXPECT_FALSE(one->mounts.at(0).writable);
  EXPECT_EQ(one->healthcheck.retries, 5U);
}

TEST(Parse, OfPodmanTheBoundOfALogComesFromItsOwnAnswer) {
  Container one;
  add_podman_log(R"({"HostConfig":{"LogConfig":{"Type":"json-file","Config":null,"Path":"/ctr.log","Tag":"","Size":"1MB"}}})", one);
  EXPECT_EQ(one.log_options.at("max-size"), "1MB");
  for (const auto* none : {R"({"HostConfig":{"LogConfig":{"Size":"0B"}}})", R"({"HostConfig":{"LogConfig":{"Size":"-1B"}}})", "{}", "<html>"}) {
    Container other;
    add_podman_log(none, other);
    EXPECT_TRUE(other.log_options.empty()) << none;
  }
}

TEST(Parse, AnyShapeOfJsonIsSurvivedAndNonsenseIsCorrupt) {
  EXPECT_EQ(parse_container("<html>").error().code, Errc::corrupt);
  EXPECT_EQ(parse_container("{}").error().code, Errc::corrupt);
  EXPECT_EQ(parse_containers("{}").error().code, Errc::corrupt);
  EXPECT_TRUE(parse_container(R"({"Id":"a","State":[],"Config":null,"HostConfig":7,"NetworkSettings":"x","Mounts":{}})"));
  EXPECT_TRUE(parse_stats("{}"));
  EXPECT_TRUE(parse_disk_usage(R"({"Images":null,"Volumes":[{"Name":"v"}]})"));
  EXPECT_EQ(parse_event("[]").error().code, Errc::corrupt);
}

TEST(Parse, HealthOfAListComesFromItsStatusBeforeEnginesSaidItApart) {
  const auto list = parse_containers(R"x([{"Id":"1","Names":["/a"],"State":"running","Status":"Up 3 minutes (healthy)"},
    {"Id":"2","Names":["/b"],"State":"running","Status":"Up 1 second (health: starting)"},{"Id":"3","Names":["/c"],"State":"running","Status":"Up 3 minutes"},
    {"Id":"4","Names":["/x/link","/d"],"State":"running","Status":"Up","Health":{"Status":"unhealthy"}}])x");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->at(0).health, "healthy");
  EXPECT_EQ(list->at(1).health, "starting");
  EXPECT_EQ(list->at(2).health, "");
  EXPECT_EQ(list->at(3).health, "unhealthy");
  EXPECT_EQ(list->at(3).name, "d");
}

TEST(Parse, ErrorsGiveTheEnginesWords) {
  EXPECT_EQ(parse_message(R"({"message":"no such image"})"), "no such image");
  EXPECT_EQ(parse_message("plain\n"), "plain");
  EXPECT_EQ(parse_message(R"({"cause":"of podman","response":500})"), "of podman");
}

TEST(Negotiate, SpeaksTheNewestThatBothKnow) {
  EXPECT_EQ(*negotiate("1.41", "1.12", ""), "1.41");
  EXPECT_EQ(*negotiate("1.45", "1.24", ""), "1.45");
  EXPECT_EQ(*negotiate("1.52", "1.44", ""), "1.51");
  EXPECT_EQ(*negotiate("1.60", "1.54", ""), "1.54");  // newer than we know: its oldest
  EXPECT_EQ(*negotiate("1.52", "1.44", "1.43"), "1.43");
  EXPECT_EQ(negotiate("1.40", "1.12", "").error().code, Errc::unsupported);
  EXPECT_EQ(negotiate("1.41", "1.12", "newest").error().code, Errc::invalid_input);
  EXPECT_EQ(negotiate("", "", "").error().code, Errc::corrupt);
}

TEST(Frames, AreTakenApartWhereverTheyAreCut) {
  const std::string bytes("\x01\0\0\0\0\0\0\x03" "abc" "\x02\0\0\0\0\0\0\x01" "!" "\x01\0\0\0\0\0\0\x02" "\0\n", 8 + 3 + 8 + 1 + 8 + 2);
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    std::string out, err;
    Frames frames([&](bool is_err, std::string_view piece) -> Result<void> { (is_err ? err : out).append(piece); return {}; });
    for (std::size_t at = 0; at < bytes.size(); at += step) ASSERT_TRUE(frames.feed(std::string_view(bytes).substr(at, step)));
    EXPECT_EQ(out, std::string("abc\0\n", 5));
    EXPECT_EQ(err, "!");
    EXPECT_TRUE(frames.at_boundary());
  }
}

TEST(Frames, ACutFrameIsNoBoundaryAndOtherStreamsAreRefused) {
  Frames frames([](bool, std::string_view) -> Result<void> { return {}; });
  ASSERT_TRUE(frames.feed(std::string_view("\x01\0\0\0\0\0\0\x03" "ab", 10)));
  EXPECT_FALSE(frames.at_boundary());
  Frames other([](bool, std::string_view) -> Result<void> { return {}; });
  EXPECT_EQ(other.feed("HTTP/1.1 200 OK").error().code, Errc::corrupt);
}

}  // namespace
}  // namespace dm::engine
