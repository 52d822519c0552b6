/* SPDX-License-Identifier: MIT */
#include "checks_private.h"
#include "dnsbl_lists.h"

#include <assert.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/clock.h>

/*
 * DNS lists (RFC 5782): whether the lists name the client's address, the HELO name, the domain of
 * the sender or of the author.
 *
 * An answer is a listing, no listing, or a fault; a list in fault makes the score an interval.  A
 * zone is asked once, however many blocks share it.  The TXT record, which is meant for the reply,
 * is asked of the zone whose block weighs most, as soon as that is seen.  A zone whose test entries
 * nobody has answered yet is asked those, too, and counts only if they are right: a dead list that
 * lists the world never speaks.
 */
enum dnsbl_fact { SCORE, NAME, REASON, CODE, LISTS, ANSWERS, FAULTS, FACTS_EACH };

enum { REASON_MAX = 400 }; /* octets of the TXT record that a reply has use for */

/* clang-format off */
#define SUBJECT_FACTS(prefix, stage, scope, subject)                                               \
    {prefix ".score", FACT_NUMBER, stage, scope, NULL,                                             \
     "sum of the weights of the lists that list " subject},                                        \
    {prefix ".name", FACT_TEXT, stage, scope, NULL,                                                \
     "block of the list with the greatest weight that lists " subject ", or empty"},               \
    {prefix ".reason", FACT_TEXT, stage, scope, NULL,                                              \
     "what that list says of " subject " (TXT)"},                                                  \
    {prefix ".code", FACT_IP, stage, scope, NULL,                                                  \
     "what that list answers for " subject},                                                       \
    {prefix ".lists", FACT_SET, stage, scope, NULL,                                                \
     "blocks of all lists that list " subject},                                                    \
    {prefix ".answers", FACT_ROWS, stage, scope, "list code",                                      \
     "what each of these lists answers for " subject},                                             \
    {prefix ".faults", FACT_NUMBER, stage, scope, NULL,                                            \
     "number of lists that could not be asked about " subject}
/* clang-format on */

static const struct fact_row facts[] = {
    SUBJECT_FACTS("dnsbl", STAGE_CONNECT, SCOPE_CONNECTION, "the client's address"),
    SUBJECT_FACTS("rhsbl.helo", STAGE_HELO, SCOPE_CONNECTION, "the HELO name"),
    SUBJECT_FACTS("rhsbl.sender", STAGE_MAIL, SCOPE_TRANSACTION, "the sender's domain"),
    SUBJECT_FACTS("rhsbl.from", STAGE_MESSAGE, SCOPE_MESSAGE, "the author's domain"),
};

/* ---- a probe under way ---- */

enum outcome {
    NOT_ASKED, /* another subject's list, or it is set aside */
    PENDING,
    NOT_LISTED,
    LISTED,
    IN_FAULT,
};

struct list_work {
    enum outcome outcome;
    struct addr code; /* LISTED */
};

enum text_state { TEXT_UNASKED, TEXT_PENDING, TEXT_KNOWN, TEXT_FAULT };

struct zone_work {
    const char *name; /* what is asked; NULL when the zone is not */
    bool untried;     /* its test entries are asked, too */
    struct dnsbl_trial trial;
    enum text_state text_state;
    const char *text;
};

struct work {
    const struct dnsbl_lists *lists;
    unsigned first; /* fact */
    struct list_work *list;
    struct zone_work *zone;
};

/* A question's tag: the zone, and what was asked of it. */
enum question { ASKED_ADDRESS, ASKED_TEXT, ASKED_TEST, QUESTIONS = ASKED_TEST + DNSBL_TESTS_MAX };

static uintptr_t tag_of(size_t zone, unsigned question)
{
    return zone * QUESTIONS + question;
}

static void got(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag);

/* What is known of list I by now.  A listing by a zone that is still being tried is none yet. */
static enum outcome outcome_of(const struct work *work, size_t i)
{
    const struct dnsbl_list *list = &work->lists->lists[i];
    const struct zone_work *zone = &work->zone[list->zone];
    enum outcome outcome = work->list[i].outcome;

    if (outcome == NOT_ASKED || outcome == NOT_LISTED || !zone->untried)
        return outcome;
    switch (dnsbl_health_result(work->lists->health, list->zone, &zone->trial)) {
    case DNSBL_TEST_WRONG:
        return NOT_ASKED;
    case DNSBL_TEST_OPEN:
        return PENDING;
    case DNSBL_TEST_FAULT:
        return outcome == PENDING ? PENDING : IN_FAULT;
    default:
        return outcome;
    }
}

/* The listing with the greatest positive weight, the first of equals; -1 for none. */
static int heaviest(const struct work *work)
{
    int best = -1;
    size_t i;

    for (i = 0; i < work->lists->count; i++) {
        int64_t weight = work->lists->lists[i].weight;

        if (weight > 0 && outcome_of(work, i) == LISTED &&
            (best < 0 || weight > work->lists->lists[best].weight))
            best = (int)i;
    }
    return best;
}

/* Whether a list that is not settled could still take the place of list BEST (-1: none). */
static bool may_be_outweighed(const struct work *work, int best)
{
    size_t i;

    for (i = 0; i < work->lists->count; i++) {
        int64_t weight = work->lists->lists[i].weight;
        enum outcome outcome = outcome_of(work, i);

        if (weight <= 0 || (outcome != IN_FAULT && outcome != PENDING))
            continue;
        if (best < 0 || weight > work->lists->lists[best].weight ||
            (weight == work->lists->lists[best].weight && (int)i < best))
            return true;
    }
    return false;
}

/* ---- the facts ---- */

static void set(struct probe_run *run, enum dnsbl_fact fact, struct value value, bool fault)
{
    const struct work *work = run->work;

    if (fault)
        value.state = VALUE_FAULT;
    probe_set(run, work->first + fact, value);
}

static const char *show_code(struct probe_run *run, const struct addr *code)
{
    char text[ADDR_TEXT_SIZE];

    return arena_strdup(run->arena, addr_format(code, text));
}

/* What is listed and what is in fault becomes the sum and its bounds. */
static void set_sums(struct probe_run *run)
{
    const struct work *work = run->work;
    const char **names = arena_alloc(run->arena, (work->lists->count + 1) * sizeof(names[0]));
    const char **cells = arena_alloc(run->arena, (work->lists->count + 1) * 2 * sizeof(cells[0]));
    int64_t low = 0;
    int64_t high = 0;
    size_t listed = 0;
    int64_t faults = 0;
    size_t i;

    for (i = 0; i < work->lists->count; i++) {
        int64_t weight = work->lists->lists[i].weight;
        enum outcome outcome = outcome_of(work, i);

        if (outcome == LISTED) {
            low += weight;
            high += weight;
            cells[2 * listed] = work->lists->lists[i].name;
            cells[2 * listed + 1] = show_code(run, &work->list[i].code);
            names[listed++] = work->lists->lists[i].name;
        } else if (outcome == IN_FAULT || outcome == PENDING) {
            low += weight < 0 ? weight : 0;
            high += weight > 0 ? weight : 0;
            faults++;
        }
    }
    set(run, SCORE, value_interval(low, high), false);
    set(run, LISTS, value_set(names, listed), faults > 0);
    set(run, ANSWERS, value_set(cells, 2 * listed), faults > 0);
    set(run, FAULTS, value_number(faults), false);
}

/* Everything that is known becomes facts; what is still pending counts as in fault. */
static void conclude(struct probe_run *run)
{
    const struct work *work = run->work;
    int best = heaviest(work);
    bool unsure = may_be_outweighed(work, best);
    const char *reason = "";
    bool no_reason = false;

    set_sums(run);
    if (best < 0) {
        set(run, NAME, value_text(""), unsure);
        set(run, CODE, value_ip((struct addr){0}), unsure);
    } else {
        const struct dnsbl_list *list = &work->lists->lists[best];
        const struct zone_work *zone = &work->zone[list->zone];

        set(run, NAME, value_text(list->name), unsure);
        set(run, CODE, value_ip(work->list[best].code), unsure);
        if (list->reason && zone->text_state == TEXT_KNOWN)
            reason = zone->text;
        no_reason = list->reason && zone->text_state != TEXT_KNOWN;
    }
    set(run, REASON, value_text(reason), unsure || no_reason);
    probe_finish(run);
}

/* Asks for the text that is wanted by now, and concludes when nothing that matters is missing. */
static void proceed(struct probe_run *run)
{
    const struct work *work = run->work;
    int best = heaviest(work);
    bool text_missing = false;
    size_t i;

    if (best >= 0 && work->lists->lists[best].reason) {
        size_t number = work->lists->lists[best].zone;
        struct zone_work *zone = &work->zone[number];

        if (zone->text_state == TEXT_UNASKED) {
            zone->text_state = TEXT_PENDING;
            probe_ask(run, zone->name, DNS_TXT, got, tag_of(number, ASKED_TEXT));
        }
        text_missing = zone->text_state == TEXT_PENDING;
    }
    for (i = 0; i < work->lists->count; i++)
        if (outcome_of(work, i) == PENDING)
            return;
    if (!text_missing)
        conclude(run);
}

/* ---- answers ---- */

/* The least of the codes that the list's block names, so that the order of records does not matter.
 */
static void settle_list(const struct dnsbl_list *list, struct list_work *work,
                        const struct dns_answer *answer)
{
    size_t i;

    work->outcome = NOT_LISTED;
    for (i = 0; i < answer->count; i++) {
        const struct addr *code = &answer->records[i].addr;

        if (!dnsbl_codes_match(&list->listed, code))
            continue;
        if (work->outcome != LISTED || addr_compare(code, &work->code) < 0)
            work->code = *code;
        work->outcome = LISTED;
    }
}

static void got_address(struct work *work, size_t zone, const struct dns_answer *answer)
{
    bool fault = answer->status == DNS_FAULT ||
                 dnsbl_codes_odd(&work->lists->zones[zone].own, answer) != NULL;
    size_t i;

    for (i = 0; i < work->lists->count; i++) {
        if (work->lists->lists[i].zone != zone || work->list[i].outcome != PENDING)
            continue;
        if (fault)
            work->list[i].outcome = IN_FAULT;
        else
            settle_list(&work->lists->lists[i], &work->list[i], answer);
    }
}

/* The first text, unless it repeats the key that it was asked with. */
static void got_text(struct probe_run *run, size_t number, const struct dns_answer *answer)
{
    const struct work *work = run->work;
    struct zone_work *zone = &work->zone[number];
    const char *key = work->lists->zones[number].key;

    zone->text_state = answer->status == DNS_FAULT ? TEXT_FAULT : TEXT_KNOWN;
    zone->text = "";
    if (answer->status != DNS_FOUND)
        return;
    const struct dns_record *record = &answer->records[0];
    size_t length = record->length < REASON_MAX ? record->length : REASON_MAX;
    const char *text = arena_strndup(run->arena, record->text, length);

    if (key[0] == '\0' || strcasestr(text, key) == NULL)
        zone->text = text;
}

static void got(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    struct work *work = run->work;
    size_t number = tag / QUESTIONS;
    unsigned question = (unsigned)(tag % QUESTIONS);
    struct dnsbl_trial *trial = &work->zone[number].trial;

    if (question == ASKED_ADDRESS) {
        got_address(work, number, answer);
    } else if (question == ASKED_TEXT) {
        got_text(run, number, answer);
    } else {
        dnsbl_health_take(work->lists->health, number, trial, question - ASKED_TEST, answer);
        dnsbl_health_learn(work->lists->health, number, trial);
    }
    proceed(run);
}

/* ---- starting ---- */

static const struct dnsbl_subject *subject_of(const struct probe_run *run)
{
    return &dnsbl_subjects[run->probe->first / FACTS_EACH];
}

static bool is_asked(const struct dnsbl_list *list, const struct probe_run *run)
{
    unsigned bit = 1U << (run->probe->first / FACTS_EACH);

    if ((list->asks & bit) == 0)
        return false;
    return list->ipv6 || subject_of(run)->is_name || run->inputs->client.family != ADDR_IPV6;
}

/* Starts the question to a zone about TARGET.  False when it cannot be asked: it is set aside, or
 * the name is longer than DNS allows, so that no list can have it. */
static bool ask_zone(struct probe_run *run, size_t number, const char *target)
{
    const struct work *work = run->work;
    struct zone_work *zone = &work->zone[number];
    struct dnsbl_health *health = work->lists->health;
    enum dnsbl_state state = dnsbl_health_state(health, number);
    size_t i;

    if (zone->name != NULL)
        return true;
    if (state == DNSBL_ASIDE ||
        strlen(target) + 1 + strlen(work->lists->zones[number].name) > DNS_NAME_MAX)
        return false;
    zone->name = arena_join(run->scratch, target, ".", work->lists->zones[number].name);
    probe_ask(run, zone->name, DNS_A, got, tag_of(number, ASKED_ADDRESS));
    zone->untried = state == DNSBL_UNTRIED;
    for (i = 0; zone->untried && i < dnsbl_health_tests(health, number); i++)
        probe_ask(run, dnsbl_health_test_name(health, number, i), DNS_A, got,
                  tag_of(number, ASKED_TEST + (unsigned)i));
    return true;
}

static void start(struct probe_run *run)
{
    const struct dnsbl_lists *lists = run->state;
    const char *target = NULL;
    struct work *work;
    size_t i;

    if (!subject_of(run)->target(run, &target)) {
        probe_finish(run);
        return;
    }
    if (target == NULL) {
        probe_finish_absent(run);
        return;
    }
    work = arena_alloc(run->scratch, sizeof(*work));
    work->lists = lists;
    work->first = run->probe->first;
    work->list = arena_alloc(run->scratch, lists->count * sizeof(*work->list));
    work->zone = arena_alloc(run->scratch, lists->zone_count * sizeof(*work->zone));
    run->work = work;
    for (i = 0; i < lists->count; i++)
        if (is_asked(&lists->lists[i], run) && ask_zone(run, lists->lists[i].zone, target))
            work->list[i].outcome = PENDING;
    proceed(run);
}

/* ---- the check ---- */

/* clang-format off */
#define SUBJECT_PROBE(subject, name_, stage_, scope_, after_)                                      \
    [subject] = {.name = name_,                                                                    \
                 .stage = stage_,                                                                  \
                 .scope = scope_,                                                                  \
                 .first = (subject)*FACTS_EACH,                                                    \
                 .count = FACTS_EACH,                                                              \
                 .after = after_,                                                                  \
                 .start = start,                                                                   \
                 .expire = conclude}
/* clang-format on */

static const char *const after_from[] = {"from.domain", NULL};

static const struct probe probes[] = {
    SUBJECT_PROBE(SUBJECT_CLIENT, "dnsbl", STAGE_CONNECT, SCOPE_CONNECTION, NULL),
    SUBJECT_PROBE(SUBJECT_HELO, "rhsbl_helo", STAGE_HELO, SCOPE_CONNECTION, NULL),
    SUBJECT_PROBE(SUBJECT_SENDER, "rhsbl_sender", STAGE_MAIL, SCOPE_TRANSACTION, NULL),
    SUBJECT_PROBE(SUBJECT_FROM, "rhsbl_from", STAGE_MESSAGE, SCOPE_MESSAGE, after_from),
};

static_assert(COUNT_OF(facts) == (size_t)SUBJECT_COUNT * FACTS_EACH, "the same facts of each");
static_assert(COUNT_OF(probes) == SUBJECT_COUNT, "one probe for each");

static void *open_lists(const struct check_site *site)
{
    return dnsbl_lists_open(site);
}

static void close_lists(void *state)
{
    dnsbl_lists_close(state);
}

static void inherit(void *state, void *from)
{
    struct dnsbl_lists *lists = state, *before = from;

    if (lists != NULL && before != NULL)
        dnsbl_health_inherit(lists->health, before->health);
}

static void tick(void *state, struct dns *dns, struct loop *loop)
{
    const struct dnsbl_lists *lists = state;

    (void)loop;
    dnsbl_health_tick(lists->health, dns, clock_ms());
}

static bool used(void *state, const struct probe *probe)
{
    const struct dnsbl_lists *lists = state;
    size_t i;

    for (i = 0; i < lists->count; i++)
        if ((lists->lists[i].asks & 1U << (probe->first / FACTS_EACH)) != 0)
            return true;
    return false;
}

/* "3 lists in 2 zones: zen, dnswl, zen-paid" */
static const char *cost(void *state, const struct probe *probe, struct arena *arena)
{
    const struct dnsbl_lists *lists = state;
    bool *asked = arena_alloc(arena, lists->zone_count * sizeof(*asked));
    const char *names = "";
    size_t count = 0;
    size_t zones = 0;
    size_t i;

    for (i = 0; i < lists->count; i++) {
        const struct dnsbl_list *list = &lists->lists[i];

        if ((list->asks & 1U << (probe->first / FACTS_EACH)) == 0)
            continue;
        names = arena_printf(arena, "%s%s%s", names, count > 0 ? ", " : "", list->name);
        count++;
        zones += !asked[list->zone];
        asked[list->zone] = true;
    }
    if (count == 0)
        return NULL;
    if (zones < count)
        return arena_printf(arena, "%zu lists in %zu zone%s: %s", count, zones,
                            zones == 1 ? "" : "s", names);
    return arena_printf(arena, "%zu list%s: %s", count, count == 1 ? "" : "s", names);
}

const struct check check_dnsbl = {
    .name = "dnsbl",
    .help = "DNS lists of addresses and names",
    .facts = facts,
    .fact_count = COUNT_OF(facts),
    .blocks = dnsbl_option_blocks,
    .block_count = COUNT_OF(dnsbl_option_blocks),
    .probes = probes,
    .probe_count = COUNT_OF(probes),
    .open = open_lists,
    .close = close_lists,
    .inherit = inherit,
    .tick = tick,
    .used = used,
    .cost = cost,
};
