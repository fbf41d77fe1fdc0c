// A small HTTP application that misbehaves when told to, by environment at start or over HTTP while it runs.
// `misbehave` serves; `misbehave health [PATH]` is its own health client (60 of them a second are cheap);
// `misbehave help` lists the switches. One thread for each connection, one that ticks, no library but libc.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct Switch {
  const char* name;
  const char* what;
  _Atomic double value;
};

enum { start_delay, hang, error, slow, unhealthy, healthy_after, leak, oom, burn, flood, crash, exit_code, ignore_term, term_delay, count };

static struct Switch switches[count] = {
    [start_delay] = {"start_delay", "seconds before it listens (only at start)", 0},
    [hang] = {"hang", "1: every request but /set blocks", 0},
    [error] = {"error", "1: every request but /set, /switches and /healthz gets a 500", 0},
    [slow] = {"slow", "seconds before every answer", 0},
    [unhealthy] = {"unhealthy", "1: /healthz answers 503", 0},
    [healthy_after] = {"healthy_after", "seconds since start before /healthz answers 200", 0},
    [leak] = {"leak", "MB a second that are taken and kept", 0},
    [oom] = {"oom", "1: takes memory until it is killed", 0},
    [burn] = {"burn", "1: one core busy", 0},
    [flood] = {"flood", "log lines a second", 0},
    [crash] = {"crash", "seconds until it exits with exit_code (0: never)", 0},
    [exit_code] = {"exit_code", "status of crash", 1},
    [ignore_term] = {"ignore_term", "1: SIGTERM does nothing", 0},
    [term_delay] = {"term_delay", "seconds between SIGTERM and the end", 0},
};

static _Atomic long requests;
static struct timespec started;

static double since(struct timespec from) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - from.tv_sec) + (double)(now.tv_nsec - from.tv_nsec) / 1e9;
}

static void nap(double seconds) {
  if (seconds <= 0) return;
  struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {}
}

static int port(void) {
  const char* text = getenv("PORT");
  return text != NULL && *text != '\0' ? atoi(text) : 8080;
}

// Sets a switch by name; 0 when there is none of that name.
static int set(const char* name, const char* value) {
  for (int i = 0; i < count; i++) {
    if (strcmp(switches[i].name, name) != 0) continue;
    switches[i].value = strtod(value, NULL);
    printf("switch %s = %s\n", name, value);
    return 1;
  }
  return 0;
}

// MISBEHAVE="leak=5,unhealthy,start_delay=3"
static int set_all(const char* text) {
  char* copy = strdup(text != NULL ? text : "");
  int good = 1;
  for (char *rest = NULL, *item = strtok_r(copy, ", \n", &rest); item != NULL; item = strtok_r(NULL, ", \n", &rest)) {
    char* equals = strchr(item, '=');
    if (equals != NULL) *equals = '\0';
    if (!set(item, equals != NULL ? equals + 1 : "1")) {
      fprintf(stderr, "misbehave: MISBEHAVE names '%s', which is no switch\n", item);
      good = 0;
    }
  }
  free(copy);
  return good;
}

// A TCP connection within two seconds, or -1.
static int connect_to(const char* host, const char* service) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  if (getaddrinfo(host, service, &hints, &found) != 0) return -1;
  int fd = -1;
  for (struct addrinfo* a = found; a != NULL && fd < 0; a = a->ai_next) {
    fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) continue;
    struct pollfd p = {fd, POLLOUT, 0};
    int failed = 0;
    socklen_t size = sizeof failed;
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 &&
        (errno != EINPROGRESS || poll(&p, 1, 2000) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0 || failed)) {
      close(fd);
      fd = -1;
    }
  }
  freeaddrinfo(found);
  return fd;
}

// NEEDS="postgres:5432,valkey:6379": the first that does not accept, or "" (so that a dead database makes its users unhealthy).
static void missing_need(char* out, size_t size) {
  out[0] = '\0';
  char* copy = strdup(getenv("NEEDS") != NULL ? getenv("NEEDS") : "");
  for (char *rest = NULL, *item = strtok_r(copy, ", ", &rest); item != NULL; item = strtok_r(NULL, ", ", &rest)) {
    char host[256] = "";
    const char* colon = strrchr(item, ':');
    if (colon == NULL) continue;
    snprintf(host, sizeof host, "%.*s", (int)(colon - item), item);
    int fd = connect_to(host, colon + 1);
    if (fd < 0) {
      snprintf(out, size, "%s", item);
      break;
    }
    close(fd);
  }
  free(copy);
}

static void reply(int fd, int status, const char* type, const char* body) {
  char head[256];
  int n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                   status == 200 ? "OK" : status == 404 ? "Not Found" : status == 503 ? "Service Unavailable" : "Internal Server Error",
                   type, strlen(body));
  if (write(fd, head, (size_t)n) < 0 || write(fd, body, strlen(body)) < 0) {}
}

static void answer(int fd, char* path) {
  char body[4096] = "ok\n";
  if (strncmp(path, "/set/", 5) == 0) {
    char* name = path + 5;
    char* slash = strchr(name, '/');
    if (slash != NULL) *slash = '\0';
    int known = set(name, slash != NULL ? slash + 1 : "1");
    reply(fd, known ? 200 : 404, "text/plain", known ? body : "no such switch\n");
    return;
  }
  while (switches[hang].value != 0) nap(0.2);
  nap(switches[slow].value);
  if (strcmp(path, "/switches") == 0) {
    size_t n = 0;
    for (int i = 0; i < count; i++)
      n += (size_t)snprintf(body + n, sizeof body - n, "%s\"%s\": %g", i == 0 ? "{" : ", ", switches[i].name, switches[i].value);
    snprintf(body + n, sizeof body - n, "}\n");
    reply(fd, 200, "application/json", body);
  } else if (strcmp(path, "/healthz") == 0) {
    char need[256];
    missing_need(need, sizeof need);
    if (switches[unhealthy].value != 0) snprintf(body, sizeof body, "told to be unhealthy\n");
    else if (since(started) < switches[healthy_after].value) snprintf(body, sizeof body, "still starting\n");
    else if (need[0] != '\0') snprintf(body, sizeof body, "cannot reach %s\n", need);
    reply(fd, strcmp(body, "ok\n") == 0 ? 200 : 503, "text/plain", body);
  } else if (switches[error].value != 0) {
    reply(fd, 500, "text/plain", "told to fail\n");
  } else if (strcmp(path, "/metrics") == 0) {
    snprintf(body, sizeof body, "# TYPE misbehave_requests_total counter\nmisbehave_requests_total %ld\n", (long)requests);
    reply(fd, 200, "text/plain; version=0.0.4", body);
  } else {
    const char* name = getenv("NAME");
    if (name != NULL) snprintf(body, sizeof body, "ok %s\n", name);
    reply(fd, strcmp(path, "/") == 0 ? 200 : 404, "text/plain", strcmp(path, "/") == 0 ? body : "not found\n");
  }
}

static void* serve(void* argument) {
  int fd = (int)(long)argument;
  char buffer[4096], path[1024] = "/";
  struct timeval limit = {10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ssize_t n = read(fd, buffer, sizeof buffer - 1);
  if (n > 0) {
    buffer[n] = '\0';
    sscanf(buffer, "%*15s %1023s", path);
    char* query = strchr(path, '?');
    if (query != NULL) *query = '\0';
    requests++;
    answer(fd, path);
  }
  shutdown(fd, SHUT_WR);
  close(fd);
  return NULL;
}

static void* volatile kept;  // or the compiler sees that nobody reads what is taken, and takes nothing

static void take(size_t bytes) {
  char* p = malloc(bytes);
  if (p != NULL) memset(p, 1, bytes);
  kept = p;
}

static void* tick(void* unused) {
  (void)unused;
  struct timespec armed;
  double at = 0, lines = 0;
  long line = 0;
  for (struct timespec last = started;;) {
    double gone = since(last);
    clock_gettime(CLOCK_MONOTONIC, &last);
    if (switches[leak].value > 0) take((size_t)(switches[leak].value * gone * 1e6));
    while (switches[oom].value != 0) take(1 << 22);
    for (lines += switches[flood].value * gone; lines >= 1; lines--) printf("flood %ld: nothing happened, and this is where it is said at length\n", line++);
    if (switches[crash].value != at) {
      at = switches[crash].value;
      clock_gettime(CLOCK_MONOTONIC, &armed);
    }
    if (at > 0 && since(armed) >= at) {
      fprintf(stderr, "crash: as told\n");
      fflush(NULL);
      _exit((int)switches[exit_code].value);
    }
    fflush(stdout);
    if (switches[burn].value == 0) nap(0.1);
  }
  return NULL;
}

// Signals arrive here and nowhere else.
static void* on_signal(void* set_of) {
  for (int got; sigwait(set_of, &got) == 0;) {
    if (switches[ignore_term].value != 0) {
      printf("signal %d: ignored\n", got);
      continue;
    }
    printf("signal %d: stopping\n", got);
    nap(switches[term_delay].value);
    fflush(NULL);
    _exit(0);
  }
  return NULL;
}

static int health(const char* path) {
  char text[16], buffer[512];
  snprintf(text, sizeof text, "%d", port());
  int fd = connect_to("127.0.0.1", text);
  if (fd < 0) {
    printf("nothing accepts on port %s\n", text);
    return 1;
  }
  int n = snprintf(buffer, sizeof buffer, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  struct pollfd p = {fd, POLLIN, 0};
  if (write(fd, buffer, (size_t)n) != n || poll(&p, 1, 10000) != 1) return 1;
  ssize_t got = read(fd, buffer, sizeof buffer - 1);
  if (got <= 0) return 1;
  usleep(1000);
  ssize_t more = read(fd, buffer + got, sizeof buffer - 1 - (size_t)got);
  buffer[got + (more > 0 ? more : 0)] = '\0';
  const char* body = strstr(buffer, "\r\n\r\n");
  fputs(body != NULL ? body + 4 : buffer, stdout);
  return strncmp(buffer, "HTTP/1.1 200", 12) == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "health") == 0) return health(argc > 2 ? argv[2] : "/healthz");
  if (argc > 1) {
    puts("misbehave: PORT (8080), NAME, NEEDS=host:port,..., MISBEHAVE=switch=value,...; GET /set/SWITCH/VALUE while it runs.\n"
         "Paths: / /healthz /switches /metrics. Switches:");
    for (int i = 0; i < count; i++) printf("  %-14s %s\n", switches[i].name, switches[i].what);
    return strcmp(argv[1], "help") == 0 ? 0 : 64;
  }
  clock_gettime(CLOCK_MONOTONIC, &started);
  if (!set_all(getenv("MISBEHAVE"))) return 64;
  fflush(stdout);
  static sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  signal(SIGPIPE, SIG_IGN);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 128 << 10);
  pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  pthread_create(&thread, &small, on_signal, &signals);
  pthread_create(&thread, &small, tick, NULL);
  nap(switches[start_delay].value);

  int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), no = 0, yes = 1;
  int family = listener >= 0 ? AF_INET6 : AF_INET;
  if (listener < 0) listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port()), .sin6_addr = in6addr_any};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port()), .sin_addr.s_addr = htonl(INADDR_ANY)};
  if ((family == AF_INET6 ? bind(listener, (struct sockaddr*)&six, sizeof six) : bind(listener, (struct sockaddr*)&four, sizeof four)) != 0 ||
      listen(listener, 128) != 0) {
    perror("misbehave: listen");
    return 2;
  }
  printf("listening on %d\n", port());
  fflush(stdout);
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) continue;
    if (pthread_create(&thread, &small, serve, (void*)(long)fd) != 0) close(fd);
  }
}
