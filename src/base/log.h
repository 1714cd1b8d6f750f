#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * One event a line on stderr: `level=... msg="..."` when that is not a terminal, plain words when
 * it is. Only job/ and cmd/ call this; libraries return errors. Secrets never come here.
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_level_set(enum log_level least);
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A hook for the progress line: called before a line is written, so that it can clear itself. */
void log_before_line(void (*hook)(void));

#endif
