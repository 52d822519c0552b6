/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_EXPLAIN_H
#define POSTERN_EXPLAIN_H

#include "cli.h"

#include <postern/engine.h>

#include <stdio.h>

/* What `postern explain` was asked, what it found, and its two ways of showing it. */
struct explain_options {
    const char *config, *id, *client_text, *name, *helo, *from, *auth, *message, *listener, *daemon;
    struct cli_list rcpts;
    struct addr client;
    bool json, brief;
};

struct message_header {
    const char *name, *value;
};

struct message {
    struct message_header *headers; /* values unfolded only at line ends: as a milter sees them */
    size_t header_count;
    const char *body; /* with CRLF */
    size_t body_length;
};

/* Reads a message file.  NULL after a message on stderr. */
struct message *message_read(struct arena *arena, const char *path);

/* One reply of the dialogue. */
struct explained_step {
    enum stage stage;
    const char *what;    /* "RCPT TO:<...>" */
    const char *verdict; /* accept reject defer quarantine none, or would-reject and so on */
    const char *rule;    /* "" for none */
    bool refused;
    bool observed;        /* it would have been said, but the listen block only observes */
    const char *reply;    /* refused or observed: as on the wire */
    const char *reason;   /* quarantine */
    const char **headers; /* "Name: value" that would be added */
    size_t header_count;
    const struct rule **fired; /* rules that only observe and were true; NULL-terminated, or NULL */
    const char *recipient;     /* at RCPT */
    const struct value *facts; /* at RCPT: values of the recipient's facts, by slot */
};

struct explained {
    struct arena *arena;
    const struct config *config;
    const char *listener; /* name of the listen block that the client came through */
    const struct layout *layout;
    struct value *facts; /* by slot; recipient's are in the steps */
    struct explained_step *steps;
    size_t step_count;
    bool message_given;
};

/* Shows the records of a verdict's id from the files, or from standard input when none is named. An
 * exit code. */
int explain_record(const char *id, char **paths);

/* BRIEF: the dialogue alone, without the facts behind it. */
void explain_print_text(const struct explained *explained, bool brief, FILE *out);
/* Sentences about SPF, DKIM, DMARC and ARC, as far as they were looked at. */
void explain_print_why(const struct explained *explained, FILE *out);
void explain_print_json(const struct explained *explained, FILE *out);

#endif
