#include "cli/interrupt.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>

namespace dm::cli {
namespace {

std::atomic<int> g_wake{-1};
std::atomic<int> g_count{0};
std::mutex g_mutex;
int g_alive = 0;

std::stop_source& source() {
  static auto* const one = new std::stop_source;  // never destroyed: the thread below outlives main
  return *one;
}

void on_signal(int) {
  if (g_count.fetch_add(1) > 0) ::_exit(130);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto wrote = ::write(g_wake.load(), &one, sizeof one);
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  const std::lock_guard lock(g_mutex);
  if (g_alive++ > 0) return;
  if (g_wake.load() < 0) {
    const int fd = ::eventfd(0, EFD_CLOEXEC);
    if (fd < 0) return;  // then a signal ends the process, as it does without us
    g_wake = fd;
    // A stop may call back into much code, which a signal handler must not: a thread does it.
    std::thread([fd] {
      std::uint64_t value = 0;
      while (::read(fd, &value, sizeof value) < 0) {
      }
      source().request_stop();
    }).detach();
  }
  handle(on_signal);
}

Interrupt::~Interrupt() {
  const std::lock_guard lock(g_mutex);
  if (--g_alive == 0) handle(SIG_DFL);
}

std::stop_token Interrupt::token() const { return source().get_token(); }

}  // namespace dm::cli
