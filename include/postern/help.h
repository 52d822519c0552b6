/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_HELP_H
#define POSTERN_HELP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What the replies mean, for people: texts for each reply code, each enhanced code and each shipped
 * rule, in several languages, and the replies of the shipped rules as they stand in etc/.  All of
 * it is constant and safe from any thread.  src/help/texts/en.txt tells how the texts are written;
 * the manual page postern-replies(7) and the help pages are made from the same files.
 */

enum help_kind {
    HELP_KIND_CODE,     /* "550" */
    HELP_KIND_ENHANCED, /* "5.1.1" */
    HELP_KIND_RULE,     /* "unknown-mailbox" */
    HELP_KIND_OWN       /* "postern:fault": what the daemon says without a rule */
};

/* In the order in which they are shown. */
enum help_field {
    HELP_TITLE,
    HELP_SAYS,
    HELP_WHEN,
    HELP_SENDER,
    HELP_ADMIN,
    HELP_GO, /* how it differs from 354 */
    HELP_NEAR,
    HELP_USE,
    HELP_FIELDS
};

struct help_entry {
    const char *key;
    enum help_kind kind;
    /* UTF-8; a ` stands on both sides of what is the same in every language.  NULL: not there. */
    const char *fields[HELP_FIELDS];
};

struct help_label {
    const char *name, *text;
};

struct help_language {
    const char *tag;  /* "zh" */
    const char *name; /* in the language itself */
    bool right_to_left;
    const struct help_entry *entries; /* the same keys in the same order in every language */
    size_t entry_count;
    const struct help_label *labels;
    size_t label_count;
};

struct help_reply {
    const char *rule;
    int code;
    const char *enhanced;
    const char *source; /* the text as the rule has it, with its %{...} */
    const char *text;   /* with examples for them, and codes, lines separated by '\n' */
};

enum help_outcome { HELP_SPEAKS, HELP_ACCEPTS, HELP_HOLDS, HELP_MARKS };

struct help_rule {
    const char *name;
    enum help_outcome outcome;
    bool off;      /* shipped as a comment */
    bool observes; /* shipped so that it only records */
};

extern const struct help_language help_languages[];
extern const size_t help_language_count;
extern const struct help_reply help_replies[];
extern const size_t help_reply_count;
extern const struct help_rule help_rules[];
extern const size_t help_rule_count;

/* The language of a tag or of a locale, by what stands before the first of "-_.@": "vi", "zh-Hans",
 * "ar_EG.UTF-8".  NULL when there are no texts in it. */
const struct help_language *help_language(const char *tag);

/* The entry of this key, or NULL. */
const struct help_entry *help_find(const struct help_language *language, const char *key);

/* A text of the [page] entry; a name that is not there is a mistake of the caller. */
const char *help_label(const struct help_language *language, const char *name);

/* The heading of a field other than the title. */
const char *help_field_label(const struct help_language *language, enum help_field field);

/* The rule of this name, or NULL. */
const struct help_rule *help_rule(const char *name);

/* ---- lines for terminals ---- */

/* How many columns LENGTH bytes of UTF-8 take on a terminal: wide characters two, combining ones
 * none, and none for a `, which help_put leaves out. */
size_t help_columns(const char *text, size_t length);

/* How many bytes of TEXT stand in the next line of at most WIDTH columns; *next is where the line
 * after it begins, at a character, never at a blank.  Lines are broken at blanks and between
 * Chinese characters, but not in front of closing or behind opening punctuation; a word that is
 * wider than a line is broken anywhere.  A '\n' ends a line.  0 only where TEXT has nothing more,
 * or an empty line. */
size_t help_line(const char *text, size_t width, size_t *next);

#endif
