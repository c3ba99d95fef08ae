// Firmware of the reward and event-code board: an Arduino Uno or Nano (ATmega328P, 16 MHz). Plain C for avr-gcc; pins and wiring in README.md.
// It times every pulse itself, never longer than the longest; turns the line off when the host falls silent, says stop, or this program hangs;
// gives a pulse with a number that it knows already only once. Knows nothing about subjects or sessions.
//
// Lines of ASCII at 115200 baud, 8N1, each ended by \n:
//   host -> board                          board -> host
//   R <id> <ms>   pulse                    A <id>        the pulse runs (or waits for the next tick)
//                                          D <id> <ms>   it is over and lasted so long
//                                          E <id> range|busy   refused; the line was not touched
//   X             line off, codes dropped  X
//   C <code> <ms> event code, 1 to 255     S <code>      its strobe has gone up
//                                          E 0 full      too many codes wait
//   P             alive?                   P
//   V             who are you?             V evoked-board <protocol> <longest pulse, ms> <watchdog, ms>
// After a reset the board says B by itself. Anything else is answered with E 0 line.
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/wdt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef F_CPU
#define F_CPU 16000000UL
#endif
#ifndef PULSE_MS_MAX
#define PULSE_MS_MAX 1000U
#endif
/** The host sends something at least every 100 ms while a pulse runs. */
#ifndef WATCHDOG_MS
#define WATCHDOG_MS 400U
#endif

#define PROTOCOL 1
#define CODE_MS_DEFAULT 5U
#define CODE_MS_MAX 100U
#define CODES_MAX 16U
/** Pulses that a repeated request is answered from. */
#define KNOWN_MAX 8U

#define REWARD_PIN PB0 /* Arduino D8 */
#define STROBE_PIN PB1 /* Arduino D9 */
#define LED_PIN PB5    /* Arduino D13 */
/* Event code: bits 0 to 5 on PD2 to PD7 (D2 to D7), bits 6 and 7 on PC0 and PC1 (A0, A1). */

// ---- state shared with the interrupts: bytes and words under cli() ------------------------------------------------------------

enum pulse_state { IDLE, WAITS, STARTS, RUNS, OVER };
static volatile uint8_t pulse_state = IDLE;
static volatile uint16_t pulse_left_ms;
static volatile uint16_t pulse_given_ms;
static volatile uint16_t silent_ms;
static uint32_t pulse_id;

static struct {
  uint8_t code;
  uint8_t ms;
} codes[CODES_MAX];
static volatile uint8_t codes_head, codes_tail;
enum code_state { REST, BITS, STROBE, CLEAR };
static volatile uint8_t code_state = REST;
static volatile uint8_t code_left_ms;
static volatile uint8_t strobed[CODES_MAX];
static volatile uint8_t strobed_head, strobed_tail;

static volatile uint8_t rx[128];
static volatile uint8_t rx_head, rx_tail;
static volatile uint8_t rx_overrun;

#define LINE (_BV(REWARD_PIN) | _BV(LED_PIN))
/** What the line becomes at the next tick. */
static volatile uint8_t line_next;

static inline void line_off(void) {
  line_next = 0;
  PORTB &= (uint8_t)~LINE;
}

static inline void put_bits(uint8_t code) {
  PORTD = (uint8_t)((PORTD & 0x03) | (code << 2));
  PORTC = (uint8_t)((PORTC & 0xfc) | (code >> 6));
}

/** Every millisecond. The line goes on and off at the same instruction of the same interrupt: a pulse is a whole number of milliseconds. */
ISR(TIMER2_COMPA_vect) {
  PORTB = (uint8_t)((PORTB & (uint8_t)~LINE) | line_next);
  switch (pulse_state) {
    case WAITS:
      line_next = LINE;
      pulse_state = STARTS;
      break;
    case STARTS: // The line has just gone on.
      pulse_state = RUNS;
      if (pulse_left_ms == 1) line_next = 0;
      break;
    case RUNS:
      pulse_given_ms++;
      pulse_left_ms--;
      if (pulse_left_ms == 1) line_next = 0;
      if (silent_ms >= WATCHDOG_MS) line_off();
      if (pulse_left_ms == 0 || silent_ms >= WATCHDOG_MS) pulse_state = OVER;
      break;
    default:
      break;
  }
  if (silent_ms < 0xffff) silent_ms++;

  switch (code_state) {
    case REST:
      if (codes_head != codes_tail) {
        put_bits(codes[codes_tail].code);
        code_state = BITS;
      }
      break;
    case BITS: // The bits have stood for a millisecond: now the strobe.
      PORTB |= _BV(STROBE_PIN);
      code_left_ms = codes[codes_tail].ms;
      strobed[strobed_head] = codes[codes_tail].code;
      strobed_head = (uint8_t)((strobed_head + 1) % CODES_MAX);
      code_state = STROBE;
      break;
    case STROBE:
      if (--code_left_ms == 0) {
        PORTB &= (uint8_t)~_BV(STROBE_PIN);
        code_state = CLEAR;
      }
      break;
    default: // A millisecond after the strobe fell.
      put_bits(0);
      codes_tail = (uint8_t)((codes_tail + 1) % CODES_MAX);
      code_state = REST;
  }
}

ISR(USART_RX_vect) {
  uint8_t byte = UDR0;
  uint8_t next = (uint8_t)((rx_head + 1) % sizeof rx);
  if (next == rx_tail) {
    rx_overrun = 1;
    return;
  }
  rx[rx_head] = byte;
  rx_head = next;
}

// ---- lines out ----------------------------------------------------------------------------------------------------------------

static void put_char(char c) {
  while (!(UCSR0A & _BV(UDRE0))) wdt_reset();
  UDR0 = (uint8_t)c;
}

static void put_text(const char *text) {
  while (*text) put_char(*text++);
}

static void put_number(uint32_t value) {
  char digits[11];
  ultoa(value, digits, 10);
  put_text(digits);
}

static void say(char kind, uint32_t value) {
  put_char(kind);
  put_char(' ');
  put_number(value);
  put_char('\n');
}

static void say_done(uint32_t id, uint16_t ms) {
  put_text("D ");
  put_number(id);
  put_char(' ');
  put_number(ms);
  put_char('\n');
}

static void say_error(uint32_t id, const char *why) {
  put_text("E ");
  put_number(id);
  put_char(' ');
  put_text(why);
  put_char('\n');
}

static void say_who(void) {
  put_text("V evoked-board ");
  put_number(PROTOCOL);
  put_char(' ');
  put_number(PULSE_MS_MAX);
  put_char(' ');
  put_number(WATCHDOG_MS);
  put_char('\n');
}

// ---- what the host asks -------------------------------------------------------------------------------------------------------

static struct {
  uint32_t id;
  uint16_t ms;
} known[KNOWN_MAX];
static uint8_t known_count, known_next;

static void remember(uint32_t id, uint16_t ms) {
  known[known_next].id = id;
  known[known_next].ms = ms;
  known_next = (uint8_t)((known_next + 1) % KNOWN_MAX);
  if (known_count < KNOWN_MAX) known_count++;
}

static void ask_pulse(uint32_t id, uint32_t ms) {
  if (pulse_state != IDLE) {
    if (id == pulse_id) say('A', id);
    else say_error(id, "busy");
    return;
  }
  for (uint8_t i = 0; i < known_count; i++) {
    if (known[i].id == id) {
      say('A', id);
      say_done(id, known[i].ms);
      return;
    }
  }
  if (ms == 0 || ms > PULSE_MS_MAX) {
    say_error(id, "range");
    return;
  }
  cli();
  pulse_id = id;
  pulse_left_ms = (uint16_t)ms;
  pulse_given_ms = 0;
  pulse_state = WAITS;
  sei();
  say('A', id);
}

static void ask_code(uint32_t code, uint32_t ms) {
  uint8_t next = (uint8_t)((codes_head + 1) % CODES_MAX);
  if (code == 0 || code > 255 || ms == 0 || ms > CODE_MS_MAX) {
    say_error(0, "range");
    return;
  }
  if (next == codes_tail) {
    say_error(0, "full");
    return;
  }
  codes[codes_head].code = (uint8_t)code;
  codes[codes_head].ms = (uint8_t)ms;
  codes_head = next;
}

static void stop_all(void) {
  cli();
  line_off();
  if (pulse_state != IDLE) pulse_state = OVER;
  PORTB &= (uint8_t)~_BV(STROBE_PIN);
  put_bits(0);
  codes_tail = codes_head;
  code_state = REST;
  sei();
}

/** The next number of a line, moving past it; 0 with *found = 0 where there is none or it does not fit in 32 bits. */
static uint32_t number(char **at, uint8_t *found) {
  uint32_t value = 0;
  uint8_t digits = 0;
  while (**at == ' ') (*at)++;
  while (**at >= '0' && **at <= '9' && digits < 10) {
    value = value * 10 + (uint32_t)(**at - '0');
    (*at)++;
    digits++;
  }
  *found = digits > 0 && (**at == ' ' || **at == 0);
  return value;
}

static void take_line(char *line) {
  uint8_t has_first = 0, has_second = 0;
  char *at = line + 1;
  cli();
  silent_ms = 0;
  sei();
  switch (line[0]) {
    case 'R': {
      uint32_t id = number(&at, &has_first);
      uint32_t ms = number(&at, &has_second);
      if (has_first && has_second) ask_pulse(id, ms);
      else say_error(0, "line");
      return;
    }
    case 'C': {
      uint32_t code = number(&at, &has_first);
      uint32_t ms = number(&at, &has_second);
      if (has_first) ask_code(code, has_second ? ms : CODE_MS_DEFAULT);
      else say_error(0, "line");
      return;
    }
    case 'X':
      stop_all();
      put_text("X\n");
      return;
    case 'P':
      put_text("P\n");
      return;
    case 'V':
      say_who();
      return;
    default:
      say_error(0, "line");
  }
}

// ---- main ---------------------------------------------------------------------------------------------------------------------

int main(void) {
  static char line[40];
  uint8_t length = 0, is_long = 0;

  // First of all the line is driven low.
  line_off();
  DDRB = _BV(REWARD_PIN) | _BV(STROBE_PIN) | _BV(LED_PIN);
  DDRD = 0xfc;
  DDRC = 0x03;
  put_bits(0);
  // If this loop hangs, the chip resets, and the line with it.
  wdt_enable(WDTO_250MS);

  TCCR2A = _BV(WGM21); // clear on compare
  OCR2A = (uint8_t)(F_CPU / 64 / 1000 - 1);
  TIMSK2 = _BV(OCIE2A);
  TCCR2B = _BV(CS22); // clock / 64

  UCSR0A = _BV(U2X0);
  UBRR0 = (uint16_t)((F_CPU + 4 * 115200UL) / (8 * 115200UL) - 1);
  UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
  UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
  sei();
  put_text("\nB\n");

  for (;;) {
    wdt_reset();
    if (pulse_state == OVER) {
      uint16_t given;
      cli();
      given = pulse_given_ms;
      pulse_state = IDLE;
      sei();
      remember(pulse_id, given);
      say_done(pulse_id, given);
    }
    if (strobed_tail != strobed_head) {
      say('S', strobed[strobed_tail]);
      strobed_tail = (uint8_t)((strobed_tail + 1) % CODES_MAX);
    }
    if (rx_overrun) {
      rx_overrun = 0;
      is_long = 1; // what is in hand is not to be trusted
    }
    if (rx_tail == rx_head) continue;
    char c = (char)rx[rx_tail];
    rx_tail = (uint8_t)((rx_tail + 1) % sizeof rx);
    if (c == '\r') continue;
    if (c != '\n') {
      if (length < sizeof line - 1) line[length++] = c;
      else is_long = 1;
      continue;
    }
    line[length] = 0;
    if (is_long) say_error(0, "line");
    else if (length > 0) take_line(line);
    length = 0;
    is_long = 0;
  }
}
