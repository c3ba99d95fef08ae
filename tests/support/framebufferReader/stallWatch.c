// Says when this machine stood still: on each processor a thread of the highest priority wakes a thousand times a second, and when it could not, the
// processor was not there (a virtual one that its host took away, a kernel that was busy). No program's frames can be in time then.
//
//   stallWatch --over MS --out FILE [--awake PROCESSOR,...]
//
// --out: a line per stall that was longer, `<due ns> <woken ns> <processor>` on CLOCK_MONOTONIC. Ends on SIGTERM, and with the program that started it.
// --awake: keeps these processors from sleeping, with a thread on each that runs when nothing else wants to. A virtual processor that sleeps is given
// to others by its host, and comes back late; one of a computer's own is not. Exit code 3: not allowed to be real-time.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static FILE *out;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static int64_t overNs = 2000000;
static const int64_t stepNs = 1000000;

static int64_t monotonicNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *watch(void *processor) {
  int cpu = (int)(intptr_t)processor;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  struct sched_param priority = {.sched_priority = 90};
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0 || pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) != 0) exit(3);
  int64_t dueNs = monotonicNs() + stepNs;
  for (;;) {
    struct timespec due = {dueNs / 1000000000, dueNs % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    int64_t nowNs = monotonicNs();
    if (nowNs - dueNs > overNs) {
      pthread_mutex_lock(&writing);
      fprintf(out, "%lld %lld %d\n", (long long)dueNs, (long long)nowNs, cpu);
      pthread_mutex_unlock(&writing);
    }
    dueNs += stepNs;
    if (dueNs < nowNs) dueNs = nowNs + stepNs;
  }
  return NULL;
}

static void *stayAwake(void *processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((int)(intptr_t)processor, &set);
  struct sched_param priority = {.sched_priority = 0};
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0 || pthread_setschedparam(pthread_self(), SCHED_IDLE, &priority) != 0) exit(3);
  for (;;) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("");
#endif
  }
  return NULL;
}

int main(int argc, char **argv) {
  const char *path = NULL;
  const char *awake = "";
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--over")) overNs = (int64_t)(atof(argv[i + 1]) * 1e6);
    else if (!strcmp(argv[i], "--out")) path = argv[i + 1];
    else if (!strcmp(argv[i], "--awake")) awake = argv[i + 1];
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  out = path == NULL ? NULL : fopen(path, "w");
  if (out == NULL) {
    fprintf(stderr, "stallWatch: expected --out FILE that can be written: %s\n", strerror(errno));
    return 2;
  }
  setvbuf(out, NULL, _IOLBF, 0);
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  pthread_t thread;
  for (long i = 0; i < count; i++) if (pthread_create(&thread, NULL, watch, (void *)(intptr_t)i) != 0) return 2;
  for (const char *at = awake; *at != '\0'; at += strspn(at, ",")) {
    char *end;
    long i = strtol(at, &end, 10);
    if (end == at || i < 0 || i >= count) {
      fprintf(stderr, "stallWatch: expected --awake with processors of 0 to %ld, got %s\n", count - 1, awake);
      return 2;
    }
    if (pthread_create(&thread, NULL, stayAwake, (void *)(intptr_t)i) != 0) return 2;
    at = end;
  }
  pause();
  return 0;
}
