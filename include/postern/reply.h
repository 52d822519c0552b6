/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_REPLY_H
#define POSTERN_REPLY_H

#include <postern/diag.h>
#include <postern/facts.h>

struct arena;
struct str;

/*
 * An SMTP reply as a value, its template, and the rules that make libmilter, Postfix and Sendmail
 * take it as it is (RFC 5321 4.2, RFC 2034, RFC 3463).
 */
enum {
    REPLY_LINES_MAX = 32,
    REPLY_LINE_MAX = 480, /* text of one line, codes not counted */
    /* The same of the first line of a 450, 550 or 553: to MAIL and RCPT Sendmail says
     * "<ADDRESS>... " before it, with up to 203 octets of the address (measured with 8.17), and all
     * is to stay within the 512 of RFC 5321 4.5.3.1.5. */
    REPLY_NAMED_MAX = 288,
};

struct reply {
    int code;
    int enhanced[3];
    size_t line_count;                  /* at least 1 */
    const char *lines[REPLY_LINES_MAX]; /* printable ASCII, no CR, LF, TAB; % is single here */
};

/* ---- templates ---- */
struct template;

/* Compiles TEXT with its %{...}: names of facts of LAYOUT and the specials %{id} %{hostname}
 * %{help} %{rule}; "%%" is a %. A line break is written as \n in the text (two characters) and
 * starts a new reply line.  NULL after errors in DIAG (unknown name with the nearest right one,
 * unterminated %{, a lone %). In ARENA. */
const struct template *template_compile(struct arena *arena, const struct layout *layout,
                                        const char *text, const struct place *at,
                                        struct diag *diag);

/* The slots that a template shows. */
size_t template_slots(const struct template *tmpl, const slot_t **slots);
bool template_shows_id(const struct template *tmpl);

struct template_values {
    const struct layout *layout;
    const struct view *view;
    const char *id, *hostname, *help, *rule;
};

/* The text with everything from outside cleaned (what is not 0x20-0x7e becomes '?', runs of blanks
 * one), each value cut at 128 bytes with "..." (addresses and domains at 320), in ARENA.  %{help}
 * is help#rule, or help and rule where help has a # already, and nothing where there is no help.  A
 * "; " before a value that is empty goes with it. */
const char *template_expand(struct arena *arena, const struct template *tmpl,
                            const struct template_values *values);

/* ---- replies ---- */

/* A reply from a code and expanded text: appends " (ref ID)" unless APPEND_ID is NULL; splits at
 * line breaks, then folds longer lines than there may be at blanks; at most REPLY_LINES_MAX
 * lines.  Text that would begin with something like a code is kept apart from it, so that it cannot
 * be read as one.  Always a valid reply. */
struct reply *reply_new(struct arena *arena, int code, const int enhanced[3], const char *text,
                        const char *append_id);

/* "550 5.1.1 text", or "550-5.1.1 first\r\n550 5.1.1 last", as on the wire, without the final CRLF;
 * % single. */
const char *reply_format(struct arena *arena, const struct reply *reply);

/* One line for records: "550 5.1.1 first / last". */
const char *reply_oneline(struct arena *arena, const struct reply *reply);

/* The text of line I with every % doubled, for libmilter and the milter protocol. */
const char *reply_line_doubled(struct arena *arena, const struct reply *reply, size_t i);

/* Reads "5.1.1" into NUMBERS; false when it is none (class 2, 4, 5; subject and detail 0..999; no
 * leading zeros). */
bool reply_parse_enhanced(const char *text, int numbers[3]);

/* Whether a stored reply obeys all that the MTAs demand; for assertions and the fronts. */
bool reply_valid(const struct reply *reply);

/* ---- lint ---- */

/* Reports what is wrong with code and enhanced code as a pair: class mismatch, codes SMTP does not
 * know at these stages, odd pairs (551 with 5.1.1: a warning), 421 (closes the connection) and the
 * like.  SPEAKS: the stage where the rule speaks; RECIPIENT: whether it is about one recipient.
 * Whether a 521 is certain by MAIL is the policy's to say. */
void reply_lint(struct diag *diag, const struct place *at, const char *rule, int code,
                const int enhanced[3], enum stage speaks, bool recipient);

#endif
