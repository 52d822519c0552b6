/* SPDX-License-Identifier: MIT */
#include "spf_known.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include <postern/arena.h>

enum dns_type spf_ask_type(enum spf_ask ask)
{
    static const enum dns_type types[] = {
        [SPF_ASK_RECORD] = DNS_TXT, [SPF_ASK_EXPLANATION] = DNS_TXT, [SPF_ASK_A] = DNS_A,
        [SPF_ASK_AAAA] = DNS_AAAA,  [SPF_ASK_MX] = DNS_MX,           [SPF_ASK_PTR] = DNS_PTR,
    };

    return types[ask];
}

static struct spf_answer *find(const struct spf_known *known, enum spf_ask ask, const char *name)
{
    size_t i;

    for (i = 0; i < known->count; i++)
        if (known->answers[i]->ask == ask && strcasecmp(known->answers[i]->name, name) == 0)
            return known->answers[i];
    return NULL;
}

static struct spf_answer *add(struct spf_known *known, enum spf_ask ask, const char *name)
{
    struct spf_answer *answer = arena_alloc(known->arena, sizeof(*answer));

    assert(known->count < SPF_KNOWN_MAX);
    answer->ask = ask;
    answer->name = name;
    answer->problem = "";
    known->answers[known->count++] = answer;
    return answer;
}

const struct spf_answer *spf_known_want(struct spf_known *known, enum spf_ask ask, const char *name)
{
    struct spf_answer *answer = find(known, ask, name);

    if (answer == NULL)
        answer = add(known, ask, name);
    answer->wanted = true;
    return answer;
}

const struct spf_answer *spf_known_ahead(struct spf_known *known, enum spf_ask ask,
                                         const char *name)
{
    const struct spf_answer *answer = find(known, ask, name);

    if (answer != NULL || known->ahead == SPF_AHEAD_MAX)
        return answer;
    known->ahead++;
    return add(known, ask, name);
}

bool spf_known_lacks(const struct spf_known *known)
{
    size_t i;

    for (i = 0; i < known->count; i++)
        if (known->answers[i]->wanted && !known->answers[i]->answered)
            return true;
    return false;
}

static void take_addrs(struct spf_known *known, struct spf_answer *to,
                       const struct dns_answer *answer)
{
    struct addr *addrs = arena_alloc(known->arena, answer->count * sizeof(addrs[0]));
    size_t i;

    for (i = 0; i < answer->count; i++)
        addrs[i] = answer->records[i].addr;
    to->addrs = addrs;
}

/* RFC 7505: the root as an exchange is no host. */
static void take_names(struct spf_known *known, struct spf_answer *to,
                       const struct dns_answer *answer)
{
    size_t i;

    for (i = 0; i < answer->count && to->name_count < SPF_HOSTS_MAX; i++)
        if (answer->records[i].name[0] != '\0')
            to->names[to->name_count++] = arena_strdup(known->arena, answer->records[i].name);
}

static void take_explanation(struct spf_known *known, struct spf_answer *to,
                             const struct dns_answer *answer)
{
    if (answer->count != 1)
        return;
    to->length = answer->records[0].length;
    to->text = arena_strndup(known->arena, answer->records[0].text, to->length);
}

static void take_records(struct spf_known *known, struct spf_answer *to,
                         const struct dns_answer *answer)
{
    switch (to->ask) {
    case SPF_ASK_RECORD:
        to->record = spf_record_read(known->arena, answer, &known->client);
        break;
    case SPF_ASK_EXPLANATION:
        take_explanation(known, to, answer);
        break;
    case SPF_ASK_A:
    case SPF_ASK_AAAA:
        take_addrs(known, to, answer);
        break;
    case SPF_ASK_MX:
    case SPF_ASK_PTR:
        take_names(known, to, answer);
        break;
    }
}

void spf_known_take(struct spf_known *known, size_t number, const struct dns_answer *answer)
{
    struct spf_answer *to = known->answers[number];

    assert(number < known->count && !to->answered);
    to->answered = true;
    to->status = answer->status;
    to->count = answer->status == DNS_FOUND ? answer->count : 0;
    if (answer->status == DNS_FAULT)
        to->problem =
            arena_printf(known->arena, "%s %.*s: %s", dns_type_name(spf_ask_type(to->ask)),
                         SPF_SHOWN_MAX, to->name, answer->problem);
    else
        take_records(known, to, answer);
}
