// A module that others import from. It has a memory of its own.
#include "extism.h"

static uint32_t count;

EXPORT(shout) uint64_t shout(uint64_t h) {
  uint64_t n = block_length(h), out = block_alloc(n);
  for (uint64_t i = 0; i < n; i++) {
    uint32_t c = load_u8(h + i);
    store_u8(out + i, c >= 'a' && c <= 'z' ? c - 32 : c);
  }
  count++;
  return out;
}

EXPORT(calls) uint32_t calls(void) { return count; }
