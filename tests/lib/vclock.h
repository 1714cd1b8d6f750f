#ifndef TESTS_LIB_VCLOCK_H
#define TESTS_LIB_VCLOCK_H

#include <stdint.h>

/* Time that passes only when somebody sleeps or the test says so. */
void vclock_install(int64_t real_ns); /* boot time starts at an hour */
void vclock_remove(void);	      /* the system's clocks again */
/* For cmocka_unit_test_setup_teardown: installed, on a day in 2026. */
int vclock_setup(void **state);
int vclock_teardown(void **state);
void vclock_pass(int64_t ns);	      /* both clocks go on */
int64_t vclock_slept(void);	      /* by clock_sleep_ns() since install */

#endif
