/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include <postern/auth_results.h>
#include <postern/results.h>

/*
 * Fields that tell those who read the message what was found out, and those that came with it and
 * claim to be ours.  A message of an authenticated client or from this host gets none: what there
 * is to be found out about it is the site's own affair.
 */
static const char AUTHENTICATION_RESULTS[] = "Authentication-Results";
static const char RECEIVED_SPF[] = "Received-SPF";

/* A field to be removed; the last one of its name comes first. */
struct claim {
    const char *name;
    unsigned index; /* among the fields of the name, from 1 */
    struct claim *next;
};

/* ---- wiring ---- */

static const void *option(const struct block_head *head, const struct option_block *kind,
                          const char *name)
{
    const struct option_row *row = options_find(kind, name);

    return row != NULL ? (const char *)head + row->offset : NULL;
}

static const struct option_block *find_kind(const struct config_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->check_count; i++)
        for (size_t j = 0; j < schema->checks[i]->block_count; j++)
            if (strcmp(schema->checks[i]->blocks[j].kind, name) == 0)
                return &schema->checks[i]->blocks[j];
    return NULL;
}

static const char *text_option(const struct block_head *head, const struct option_block *kind,
                               const char *name)
{
    const void *member = option(head, kind, name);
    const char *text = NULL;

    if (member != NULL)
        memcpy(&text, member, sizeof(text));
    return text != NULL ? text : "";
}

static bool asks_for_clients(const struct block_head *head, const struct option_block *kind)
{
    const struct option_list *ask = option(head, kind, "ask");

    for (size_t i = 0; ask != NULL && i < ask->count; i++)
        if (strcmp(ask->items[i], "client.ip") == 0)
            return true;
    return false;
}

/* The key of a zone is never shown, nor that there is one. */
static const char *shown_zone(struct arena *arena, const char *zone)
{
    static const char key[] = "%{key}.";
    const char *at = strstr(zone, key);

    if (at == NULL)
        return zone;
    return arena_printf(arena, "%.*s%s", (int)(at - zone), zone, at + sizeof(key) - 1);
}

/* Lists of good senders: those with a negative weight. */
static size_t find_lists(struct wiring *wiring, struct results_list **lists)
{
    const struct block_head *head = config_blocks(wiring->config, "dnsbl");
    const struct option_block *kind = find_kind(wiring->config->schema, "dnsbl");
    size_t count = 0;

    for (const struct block_head *block = head; block != NULL; block = block->next)
        count++;
    *lists = arena_alloc(wiring->arena, count * sizeof(struct results_list));
    count = 0;
    for (; kind != NULL && head != NULL; head = head->next) {
        const int64_t *weight = option(head, kind, "weight");
        if (weight != NULL && *weight < 0 && asks_for_clients(head, kind))
            (*lists)[count++] = (struct results_list){
                .name = head->name,
                .zone = shown_zone(wiring->arena, text_option(head, kind, "zone"))};
    }
    return count;
}

void wire_results(struct wiring *wiring)
{
    const struct results_block *block = wiring->config->results;
    struct results_list *lists;
    size_t count;

    if (block == NULL || block->head.at.source == NULL)
        return;
    wiring->removes = block->remove_forged;
    wiring->needs.headers |= block->remove_forged;
    if (block->methods == 0 && !block->received_spf)
        return;
    count = find_lists(wiring, &lists);
    wiring->results = results_new(wiring->arena, wiring->layout, block->methods,
                                  block->received_spf, lists, count);
    wiring->shown_count = results_slots(wiring->results, &wiring->shown_slots);
}

/* ---- one message ---- */

static const char *own_id(const struct engine_session *session)
{
    const struct config *config = session->wiring->config;

    if (config->results->authserv_id != NULL)
        return config->results->authserv_id;
    return config->hostname[0] != '\0' ? config->hostname : session->mta_hostname;
}

bool results_wanted(const struct engine_session *session)
{
    return session->wiring->results != NULL && !session->observe && !session->inputs.local &&
           session->inputs.auth_user[0] == '\0' && own_id(session)[0] != '\0';
}

/* A rule's field takes the place of those of its name. */
static void count_same(struct engine_session *session, const char *name)
{
    const struct policy *policy = session->wiring->policy;
    struct transaction *tx = &session->tx;
    size_t length = strlen(name);

    if (!policy->has_headers)
        return;
    if (tx->same == NULL)
        tx->same = arena_alloc(session->spans[SPAN_TRANSACTION].arena,
                               policy->rule_count * sizeof(tx->same[0]));
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        if (rule->outcome == OUTCOME_HEADER && strncasecmp(rule->text, name, length) == 0 &&
            rule->text[length] == ':')
            tx->same[i]++;
    }
}

bool results_crowded(const struct engine_session *session, const uint8_t *marked)
{
    const struct transaction *tx = &session->tx;

    if (tx->claim_count > REMOVALS_MAX)
        return true;
    for (size_t i = 0; tx->same != NULL && i < session->wiring->policy->rule_count; i++)
        if (marked[i] && tx->same[i] > REMOVALS_MAX)
            return true;
    return false;
}

void results_note(struct engine_session *session, const char *name, const char *value)
{
    struct transaction *tx = &session->tx;
    bool spf = strcasecmp(name, RECEIVED_SPF) == 0;
    const char *id;
    struct claim *claim;
    unsigned index;

    count_same(session, name);
    if (!session->wiring->removes || (!spf && strcasecmp(name, AUTHENTICATION_RESULTS) != 0))
        return;
    index = ++tx->result_fields[spf];
    id = own_id(session);
    if (id[0] == '\0' || !(spf ? results_spf_claims(value, id) : auth_results_claim(value, id)))
        return;
    claim = arena_alloc(session->spans[SPAN_TRANSACTION].arena, sizeof(*claim));
    *claim = (struct claim){
        .name = spf ? RECEIVED_SPF : AUTHENTICATION_RESULTS, .index = index, .next = tx->claims};
    tx->claims = claim;
    tx->claim_count++;
}

bool results_known(struct engine_session *session)
{
    const struct wiring *wiring = session->wiring;

    return !results_wanted(session) ||
           stage_slots_known(session, NULL, wiring->shown_slots, wiring->shown_count);
}

static void add_change(struct action *action, struct header_change *changes, const char *name,
                       const char *value)
{
    if (value != NULL)
        changes[action->header_count++] =
            (struct header_change){.name = name, .value = value, .beside = true};
}

void results_add(struct engine_session *session, struct header_change *changes)
{
    const struct view view = session_view(session, NULL);
    const struct results_values values = {.view = &view,
                                          .id = own_id(session),
                                          .client = session->inputs.client,
                                          .helo = session->inputs.helo,
                                          .sender = &session->inputs.sender};
    struct arena *arena = session->speech;

    if (!results_wanted(session))
        return;
    add_change(&session->action, changes, AUTHENTICATION_RESULTS,
               results_field(arena, session->wiring->results, &values));
    add_change(&session->action, changes, RECEIVED_SPF,
               results_received_spf(arena, session->wiring->results, &values));
}

void results_remove(struct engine_session *session)
{
    const struct transaction *tx = &session->tx;
    struct header_removal *removals =
        arena_alloc(session->speech, tx->claim_count * sizeof(struct header_removal));

    session->action.removals = removals;
    for (const struct claim *claim = tx->claims; claim != NULL; claim = claim->next)
        removals[session->action.removal_count++] =
            (struct header_removal){.name = claim->name, .index = claim->index};
}
