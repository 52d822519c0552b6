/* SPDX-License-Identifier: MIT */
#include "spf_record.h"

#include <assert.h>
#include <string.h>

#include <postern/arena.h>

/* While a record is read: copies are made only of what is kept. */
struct reading {
    struct arena *arena;
    const struct addr *client;
    struct spf_record *record;
    unsigned asking;          /* terms that ask the DNS */
    bool certain;             /* what comes behind cannot be reached */
    struct spf_term redirect; /* its length is 0 when there is none */
};

/* A term's text for people.  Visible ASCII is all that the grammar lets through; what it does not
 * is shown as "?". */
static const char *shown(struct arena *arena, const char *text, size_t length)
{
    bool cut = length > SPF_SHOWN_MAX;
    char *copy = arena_strndup(arena, text, cut ? SPF_SHOWN_MAX : length);
    char *c;

    for (c = copy; c < copy + (cut ? SPF_SHOWN_MAX : length); c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return cut ? arena_printf(arena, "%s...", copy) : copy;
}

static void add_step(struct reading *reading, enum spf_step_kind kind, const struct spf_term *term)
{
    struct spf_step *step = &reading->record->steps[reading->record->count++];

    assert(reading->record->count <= SPF_STEPS_MAX);
    step->kind = kind;
    step->term = *term;
    step->shown = shown(reading->arena, term->text, term->length);
    step->term.text = step->shown;
    step->term.length = strlen(step->shown);
    if (term->spec_length > 0)
        step->term.spec = arena_strndup(reading->arena, term->spec, term->spec_length);
}

static void add_asking(struct reading *reading, const struct spf_term *term)
{
    if (reading->asking++ <= SPF_TERMS_MAX)
        add_step(reading, SPF_STEP_TERM, term);
}

static void keep_term(struct reading *reading, const struct spf_term *term)
{
    switch (term->kind) {
    case SPF_KIND_IP4:
    case SPF_KIND_IP6:
        reading->certain = net_contains(&term->net, reading->client);
        break;
    case SPF_KIND_ALL:
        reading->certain = true;
        break;
    default:
        add_asking(reading, term);
        return;
    }
    if (reading->certain)
        add_step(reading, SPF_STEP_MATCH, term);
}

/* Where no term matches, the redirect is followed (RFC 7208 6.1), and without one the result is
 * neutral. */
static void add_end(struct reading *reading)
{
    static const struct spf_term neutral = {
        .kind = SPF_KIND_ALL, .qualifier = '?', .text = "default", .length = 7};

    if (reading->certain)
        return;
    if (reading->redirect.length > 0)
        add_asking(reading, &reading->redirect);
    else
        add_step(reading, SPF_STEP_DEFAULT, &neutral);
}

static void read_terms(struct reading *reading, const char *text, size_t length)
{
    struct spf_record *record = reading->record;
    enum spf_scan_result result;
    struct spf_scan scan;
    struct spf_term term;

    spf_scan_begin(&scan, text, length);
    while ((result = spf_scan_next(&scan, &term)) == SPF_SCAN_TERM) {
        if (term.kind == SPF_KIND_REDIRECT) {
            reading->redirect = term;
        } else if (term.kind == SPF_KIND_EXP) {
            record->exp = arena_strndup(reading->arena, term.spec, term.spec_length);
            record->exp_length = term.spec_length;
        } else if (term.kind != SPF_KIND_OTHER && !reading->certain) {
            keep_term(reading, &term);
        }
    }
    if (result == SPF_SCAN_BAD) {
        record->status = SPF_RECORD_BAD;
        record->problem = arena_printf(reading->arena, "'%s' %s",
                                       shown(reading->arena, term.text, term.length), scan.problem);
        return;
    }
    add_end(reading);
}

const struct spf_record *spf_record_read(struct arena *arena, const struct dns_answer *answer,
                                         const struct addr *client)
{
    struct spf_record *record = arena_alloc(arena, sizeof(*record));
    const struct dns_record *found = NULL;
    size_t i;

    record->problem = "";
    record->status = SPF_RECORD_NONE;
    for (i = 0; i < answer->count; i++) {
        if (!spf_is_record(answer->records[i].text, answer->records[i].length))
            continue;
        record->status = found == NULL ? SPF_RECORD_GOOD : SPF_RECORD_SEVERAL;
        found = &answer->records[i];
    }
    if (record->status == SPF_RECORD_SEVERAL)
        record->problem = "there are several SPF records";
    if (record->status == SPF_RECORD_GOOD)
        read_terms(&(struct reading){.arena = arena, .client = client, .record = record},
                   found->text, found->length);
    return record;
}
