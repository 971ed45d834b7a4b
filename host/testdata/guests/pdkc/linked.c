// The main module of a plugin of two: lib.c is the other.
#include "extism.h"

__attribute__((import_module("lib"), import_name("shout"))) extern uint64_t shout(uint64_t);
__attribute__((import_module("lib"), import_name("calls"))) extern uint32_t calls(void);

EXPORT(run) int32_t run(void) {
  char in[100];
  uint64_t n = input(in, sizeof in - 1);
  uint64_t h = shout(block(in, n));
  n = load(h, in, sizeof in - 1);
  in[n++] = (char)('0' + calls());
  output(in, n);
  return 0;
}
