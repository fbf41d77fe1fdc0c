#include "cli/interrupt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace dm::cli {
namespace {

std::atomic<int> g_write{-1};
std::atomic<int> g_count{0};

void on_signal(int) {
  if (g_count.fetch_add(1) > 0) ::_exit(130);
  const char byte = 1;
  if (const int fd = g_write.load(); fd >= 0) (void)!::write(fd, &byte, 1);
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  read_.reset(ends[0]);
  g_write = ends[1];
  g_count = 0;
  handle(on_signal);
  thread_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd ready{read_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 100) > 0) {
        source_.request_stop();
        return;
      }
    }
  });
}

Interrupt::~Interrupt() {
  handle(SIG_DFL);
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  if (const int fd = g_write.exchange(-1); fd >= 0) ::close(fd);
}

}  // namespace dm::cli
