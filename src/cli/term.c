/* SPDX-License-Identifier: MIT */
#include "term.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ECMA-48 8.3.117: Select Graphic Rendition. */
#define SGR(codes) "\x1b[" codes "m"

static const char *const styles[] = {
    [TERM_PLAIN] = SGR("0"), [TERM_STRONG] = SGR("1"), [TERM_FAINT] = SGR("2"),
    [TERM_GOOD] = SGR("32"), [TERM_DOUBT] = SGR("33"), [TERM_BAD] = SGR("1;31"),
};

bool term_coloured(FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if ((no_color != NULL && no_color[0] != '\0') || term == NULL || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(out)) == 1;
}

const char *term_style(FILE *out, enum term_style style)
{
    return term_coloured(out) ? styles[style] : "";
}

const struct diag_style *term_diag_style(FILE *out)
{
    static const struct diag_style plain = {"", "", "", "", ""};
    static const struct diag_style coloured = {
        .place = SGR("1"),
        .error = SGR("1;31"),
        .warning = SGR("33"),
        .caret = SGR("32"),
        .end = SGR("0"),
    };

    return term_coloured(out) ? &coloured : &plain;
}
