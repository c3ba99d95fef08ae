// The board in simavr, on a pseudo-terminal: `board_sim board.elf` prints the terminal's name, then every change of an output with the cycle of
// the simulated chip. It keeps the chip's time to the wall's (never faster), so that the watchdog means what it says. Ends when its standard
// input is closed. Knows nothing about the protocol.
//   pty /dev/pts/7
//   reward 1 123456     code 17 130000     strobe 1 131000     reset 0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "avr_ioport.h"
#include "avr_uart.h"
#include "sim_avr.h"
#include "sim_elf.h"

static const uint32_t frequency_hz = 16000000;
static avr_t *chip;
static int master;
static int may_send = 1;
static unsigned code;

static void print_change(const char *what, unsigned value) { printf("%s %u %llu\n", what, value, (unsigned long long)chip->cycle); }

static void on_pin(struct avr_irq_t *irq, uint32_t value, void *name) {
  (void)irq;
  print_change(name, value & 1);
}

static void on_bit(struct avr_irq_t *irq, uint32_t value, void *bit) {
  (void)irq;
  unsigned mask = 1u << (uintptr_t)bit;
  unsigned next = (value & 1) ? code | mask : code & ~mask;
  if (next == code) return;
  code = next;
  print_change("code", code);
}

static void on_byte(struct avr_irq_t *irq, uint32_t value, void *unused) {
  (void)irq;
  (void)unused;
  uint8_t byte = (uint8_t)value;
  // Nobody listens: the bytes of a real board are lost as well.
  if (write(master, &byte, 1) < 0) return;
}

static void on_flow(struct avr_irq_t *irq, uint32_t value, void *on) {
  (void)irq;
  (void)value;
  may_send = on != NULL;
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "board_sim: %s: %s\n", what, strerror(errno));
  exit(1);
}

/** simavr would sleep by itself. */
static void no_sleep(avr_t *avr, avr_cycle_count_t cycles) {
  (void)avr;
  (void)cycles;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: board_sim board.elf\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  elf_firmware_t firmware = {0};
  if (elf_read_firmware(argv[1], &firmware) != 0) fail(argv[1]);
  chip = avr_make_mcu_by_name("atmega328p");
  if (chip == NULL) fail("atmega328p");
  avr_init(chip);
  chip->frequency = frequency_hz;
  chip->log = LOG_ERROR;
  avr_load_firmware(chip, &firmware);
  chip->frequency = frequency_hz;
  chip->sleep = no_sleep;

  master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) fail("pty");
  struct termios raw;
  tcgetattr(master, &raw);
  cfmakeraw(&raw);
  tcsetattr(master, TCSANOW, &raw);

  // The port's own dumping of bytes to the terminal is not wanted.
  uint32_t flags = 0;
  avr_ioctl(chip, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
  flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
  avr_ioctl(chip, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);

  avr_irq_register_notify(avr_io_getirq(chip, AVR_IOCTL_IOPORT_GETIRQ('B'), 0), on_pin, "reward");
  avr_irq_register_notify(avr_io_getirq(chip, AVR_IOCTL_IOPORT_GETIRQ('B'), 1), on_pin, "strobe");
  for (uintptr_t bit = 0; bit < 8; bit++) avr_irq_register_notify(avr_io_getirq(chip, bit < 6 ? AVR_IOCTL_IOPORT_GETIRQ('D') : AVR_IOCTL_IOPORT_GETIRQ('C'), bit < 6 ? (int)bit + 2 : (int)bit - 6), on_bit, (void *)bit);
  avr_irq_register_notify(avr_io_getirq(chip, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_byte, NULL);
  avr_irq_register_notify(avr_io_getirq(chip, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_flow, "on");
  avr_irq_register_notify(avr_io_getirq(chip, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_flow, NULL);
  avr_irq_t *input = avr_io_getirq(chip, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
  printf("pty %s\n", ptsname(master));

  const double began_s = now_s();
  double lag_s = 0;
  const avr_cycle_count_t step = frequency_hz / 2000; // half a millisecond
  avr_cycle_count_t until = 0;
  for (;;) {
    until += step;
    while (chip->cycle < until) {
      int state = avr_run(chip);
      if (state == cpu_Done || state == cpu_Crashed) {
        printf("crashed %d %llu\n", state, (unsigned long long)chip->cycle);
        return 1;
      }
    }
    // At most 5 bytes in half a millisecond: 115200 baud.
    uint8_t bytes[5];
    if (may_send) {
      ssize_t got = read(master, bytes, sizeof bytes);
      for (ssize_t i = 0; i < got; i++) avr_raise_irq(input, bytes[i]);
    }
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&in, 1, 0) > 0) {
      char rest[64];
      if (read(STDIN_FILENO, rest, sizeof rest) <= 0) return 0;
    }
    // A machine that was busy is not caught up with: the chip's time then runs behind, never ahead.
    double ahead_s = (double)chip->cycle / frequency_hz - (now_s() - began_s - lag_s);
    if (ahead_s > 0) {
      struct timespec t = {0, (long)(ahead_s * 1e9)};
      nanosleep(&t, NULL);
    } else if (ahead_s < -0.005) lag_s -= ahead_s + 0.005;
  }
}
