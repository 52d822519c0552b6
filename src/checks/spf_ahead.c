/* SPDX-License-Identifier: MIT */
#include "spf_ahead.h"

#include <string.h>

#include "spf_eval.h"

/* The name that the term is about, NULL when that takes more than the record to tell. */
static const char *name_of(const struct spf_guard *guard, const struct spf_term *term,
                           const char *domain)
{
    const struct spf_macro_values none = {.domain = domain};
    const char *name;

    if (term->spec_length == 0)
        return domain;
    if (memchr(term->spec, '%', term->spec_length) != NULL)
        return NULL;
    name = spf_macro_name(guard->arena, term->spec, term->spec_length, &none);
    return name[0] != '\0' ? name : NULL;
}

static void look_at(struct spf_guard *guard, const struct spf_record *record, const char *domain,
                    unsigned *terms);

static void follow(struct spf_guard *guard, const char *domain, unsigned *terms)
{
    const struct spf_answer *answer = spf_eval_look_ahead(guard, SPF_ASK_RECORD, domain);

    if (answer != NULL && answer->status != DNS_FAULT && answer->record->status == SPF_RECORD_GOOD)
        look_at(guard, answer->record, domain, terms);
}

/* The terms are counted as the evaluation would count them, so that this ends. */
static void look_at(struct spf_guard *guard, const struct spf_record *record, const char *domain,
                    unsigned *terms)
{
    size_t i;

    for (i = 0; i < record->count && record->steps[i].kind == SPF_STEP_TERM; i++) {
        const struct spf_term *term = &record->steps[i].term;
        const char *name = name_of(guard, term, domain);

        if (*terms == SPF_TERMS_MAX)
            return;
        ++*terms;
        if (name == NULL)
            continue;
        if (term->kind == SPF_KIND_A)
            spf_eval_look_ahead(guard, spf_eval_address(guard), name);
        else if (term->kind == SPF_KIND_MX)
            spf_eval_look_ahead(guard, SPF_ASK_MX, name);
        else if (term->kind == SPF_KIND_INCLUDE || term->kind == SPF_KIND_REDIRECT)
            follow(guard, name, terms);
    }
}

void spf_ahead(struct spf_guard *guard)
{
    unsigned terms = 0;

    follow(guard, guard->subject->domain, &terms);
}
