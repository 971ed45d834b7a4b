// What a C plugin needs of Extism's ABI, written from its documentation. Handles are 0 for none.
#include <stdint.h>

#define EXTISM(name) __attribute__((import_module("extism:host/env"), import_name(#name))) extern
#define EXPORT(name) __attribute__((export_name(#name)))

EXTISM(input_length) uint64_t input_length(void);
EXTISM(input_offset) uint64_t input_offset(void);
EXTISM(input_load_u8) uint32_t input_load_u8(uint64_t);
EXTISM(input_load_u64) uint64_t input_load_u64(uint64_t);
EXTISM(output_set) void output_set(uint64_t, uint64_t);
EXTISM(error_set) void error_set(uint64_t);
EXTISM(error_get) uint64_t error_get(void);
EXTISM(config_get) uint64_t config_get(uint64_t);
EXTISM(var_get) uint64_t var_get(uint64_t);
EXTISM(var_set) void var_set(uint64_t, uint64_t);
EXTISM(alloc) uint64_t block_alloc(uint64_t);
EXTISM(free) void block_free(uint64_t);
EXTISM(length) uint64_t block_length(uint64_t);
EXTISM(length_unsafe) uint64_t block_length_unsafe(uint64_t);
EXTISM(load_u8) uint32_t load_u8(uint64_t);
EXTISM(load_u64) uint64_t load_u64(uint64_t);
EXTISM(store_u8) void store_u8(uint64_t, uint32_t);
EXTISM(store_u64) void store_u64(uint64_t, uint64_t);
EXTISM(http_request) uint64_t http_request(uint64_t, uint64_t);
EXTISM(http_status_code) int32_t http_status_code(void);
EXTISM(http_headers) uint64_t http_headers(void);
EXTISM(log_trace) void log_trace(uint64_t);
EXTISM(log_debug) void log_debug(uint64_t);
EXTISM(log_info) void log_info(uint64_t);
EXTISM(log_warn) void log_warn(uint64_t);
EXTISM(log_error) void log_error(uint64_t);
EXTISM(get_log_level) int32_t get_log_level(void);

static uint64_t block(const char *p, uint64_t n) {
  uint64_t h = block_alloc(n), i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t v;
    __builtin_memcpy(&v, p + i, 8);
    store_u64(h + i, v);
  }
  for (; i < n; i++) store_u8(h + i, (uint8_t)p[i]);
  return h;
}

static uint64_t load(uint64_t h, char *p, uint64_t max) {
  uint64_t n = block_length(h);
  if (n > max) n = max;
  for (uint64_t i = 0; i < n; i++) p[i] = (char)load_u8(h + i);
  return n;
}

static uint64_t length_of(const char *s) {
  uint64_t n = 0;
  while (s[n]) n++;
  return n;
}

static uint64_t text(const char *s) { return block(s, length_of(s)); }

static uint64_t input(char *p, uint64_t max) {
  uint64_t n = input_length();
  if (n > max) n = max;
  for (uint64_t i = 0; i < n; i++) p[i] = (char)input_load_u8(i);
  return n;
}

static void output(const char *p, uint64_t n) { output_set(block(p, n), n); }
