/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TERM_H
#define POSTERN_TERM_H

#include <postern/diag.h>

#include <stdbool.h>
#include <stdio.h>

/*
 * Colours, where somebody sees them: on a terminal, unless NO_COLOR (no-color.org) is set to
 * anything or TERM is dumb or missing.  What goes into a file or a pipe is plain.
 */
enum term_style {
    TERM_PLAIN, /* ends every other */
    TERM_STRONG,
    TERM_FAINT,
    TERM_GOOD,
    TERM_DOUBT,
    TERM_BAD,
};

bool term_coloured(FILE *out);

/* What switches OUT to a style; "" where there are no colours. */
const char *term_style(FILE *out, enum term_style style);

/* The style of messages about the configuration; never NULL. */
const struct diag_style *term_diag_style(FILE *out);

#endif
