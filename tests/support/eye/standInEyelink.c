// A stand-in for SR Research's library with the same functions and the same float sample: an eye that circles, blinks and can be switched off.
// Written from the documented interface alone.
#include <stdint.h>
#include <string.h>
#include <time.h>

typedef struct {
  uint32_t time;
  int16_t type;
  uint16_t flags;
  float px[2], py[2], hx[2], hy[2], pa[2], gx[2], gy[2];
  float rx, ry;
  uint16_t status, input, buttons;
  int16_t htype, hdata[8];
} Sample;
_Static_assert(sizeof(Sample) == 96, "the sample's layout");

static int connected, recording;
static char address[64];
static uint32_t last_ms;

static uint32_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint32_t)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

int16_t set_eyelink_address(const char *a) {
  strncpy(address, a, sizeof address - 1);
  return 0;
}
int16_t open_eyelink_connection(int16_t mode) {
  (void)mode;
  if (strcmp(address, "nobody") == 0) return -1;
  connected = 1;
  return 0;
}
int16_t eyelink_is_connected(void) { return (int16_t)connected; }
int16_t start_recording(int16_t a, int16_t b, int16_t c, int16_t d) {
  (void)a, (void)b, (void)d;
  recording = c;
  return 0;
}
void stop_recording(void) { recording = 0; }
int16_t close_eyelink_connection(void) {
  connected = 0;
  return 0;
}
int16_t eyelink_newest_float_sample(void *out) {
  uint32_t ms = now_ms();
  if (!recording) return -1;
  if (ms == last_ms) return 0;
  last_ms = ms;
  Sample s = {0};
  int blink = (ms / 100) % 10 == 9; // 100 ms in every second
  s.time = ms;
  s.type = 200;
  for (int eye = 0; eye < 2; eye++) {
    float x = 960 + 10 * (float)eye + (float)(ms % 7) * 0.1f;
    s.gx[eye] = blink ? -32768 : x;
    s.gy[eye] = blink ? -32768 : 540;
    s.pa[eye] = blink ? 0 : 1000;
  }
  memcpy(out, &s, sizeof s);
  return 1;
}
