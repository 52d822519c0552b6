/* SPDX-License-Identifier: MIT */
#include "dmarc_walk.h"

#include <assert.h>
#include <string.h>

#include <postern/arena.h>

enum {
    LABELS_MAX = 7, /* of all names that are asked about but the first */
    TEXT_MAX = 1000 /* octets of a record that are kept to be shown */
};

struct dmarc_answer dmarc_answer_read(struct arena *arena, const struct dns_answer *answer)
{
    struct dmarc_answer read = {.status = answer->status, .text = "", .problem = ""};
    size_t i;

    if (answer->status == DNS_FAULT)
        read.problem = arena_strdup(arena, answer->problem);
    for (i = 0; answer->status == DNS_FOUND && i < answer->count; i++) {
        const struct dns_record *record = &answer->records[i];
        size_t length = record->length < TEXT_MAX ? record->length : TEXT_MAX;
        struct dmarc_record parsed;

        if (!dmarc_record_parse(record->text, record->length, &parsed))
            continue;
        if (read.count++ > 0)
            continue;
        read.record = parsed;
        read.text = arena_strndup(arena, record->text, length);
    }
    if (read.count > 1)
        read.text = "";
    return read;
}

void dmarc_walk_init(struct dmarc_walk *walk, const char *domain)
{
    assert(domain[0] != '\0' && strlen(domain) < DOMAIN_SIZE);
    *walk = (struct dmarc_walk){.target = NULL};
    memcpy(walk->domain, domain, strlen(domain) + 1);
    walk->target = walk->domain;
}

const char *dmarc_walk_next(const struct dmarc_walk *walk, char name[DMARC_NAME_SIZE])
{
    if (walk->target == NULL)
        return NULL;
    stpcpy(stpcpy(name, "_dmarc."), walk->target);
    return name;
}

/* RFC 9989 4.10: one label less, and at most seven. */
static const char *shorten(const char *domain)
{
    do
        domain = domain_parent(domain);
    while (domain != NULL && domain_labels(domain) > LABELS_MAX);
    return domain;
}

void dmarc_walk_take(struct dmarc_walk *walk, const struct dmarc_answer *answer)
{
    const char *target = walk->target;

    assert(target != NULL);
    walk->target = NULL;
    if (answer->status == DNS_FAULT) {
        walk->fault = true;
        return;
    }
    if (answer->count == 1) { /* several at one name are none */
        walk->found[walk->count++] = (struct dmarc_found){target, answer->record, answer->text};
        if (answer->record.psd != DMARC_PSD_UNSAID)
            return;
    }
    walk->target = shorten(target);
}

/* The part of DOMAIN that is one label longer than its part PARENT. */
static const char *one_below(const char *domain, const char *parent)
{
    const char *at = parent - 1; /* the dot */

    while (at > domain && at[-1] != '.')
        at--;
    return at;
}

const char *dmarc_walk_organization(const struct dmarc_walk *walk)
{
    unsigned i;

    for (i = 0; i < walk->count; i++) {
        const struct dmarc_found *found = &walk->found[i];

        if (found->record.psd == DMARC_PSD_NO)
            return found->domain;
        if (found->record.psd == DMARC_PSD_YES && found->domain != walk->domain)
            return one_below(walk->domain, found->domain);
    }
    return walk->count > 0 ? walk->found[walk->count - 1].domain : walk->domain;
}

const struct dmarc_found *dmarc_walk_policy(const struct dmarc_walk *walk)
{
    const struct dmarc_found *last;
    const char *organization;
    unsigned i;

    if (walk->count == 0)
        return NULL;
    if (walk->found[0].domain == walk->domain)
        return &walk->found[0];
    if (walk->fault)
        return NULL;
    organization = dmarc_walk_organization(walk);
    for (i = 0; i < walk->count; i++)
        if (walk->found[i].domain == organization)
            return &walk->found[i];
    /* That of the public suffix above the organizational domain. */
    last = &walk->found[walk->count - 1];
    return last->record.psd == DMARC_PSD_YES ? last : NULL;
}
