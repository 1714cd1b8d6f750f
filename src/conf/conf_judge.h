#ifndef CONF_CONF_JUDGE_H
#define CONF_CONF_JUDGE_H

#include "conf/conf_build.h"

/*
 * What all lines mean together: defaults that follow from other keys, the sources in one row, and
 * what cannot be meant, as problems. Once everything was read and the table's defaults are filled
 * in.
 */
void conf_judge(struct conf_build *b);

#endif
