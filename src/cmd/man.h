#ifndef CMD_MAN_H
#define CMD_MAN_H

#include <stdio.h>

/* The manual pages, in mdoc: ffdr.1 out of the commands, ffdr.conf.5 out of the keys. */
void man_program(FILE *out);
void man_configuration(FILE *out);

#endif
