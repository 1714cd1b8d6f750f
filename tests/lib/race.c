/*
 * The promise that nothing is ever replaced is worth what it is worth among processes: so these are
 * children with stores of their own, who tell over a pipe what they won.
 */
#include "tests/lib/race.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RACERS 4
#define LAPS 25

/* A child: puts the same names as the others, and tells which it won. */
static void
race(struct store *(*open)(void), int number, int to)
{
	struct store *s = open();
	char name[20], won[LAPS];
	struct err mine = { 0 };

	for (int lap = 0; lap < LAPS; lap++) {
		char text = (char)('0' + number);
		int rc;

		snprintf(name, sizeof(name), "race/%d", lap);
		rc = store_put(s, name, &text, 1, STORE_NEW, &mine);
		won[lap] = rc == 1 ? 1 : rc == 0 ? 0 : 2;
	}
	store_close(s);
	_exit(write(to, won, sizeof(won)) == sizeof(won) ? 0 : 1);
}

void
race_run(struct store *(*open)(void),
    void (*holds)(struct store *s, const char *name, const char *bytes))
{
	struct store *s;
	char won[RACERS][LAPS], name[20], text[2] = "";
	int pipes[RACERS][2], status;

	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		if (fork() == 0)
			race(open, i, pipes[i][1]);
		close(pipes[i][1]);
	}
	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(read(pipes[i][0], won[i], LAPS), LAPS);
		close(pipes[i][0]);
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	s = open();
	for (int lap = 0; lap < LAPS; lap++) {
		int winner = -1;

		for (int i = 0; i < RACERS; i++) {
			assert_true(won[i][lap] < 2);
			if (won[i][lap] == 1) {
				assert_int_equal(winner, -1);
				winner = i;
			}
		}
		assert_true(winner >= 0);
		snprintf(name, sizeof(name), "race/%d", lap);
		text[0] = (char)('0' + winner);
		holds(s, name, text);
	}
	store_close(s);
}
