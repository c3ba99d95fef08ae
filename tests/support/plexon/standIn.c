/* A stand-in for Plexon's client library with the same binary interface, for tests: a server that makes spikes, strobes and events by the
   clock, and does what the environment says goes wrong. Written from the description in docs/rigs/plexon.md. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
  int8_t type;
  int8_t reserved[2];
  uint8_t upperTime;
  uint32_t time;
  int16_t channel;
  int16_t unit;
  int8_t reserved2[4];
} Event;
typedef struct {
  Event event;
  int16_t samples[120];
} Wave;

enum { tickUs = 25, channels = 16, spikePeriodTicks = 40, strobePeriodTicks = 4000 };

static int64_t began;
static uint64_t reached; /* ticks that were handed over */
static uint64_t base;
static int isOpen;
static int made;
static int isDropped;
static int isRestarted;
static int isStopped;

static int64_t nowUs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static int asked(const char* name) {
  const char* text = getenv(name);
  return text == NULL ? 0 : atoi(text);
}

int PL_InitClientEx3(int type, void* list, void* window) {
  (void)list;
  (void)window;
  if (type == 256 || asked("PLEXON_STANDIN_REFUSE")) return 0;
  began = nowUs();
  /* Above 2^32 ticks: the upper byte counts. */
  base = 0x1FFFFF000ull;
  reached = base;
  made = isDropped = isRestarted = isStopped = 0;
  isOpen = 1;
  return 1;
}
void PL_CloseClient(void) { isOpen = 0; }
int PL_GetTimeStampTick(void) { return tickUs; }

static void put(Event* e, int type, uint64_t time, int channel, int unit) {
  memset(e, 0, sizeof(*e));
  e->type = (int8_t)type;
  e->upperTime = (uint8_t)(time >> 32);
  e->time = (uint32_t)time;
  e->channel = (int16_t)channel;
  e->unit = (int16_t)unit;
}

/* Spike n of the stand-in: channel n % 16 + 1, unit n % 3, every millisecond of its clock. */
static int fill(Event* (*at)(void*, int), void* out, int max, int* dropped) {
  int count = 0;
  if (!isOpen) return 0;
  const uint64_t now = base + (uint64_t)((nowUs() - began) / tickUs);
  uint64_t next = reached;
  while (next + spikePeriodTicks <= now && count + 2 < max) {
    next += spikePeriodTicks;
    const uint64_t since = next - base;
    if (asked("PLEXON_STANDIN_DROP") && !isDropped && made == 200) {
      /* Five spikes that the server had no room for. */
      isDropped = 1;
      *dropped = 5;
      next += 5 * spikePeriodTicks;
      made += 5;
      continue;
    }
    if (asked("PLEXON_STANDIN_STOP") && !isStopped && made == 200) {
      isStopped = 1;
      put(at(out, count++), 4, next, 259, 0);
      put(at(out, count++), 4, next + 10, 258, 0);
    }
    put(at(out, count++), 1, next, made % channels + 1, made % 3);
    made++;
    if (since % strobePeriodTicks == 0) put(at(out, count++), 4, next, 257, (int)(since / strobePeriodTicks));
    if (since % strobePeriodTicks == strobePeriodTicks / 2) put(at(out, count++), 4, next, 2, 0);
  }
  reached = next;
  if (asked("PLEXON_STANDIN_RESTART") && !isRestarted && made > 200) {
    isRestarted = 1;
    base = 0;
    began = nowUs();
    reached = 0;
  }
  return count;
}

static Event* eventAt(void* out, int i) { return (Event*)out + i; }
static Event* waveAt(void* out, int i) { return &((Wave*)out)[i].event; }

void PL_GetTimeStampStructures(int* count, Event* events) {
  int dropped = 0;
  *count = fill(eventAt, events, *count, &dropped);
}
#ifndef WITHOUT_WAVES
void PL_GetLongWaveFormStructures(int* count, Wave* waves, int* serverDropped, int* clientDropped) {
  *serverDropped = 0;
  *clientDropped = 0;
  *count = fill(waveAt, waves, *count, serverDropped);
}
#endif
