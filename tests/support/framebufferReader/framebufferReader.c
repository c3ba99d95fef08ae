// A photodiode made of software: reads the pixels of the photodiode patch and of one row across the image from an X server's framebuffer, a
// thousand times a second or as often as told, on its own monotonic clock, and says when the patch changed. A program of its own, so that it sees what is on the
// screen and not what a browser believes to have drawn. Knows nothing about Evoked.
//
//   framebufferReader --display :9 --patch X,Y --row X,Y,WIDTH --background GREY --levels 0,155,212,255 --rate HZ --seconds S --out FILE [--port UDP] [--server PID]
//
// --server: process of an X server whose framebuffer lies in its memory (the dummy driver's): it is read there, which costs the server nothing, as a
// photodiode costs a monitor nothing. Where it cannot be, or without it, the server is asked for the pixels, some four thousand turns a second.
// --out: per sample 16 bytes, little endian: int64 time (CLOCK_MONOTONIC, ns: the middle of the read), uint8 patch, uint8 greatest difference of
// the row from the background, uint16 how long the read took (us), uint32 hash of the row. --port: changes of level are sent to it on loopback
// as `<ns> <level>`. Prints one line when it begins and one when it ends.
#define _GNU_SOURCE
#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <X11/extensions/XShm.h>
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct Sample {
  int64_t atNs;
  uint8_t patch;
  uint8_t difference;
  uint16_t readUs;
  uint32_t hash;
};

static volatile sig_atomic_t stopped = 0;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static int64_t monotonicNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *sentence) {
  fprintf(stderr, "framebufferReader: %s\n", sentence);
  exit(2);
}

struct Area {
  XImage *image;
  XShmSegmentInfo shm;
  int x, y;
};

static void shareArea(struct Area *area, Display *display, int x, int y, int width, int height) {
  int screen = DefaultScreen(display);
  area->x = x;
  area->y = y;
  area->image = XShmCreateImage(display, DefaultVisual(display, screen), (unsigned)DefaultDepth(display, screen), ZPixmap, NULL, &area->shm, (unsigned)width, (unsigned)height);
  if (area->image == NULL) fail("expected a shared image, the X server gave none");
  area->shm.shmid = shmget(IPC_PRIVATE, (size_t)area->image->bytes_per_line * (size_t)height, IPC_CREAT | 0600);
  if (area->shm.shmid < 0) fail("expected shared memory, got none");
  area->shm.shmaddr = area->image->data = shmat(area->shm.shmid, NULL, 0);
  area->shm.readOnly = False;
  if (!XShmAttach(display, &area->shm)) fail("expected the X server to attach shared memory, it refused");
  XSync(display, False);
  shmctl(area->shm.shmid, IPC_RMID, NULL);
}

/** A framebuffer in another process: address of its first pixel, bytes of a row. */
struct Memory {
  int pid;
  uintptr_t base;
  size_t pitch;
};

static int peek(const struct Memory *memory, int x, int y, void *to, size_t bytes) {
  struct iovec local = {to, bytes}, remote = {(void *)(memory->base + (size_t)y * memory->pitch + (size_t)x * 4), bytes};
  return process_vm_readv(memory->pid, &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

/** Finds the framebuffer by a window of random pixels that is put up for a moment. 0: not found. */
static int findMemory(Display *display, int pid, struct Memory *memory) {
  enum { side = 16, x = 64, y = 40, chunk = 1 << 20 };
  static uint32_t pixels[side * side];
  static uint8_t buffer[chunk] __attribute__((aligned(8)));
  srand((unsigned)monotonicNs());
  for (int i = 0; i < side * side; i++) pixels[i] = (uint32_t)(rand() & 0xffffff);
  int screen = DefaultScreen(display);
  XSetWindowAttributes wanted = {.override_redirect = True, .background_pixmap = None};
  Window window = XCreateWindow(display, DefaultRootWindow(display), x, y, side, side, 0, CopyFromParent, InputOutput, CopyFromParent, CWOverrideRedirect | CWBackPixmap, &wanted);
  XMapRaised(display, window);
  XImage *image = XCreateImage(display, DefaultVisual(display, screen), (unsigned)DefaultDepth(display, screen), ZPixmap, 0, (char *)pixels, side, side, 32, 0);
  GC gc = XCreateGC(display, window, 0, NULL);
  XPutImage(display, window, gc, image, 0, 0, 0, 0, side, side);
  XSync(display, False);
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  FILE *maps = fopen(path, "r");
  int found = 0;
  while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL) {
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || to - from < 4u << 20) continue;
    for (uintptr_t at = from; at < to && !found; at += chunk - sizeof pixels[0] * side) {
      struct iovec local = {buffer, chunk}, remote = {(void *)at, to - at < chunk ? to - at : chunk};
      ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
      for (ssize_t i = 0; i + (ssize_t)sizeof pixels[0] * side <= got && !found; i += 4) {
        const uint32_t *seen = (const uint32_t *)(buffer + i);
        int same = 0;
        while (same < side && (seen[same] & 0xffffff) == pixels[same]) same++;
        if (same < side) continue;
        // A row of the screen as it is now, or as it was set up.
        const int widths[] = {DisplayWidth(display, screen), 1920, 3840};
        for (unsigned w = 0; w < 3 && !found; w++) {
          struct Memory maybe = {.pid = pid, .pitch = (size_t)widths[w] * 4};
          maybe.base = at + (uintptr_t)i - y * maybe.pitch - x * 4;
          found = 1;
          for (int row = 1; row < side && found; row++) {
            uint32_t line[side];
            found = peek(&maybe, x, y + row, line, sizeof line);
            for (int k = 0; k < side && found; k++) found = (line[k] & 0xffffff) == pixels[row * side + k];
          }
          if (found) *memory = maybe;
        }
      }
      if (to - at <= chunk) break;
    }
  }
  if (maps != NULL) fclose(maps);
  XFreeGC(display, gc);
  image->data = NULL;
  XDestroyImage(image);
  XDestroyWindow(display, window);
  XSync(display, False);
  return found;
}

static void numbers(const char *text, int *out, int count, const char *name) {
  char *end = (char *)text;
  for (int i = 0; i < count; i++) {
    out[i] = (int)strtol(end, &end, 10);
    if (i < count - 1 && *end++ != ',') {
      fprintf(stderr, "framebufferReader: expected %d numbers separated by commas after %s, got \"%s\"\n", count, name, text);
      exit(2);
    }
  }
}

int main(int argc, char **argv) {
  const char *name = NULL, *path = NULL;
  int patch[2] = {0, 0}, row[3] = {0, 0, 1}, background = 128, levels[4] = {0, 255, 255, 255}, levelCount = 2, rate = 1000, port = 0, server = 0;
  double seconds = 10;
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *value = argv[i + 1];
    if (!strcmp(argv[i], "--display")) name = value;
    else if (!strcmp(argv[i], "--patch")) numbers(value, patch, 2, "--patch");
    else if (!strcmp(argv[i], "--row")) numbers(value, row, 3, "--row");
    else if (!strcmp(argv[i], "--background")) background = atoi(value);
    else if (!strcmp(argv[i], "--levels")) {
      levelCount = 1;
      for (const char *c = value; *c; c++) levelCount += *c == ',';
      if (levelCount < 2 || levelCount > 4) fail("expected 2 to 4 levels");
      numbers(value, levels, levelCount, "--levels");
    } else if (!strcmp(argv[i], "--rate")) rate = atoi(value);
    else if (!strcmp(argv[i], "--seconds")) seconds = atof(value);
    else if (!strcmp(argv[i], "--out")) path = value;
    else if (!strcmp(argv[i], "--port")) port = atoi(value);
    else if (!strcmp(argv[i], "--server")) server = atoi(value);
    else {
      fprintf(stderr, "framebufferReader: unknown option %s\n", argv[i]);
      return 2;
    }
  }
  if (path == NULL || rate < 1 || rate > 10000) fail("expected --out FILE and --rate 1 to 10000");
  Display *display = XOpenDisplay(name);
  if (display == NULL) fail("expected an X display to open, got none: name one with --display");
  if (!XShmQueryExtension(display)) fail("expected the MIT-SHM extension, the X server has none");
  FILE *out = fopen(path, "wb");
  if (out == NULL) fail(strerror(errno));
  setvbuf(out, NULL, _IOFBF, 1 << 20);
  Window root = DefaultRootWindow(display);
  struct Area patchArea, rowArea;
  shareArea(&patchArea, display, patch[0], patch[1], 2, 2);
  shareArea(&rowArea, display, row[0], row[1], row[2], 1);
  struct Memory memory = {.pid = 0};
  const int isInMemory = server > 0 && findMemory(display, server, &memory);
  uint32_t *rowPixels = (uint32_t *)rowArea.image->data;
  int sock = -1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  if (port > 0) sock = socket(AF_INET, SOCK_DGRAM, 0);
  signal(SIGINT, stop);
  signal(SIGTERM, stop);

  const int64_t stepNs = 1000000000 / rate;
  const int64_t startNs = monotonicNs();
  const int64_t endNs = startNs + (int64_t)(seconds * 1e9);
  int64_t dueNs = startNs, count = 0, missed = 0, longestNs = 0, lastNs = startNs;
  int level = -1;
  printf("{\"startNs\":%lld,\"rateHz\":%d,\"readFrom\":\"%s\"}\n", (long long)startNs, rate, isInMemory ? "memory" : "server");
  fflush(stdout);
  while (!stopped && dueNs < endNs) {
    struct timespec due = {dueNs / 1000000000, dueNs % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    int64_t beforeNs = monotonicNs();
    uint32_t patchPixel = 0;
    if (isInMemory ? !peek(&memory, patchArea.x, patchArea.y, &patchPixel, 4) : !XShmGetImage(display, root, patchArea.image, patchArea.x, patchArea.y, AllPlanes)) fail("the patch could not be read: is it on the screen?");
    int64_t patchNs = (beforeNs + monotonicNs()) / 2;
    if (isInMemory ? !peek(&memory, rowArea.x, rowArea.y, rowPixels, (size_t)row[2] * 4) : !XShmGetImage(display, root, rowArea.image, rowArea.x, rowArea.y, AllPlanes)) fail("the image's row could not be read: is it on the screen?");
    if (!isInMemory) patchPixel = (uint32_t)XGetPixel(patchArea.image, 0, 0);
    int64_t afterNs = monotonicNs();
    struct Sample sample = {.atNs = patchNs, .hash = 2166136261u};
    sample.patch = (uint8_t)((patchPixel >> 8) & 255);
    const uint8_t *pixel = (const uint8_t *)rowArea.image->data;
    for (int i = 0; i < row[2]; i++, pixel += 4) {
      for (int c = 0; c < 3; c++) {
        int difference = abs(pixel[c] - background);
        if (difference > sample.difference) sample.difference = (uint8_t)difference;
        sample.hash = (sample.hash ^ pixel[c]) * 16777619u; // FNV-1a
      }
    }
    int64_t tookUs = (afterNs - beforeNs) / 1000;
    sample.readUs = (uint16_t)(tookUs > 65535 ? 65535 : tookUs);
    fwrite(&sample, sizeof sample, 1, out);
    count++;
    if (beforeNs - lastNs > longestNs) longestNs = beforeNs - lastNs;
    lastNs = beforeNs;

    int nearest = 0;
    for (int i = 1; i < levelCount; i++) if (abs(sample.patch - levels[i]) < abs(sample.patch - levels[nearest])) nearest = i;
    int now = levelCount == 2 && nearest == 1 ? 3 : nearest;
    if (now != level) {
      if (sock >= 0) {
        char text[64];
        int length = snprintf(text, sizeof text, "%lld %d\n", (long long)sample.atNs, now);
        sendto(sock, text, (size_t)length, 0, (struct sockaddr *)&to, sizeof to);
      }
      level = now;
    }
    // A sample that is too late is left out, not caught up with.
    do {
      dueNs += stepNs;
      if (dueNs < monotonicNs()) missed++;
    } while (dueNs < monotonicNs());
  }
  fclose(out);
  printf("{\"samples\":%lld,\"missed\":%lld,\"longestGapMs\":%.3f}\n", (long long)count, (long long)missed, longestNs / 1e6);
  XCloseDisplay(display);
  return 0;
}
