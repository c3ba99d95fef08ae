/* A stand-in for Plexon's newer client library (OPXClient) with the same binary interface, for tests: a server that makes spikes, strobes and events by
   the clock, wakes who waits, and does what the environment says goes wrong. Written from the description in docs/rigs/plexon.md. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { channels = 16, spikePeriodUs = 1000, strobePeriodUs = 100000, notAllReturned = -16, timedOut = -13, initFailed = -11, nullParameter = -9, badFormat = -8 };

/* The part that matters here; the rest is left as it is. */
typedef struct {
  int32_t systemType, softwareVersion, sdkVersion, sources, sourceIds[256], spikeChannels, continuousChannels, eventChannels, otherChannels;
  double ticksPerSecond, clientSampleRateMax;
} Parameters;

static int64_t began;
static int64_t reachedUs;
static int64_t baseUs;
static int isOpen, isLinear, hasHandle, made, isRestarted, isStopped, isFailed;

static int64_t nowUs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static int asked(const char* name) {
  const char* text = getenv(name);
  return text == NULL ? 0 : atoi(text);
}

int32_t OPX_InitClient(void) {
  if (asked("PLEXON_STANDIN_REFUSE")) return initFailed;
  began = nowUs();
  /* Above 2^32 ticks: 40 bits come as seconds. */
  baseUs = 0x1FFFFF000ll;
  reachedUs = 0;
  isLinear = hasHandle = made = isRestarted = isStopped = isFailed = 0;
  isOpen = 1;
  return 7;
}
void OPX_CloseClient(void) { isOpen = 0; }
int32_t OPX_GetGlobalParameters(Parameters* parameters) {
  if (!isOpen) return initFailed;
  if (parameters == NULL) return nullParameter;
  memset(parameters, 0, sizeof(*parameters));
  parameters->systemType = 1;
  parameters->softwareVersion = 1181;
  parameters->sdkVersion = 101;
  parameters->spikeChannels = channels;
  parameters->ticksPerSecond = asked("PLEXON_STANDIN_40KHZ") ? 40000 : 1000000;
  return 0;
}
int32_t OPX_SetDataFormat(int32_t format) {
  if (format != 1) return badFormat;
  isLinear = 1;
  return 0;
}
int32_t OPX_ExcludeAllSourcesOfType(int32_t type) { return type == 5 ? 0 : -3; }
uint32_t OPX_GetWaitHandle(void) {
  hasHandle = 1;
  return 11;
}

/* When the next spike is due. */
static int64_t dueUs(void) { return began + reachedUs + spikePeriodUs; }

int32_t OPX_WaitForNewData(uint32_t handle, uint32_t timeoutMs) {
  if (!hasHandle || handle != 11) return -12;
  const int64_t untilUs = nowUs() + (int64_t)timeoutMs * 1000;
  const int64_t wakeUs = dueUs() < untilUs ? dueUs() : untilUs;
  const int64_t restUs = wakeUs - nowUs();
  if (restUs > 0) {
    struct timespec rest = {restUs / 1000000, restUs % 1000000 * 1000};
    nanosleep(&rest, NULL);
  }
  return wakeUs == untilUs ? timedOut : 0;
}

/* Spike n: channel n % 16 + 1, unit n % 3, every millisecond of its clock; types and linear channels only where they were asked for. */
int32_t OPX_GetNewTimestamps(int32_t* count, double* times, uint8_t* types, uint16_t* spikeChannels, uint16_t* units) {
  const int max = *count;
  int n = 0;
  *count = 0;
  if (!isOpen) return initFailed;
  /* An error leaves the room as it was given: nothing of it may be read. */
  if (asked("PLEXON_STANDIN_FAIL") && !isFailed && made >= 200) {
    isFailed = 1;
    *count = max;
    return -255;
  }
  const int64_t since = nowUs() - began;
#define PUT(type, us, channel, unit) (times[n] = (double)(us) / 1e6, types[n] = (uint8_t)(isLinear ? (type) : 99), spikeChannels[n] = (uint16_t)(channel), units[n] = (uint16_t)(unit), n++)
  while (reachedUs + spikePeriodUs <= since) {
    if (n + 5 > max) {
      *count = n;
      return notAllReturned;
    }
    reachedUs += spikePeriodUs;
    const int64_t at = baseUs + reachedUs;
    if (asked("PLEXON_STANDIN_STOP") && !isStopped && made == 200) {
      isStopped = 1;
      PUT(4, at, 259, 0);
      PUT(4, at + 10, 258, 0);
    }
    /* A sample of a source that could not be left out: no spike. */
    if (made % 50 == 0) PUT(6, at, 3, 9);
    PUT(1, at, made % channels + 1, made % 3);
    made++;
    if (reachedUs % strobePeriodUs == 0) PUT(4, at, 257, 0x8000 + reachedUs / strobePeriodUs);
    if (reachedUs % strobePeriodUs == strobePeriodUs / 2) PUT(4, at, 2, 0);
    if (asked("PLEXON_STANDIN_RESTART") && !isRestarted && made > 200) {
      isRestarted = 1;
      baseUs = 0;
      began = nowUs();
      reachedUs = 0;
      break;
    }
  }
  *count = n;
  return 0;
}
