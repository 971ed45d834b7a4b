// A plugin in C for Extism's ABI: clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry main.c
#include "extism.h"

static char buf[1 << 20];

static uint64_t join(const char *a, const char *b, uint64_t n) {
  uint64_t m = length_of(a);
  static char joined[4096];
  for (uint64_t i = 0; i < m; i++) joined[i] = a[i];
  for (uint64_t i = 0; i < n; i++) joined[m + i] = b[i];
  return block(joined, m + n);
}

static int64_t number(uint64_t n) {
  int64_t v = 0;
  for (uint64_t i = 0; i < n; i++)
    if (buf[i] != '-') v = v * 10 + (buf[i] - '0');
  return n && buf[0] == '-' ? -v : v;
}

static void output_number(uint64_t v) {
  char digits[20];
  int i = 20;
  do digits[--i] = '0' + v % 10;
  while (v /= 10);
  output(digits + i, 20 - i);
}

EXPORT(echo) int32_t echo(void) {
  uint64_t n = input_length(), i = 0, h = block_alloc(n);
  for (; i + 8 <= n; i += 8) store_u64(h + i, input_load_u64(i));
  for (; i < n; i++) store_u8(h + i, input_load_u8(i));
  output_set(h, n);
  return 0;
}

EXPORT(fail) int32_t fail(void) {
  uint64_t n = input(buf, sizeof buf);
  error_set(join("failed with ", buf, n));
  return error_get() == 0 ? 0 : 3;
}

EXPORT(complain) int32_t complain(void) {
  error_set(text("complaint"));
  return 0;
}

EXPORT(code) int32_t code(void) { return number(input(buf, sizeof buf)); }

EXPORT(config) int32_t config(void) {
  uint64_t h = config_get(block(buf, input(buf, sizeof buf)));
  uint64_t n = load(h, buf, sizeof buf);
  uint64_t out = join(h ? "true " : "false ", buf, n);
  output_set(out, block_length(out));
  return 0;
}

EXPORT(count) int32_t count(void) {
  uint64_t h = var_get(text("n"));
  uint64_t n = h == 0 ? 1 : load_u64(h) + 1;
  uint64_t value = block_alloc(8);
  store_u64(value, n);
  var_set(text("n"), value);
  output_number(n);
  return 0;
}

EXPORT(forget) int32_t forget(void) {
  var_set(text("n"), 0);
  return 0;
}

EXPORT(hoard) int32_t hoard(void) {
  var_set(text("hoard"), block_alloc(number(input(buf, sizeof buf))));
  return 0;
}

static uint64_t calls;

EXPORT(remember) int32_t remember(void) {
  output_number(++calls);
  return 0;
}

EXPORT(log) int32_t log_all(void) {
  uint64_t n = input(buf, sizeof buf);
  log_trace(join("trace ", buf, n));
  log_debug(join("debug ", buf, n));
  log_info(join("info ", buf, n));
  log_warn(join("warn ", buf, n));
  log_error(join("error ", buf, n));
  output_number(get_log_level());
  return 0;
}

EXPORT(http) int32_t http(void) {
  uint64_t n = input(buf, sizeof buf), m = 0;
  static char meta[4096];
  const char *open = "{\"method\":\"post\",\"headers\":{\"x-asked\":\"yes\"},\"url\":\"";
  for (; open[m]; m++) meta[m] = open[m];
  for (uint64_t i = 0; i < n; i++) meta[m++] = buf[i];
  meta[m++] = '"', meta[m++] = '}';
  uint64_t body = http_request(block(meta, m), text("body"));
  uint64_t len = load(body, buf, sizeof buf);
  uint64_t head = load(http_headers(), meta, sizeof meta);
  buf[len++] = ' ';
  for (uint64_t i = 0; i < head; i++) buf[len++] = meta[i];
  output(buf, len);
  return http_status_code() == 201 ? 0 : http_status_code();
}

EXPORT(spin) int32_t spin(void) {
  for (volatile int i = 0;; i++) {
  }
}

EXPORT(trap) int32_t trap(void) { __builtin_trap(); }

EXPORT(params) int32_t params(int32_t a) { return a; }

EXPORT(nothing) void nothing(void) { output("nothing", 7); }

// Blocks that are none, and places outside of all.
EXPORT(wild) int32_t wild(void) {
  uint64_t h = text("block");
  store_u64(0, 1), store_u8(1, 1), store_u64(~0ull, 1), store_u64(1ull << 40, 1), store_u8(h + (1 << 20), 1);
  block_free(0), block_free(h + 1), block_free(~0ull), block_free(7);
  if (load_u64(0) || load_u8(~0ull) || load_u64(1ull << 33) || block_length(h + 1) || block_length(~0ull)) return 1;
  if (input_load_u8(input_length()) || input_load_u64(~0ull) || input_load_u64(input_length() - 7)) return 2;
  if (block_length(h) != 5 || block_length_unsafe(h) != 5) return 3;
  block_free(h);
  if (block_length(h) != 0) return 4;
  output_set(1ull << 40, 1);
  output_set(h, ~0ull);
  return 0;
}
