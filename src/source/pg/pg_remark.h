#ifndef SOURCE_PG_REMARK_H
#define SOURCE_PG_REMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Does the server say, in whatever language it speaks, that a page of a file has a wrong checksum?
 * The path is text[*at, *at + *len), "./" in front left out. Pure.
 */
bool pg_remark_bad_page(const char *text, size_t *at, size_t *len, uint32_t *block);

#endif
