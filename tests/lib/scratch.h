#ifndef TESTS_LIB_SCRATCH_H
#define TESTS_LIB_SCRATCH_H

/*
 * A new directory (0700) below $TMPDIR or /tmp, removed with all in it when this process ends
 * by exit; a child made by fork does not remove it. The path lives as long as the process.
 */
const char *scratch_dir(void);
/* "dir/rest", malloced. */
char *scratch_path(const char *dir, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
