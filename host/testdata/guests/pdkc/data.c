// A plugin that hands its input to the database as a query and answers the errno and what came back.
#include "extism.h"

__attribute__((import_module("extism:host/user"), import_name("odac_db_query"))) extern uint64_t odac_db_query(uint64_t);

EXPORT(query) int32_t query(void) {
  static char buf[65536];
  uint64_t r = odac_db_query(block(buf, input(buf, sizeof buf)));
  uint64_t errno = r >> 32, n = 0;
  if (errno >= 10) buf[n++] = (char)('0' + errno / 10);
  buf[n++] = (char)('0' + errno % 10);
  buf[n++] = ' ';
  n += load(r & 0xffffffff, buf + n, sizeof buf - n);
  output(buf, n);
  return 0;
}
