#include "host/host.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "host/cgroup.hpp"
#include "host/daemon.hpp"

namespace dm::host {
namespace {

/// A recorded tree.
class Tree : public testing::Test {
 protected:
  void SetUp() override {
    root = testing::TempDir() + "dm-host-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root);
  }
  void TearDown() override { std::filesystem::remove_all(root); }
  void add(const std::string& path, const std::string& text) const {
    const std::filesystem::path full = root + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  std::string root;
};

TEST_F(Tree, MemoryAndSettingsAreRead) {
  add("/proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\nSwapTotal: 0 kB\n");
  add("/proc/sys/vm/max_map_count", "65530\n");
  EXPECT_EQ(memory(root).total, 16384U * 1024);
  EXPECT_EQ(memory(root).available, 8192U * 1024);
  EXPECT_EQ(sysctl("vm.max_map_count", root), "65530");
  EXPECT_FALSE(sysctl("vm.none", root));
}

TEST_F(Tree, ListenersComeFromTheKernelsTables) {
  add("/proc/net/tcp", "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 00000000:0050 00000000:0000 0A 0\n   2: 0100007F:9999 0100007F:1F90 01 0\n");
  add("/proc/net/tcp6", "  sl  local_address rem_address   st\n   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0\n");
  add("/proc/net/udp", "  sl  local_address rem_address   st\n   0: 00000000:0035 00000000:0000 07 0\n");
  const auto list = listeners(root);
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].address, "127.0.0.1");
  EXPECT_EQ(list[0].port, 8080);
  EXPECT_EQ(list[2].protocol + list[2].address, "udp0.0.0.0");
  EXPECT_EQ(list[3].address, "::");
}

TEST_F(Tree, AGroupOfVersionTwoIsRead) {
  add("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
  add("/proc/7/cgroup", "0::/system.slice/docker-abc.scope\n");
  const std::string folder = "/sys/fs/cgroup/system.slice/docker-abc.scope";
  add(folder + "/memory.current", "1000\n");
  add(folder + "/memory.max", "max\n");
  add(folder + "/memory.stat", "anon 5\ninactive_file 300\n");
  add(folder + "/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n");
  add(folder + "/cpu.stat", "usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec 9\n");
  add(folder + "/cpu.max", "50000 100000\n");
  add(folder + "/pids.max", "100\n");
  const auto folders = cgroup_folders(7, root);
  ASSERT_TRUE(folders);
  const auto group = read_cgroup(*folders);
  EXPECT_EQ(group.memory_use, 1000U);
  EXPECT_EQ(group.memory_limit, 0U);
  EXPECT_EQ(group.working_set, 700U);
  EXPECT_EQ(group.oom_kills, 2U);
  EXPECT_EQ(group.cpu_total, 5000U);
  EXPECT_EQ(group.cpu_limit, 500'000'000U);
  EXPECT_EQ(group.pids_limit, 100U);
  EXPECT_FALSE(group.memory_peak);  // older kernels have none
  add(folder + "/cgroup.procs", "7\n8\n9\n");  // 9 has ended meanwhile
  add("/proc/7/status", "Name:\tdocker-init\nUmask:\t0022\nUid:\t0\t0\t0\t0\n");
  add("/proc/8/status", "Name:\tsshd\nUid:\t0\t999\t999\t999\n");
  const auto inside = processes(*folders, root);
  ASSERT_EQ(inside.size(), 2U);
  EXPECT_EQ(inside[0].program, "docker-init");
  EXPECT_EQ(inside[0].user, 0);
  EXPECT_EQ(inside[1].program, "sshd");
  EXPECT_EQ(inside[1].user, 999);
  EXPECT_EQ(cgroup_version(root), 2U);
}

TEST_F(Tree, AGroupOfVersionOneIsRead) {
  add("/proc/7/cgroup", "9:pids:/docker/abc\n5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n");
  add("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "1000\n");
  add("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
  add("/sys/fs/cgroup/memory/docker/abc/memory.stat", "cache 1\ntotal_inactive_file 100\n");
  add("/sys/fs/cgroup/memory/docker/abc/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  add("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "-1\n");
  add("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
  add("/sys/fs/cgroup/cpuacct/docker/abc/cpuacct.usage", "77\n");
  add("/sys/fs/cgroup/memory/docker/abc/cgroup.procs", "7\n");
  add("/proc/7/status", "Name:\tapp\nUid:\t1000\t1000\t1000\t1000\n");
  const auto folders = cgroup_folders(7, root);
  ASSERT_TRUE(folders);
  EXPECT_EQ(processes(*folders, root).size(), 1U);
  const auto group = read_cgroup(*folders);
  EXPECT_EQ(group.memory_limit, 0U);
  EXPECT_EQ(group.working_set, 900U);
  EXPECT_EQ(group.oom_kills, 1U);
  EXPECT_EQ(group.cpu_limit, 0U);
  EXPECT_EQ(group.cpu_total, 77U);
  EXPECT_FALSE(cgroup_folders(8, root));
}

TEST_F(Tree, WindowsLendsItsGpuAsADeviceOfItsOwn) {
  EXPECT_TRUE(gpus(root).empty());
  add("/dev/dxg", "");
  EXPECT_EQ(gpus(root).size(), 1U);
}

TEST_F(Tree, WatchedPathsAndGroupMembersAreRead) {
  EXPECT_FALSE(audit_watched(root));
  add("/etc/audit/rules.d/docker.rules", "-w /usr/bin/dockerd -k docker\n-a exit,always -F path=/run/containerd -F perm=war\n");
  EXPECT_EQ(audit_watched(root), (std::vector<std::string>{"/usr/bin/dockerd", "/run/containerd"}));
  add("/etc/group", "root:x:0:\ndocker:x:999:eve,bob\ndockers:x:1000:mallory\n");
  EXPECT_EQ(group_members("docker", root), (std::vector<std::string>{"eve", "bob"}));
}

TEST(Daemon, FlagsBeatTheFile) {
  const auto daemon = daemon_settings(R"({"userland-proxy": false, "log-opts": {"max-size": "10m"}, "hosts": ["tcp://0.0.0.0:2375"], "tlsverify": true})",
                                      {"dockerd", "--userland-proxy=true", "-H", "unix:///x.sock", "--log-opt", "max-file=3"});
  ASSERT_TRUE(daemon);
  EXPECT_EQ(daemon->userland_proxy, std::optional(true));
  EXPECT_EQ(daemon->hosts, (std::vector<std::string>{"tcp://0.0.0.0:2375", "unix:///x.sock"}));
  EXPECT_EQ(daemon->log_options.size(), 2U);
  EXPECT_TRUE(daemon->tls_verify);
  EXPECT_FALSE(daemon->iptables);
  EXPECT_FALSE(daemon_settings("[", {}));
  EXPECT_TRUE(daemon_settings("", {}));
  EXPECT_EQ(daemon_config_path({"dockerd", "--config-file", "/a.json"}), "/a.json");
}

TEST(Host, TheRealMachineHasMemoryAndADisk) {
  EXPECT_GT(memory().total, 0U);
  const auto here = disk("/no/such/path/yet");
  ASSERT_TRUE(here);
  EXPECT_EQ(here->mount, "/");
  EXPECT_GT(here->total, 0U);
}

}  // namespace
}  // namespace dm::host
