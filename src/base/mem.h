#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/*
 * Memory that is there or the process is not. Each job is a short process whose state lies on
 * disk, and nothing on disk is half written at any moment; so dying is a sound answer and saves
 * every caller a branch that nobody would test.
 */
void *xmalloc(size_t size);
/* The exit status of that death: 1 unless somebody says otherwise. */
void mem_exit_with(int status);
/* That death, for memory that a library did not get. */
void mem_out(void) __attribute__((noreturn));
/* Dies with it and these words, for what else the process cannot be without. */
void mem_end(const char *text) __attribute__((noreturn));
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *ptr, size_t size);
/* Room for count elements of size; dies on overflow. */
void *xreallocarray(void *ptr, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *src, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Grows *array (elements of size, *room of them) to hold at least want elements; doubling. */
void *mem_grow(void *array, size_t *room, size_t want, size_t size);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
