#ifndef CMD_COMPLETION_H
#define CMD_COMPLETION_H

#include <stdio.h>

/* Writes the rules by which bash completes commands, options and their values. */
void completion_bash(FILE *out);

#endif
