/* SPDX-License-Identifier: MIT */
#include "naive.h"
#include "policy_fixture.h"
#include "random_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <postern/str.h>

/*
 * Random policies and random mail: the real parser and decision against the naive evaluator.  Each
 * case depends on its own seed only, which is printed with a failing case; POSTERN_SEED and
 * POSTERN_CASES run others.
 */

enum { FACTS = RANDOM_FACTS, WAIT_MAX = 200 };

static const struct naive_fact *const facts = random_facts;

/* One case: the rules in both forms, what the facts will be, and when they come. */
struct game {
    struct random_policy random;
    const struct naive_case *naive;
    struct fixture *fixture;
    slot_t slots[FACTS];
    struct value *recipients[NAIVE_RECIPIENTS];
    naive_values here; /* what has come */
    int delay[FACTS][NAIVE_RECIPIENTS];
    bool started[FACTS];
    bool lazy; /* only what decide_needs() asks for is looked up */
    int tick;
    int begun[STAGE_COUNT][NAIVE_RECIPIENTS]; /* the tick, or -1 */
    struct str trouble;
};

/* ---- what goes wrong ---- */

static void fail_case(struct game *game, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fail_case(struct game *game, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    str_add_vformat(&game->trouble, format, args);
    str_add(&game->trouble, "\n");
    va_end(args);
}

static void describe(const struct game *game, uint64_t seed)
{
    const struct naive_case *naive = game->naive;
    int i, j;

    print_error("---- case with POSTERN_SEED=%llu POSTERN_CASES=1\n%s", (unsigned long long)seed,
                str_text(&game->random.text));
    print_error("speak_at %s, mixed %c, %d recipients%s%s%s\n",
                naive->speak_at_mail ? "mail" : "rcpt", naive->mixed, naive->recipients,
                naive->local_submission ? ", local submission" : "",
                game->lazy ? ", looks up what is needed" : ", looks everything up",
                game->random.once ? ", no fact twice" : "");
    for (i = 0; i < FACTS; i++) {
        print_error("  %s:", facts[i].name);
        for (j = 0; j < (facts[i].recipient ? naive->recipients : 1); j++)
            print_error(" '%s' after %d", naive->final[i][j], game->delay[i][j]);
        print_error("\n");
    }
    print_error("%s----\n", str_text(&game->trouble));
}

/* ---- the real one ---- */

static void deliver(struct game *game, int fact, int who)
{
    const struct layout *layout = game->fixture->policy->layout;
    const char *text = game->naive->final[fact][who];
    const struct slot *slot;
    struct value *values;

    game->here[fact][who] = text;
    if (game->slots[fact] == SLOT_NONE)
        return;
    slot = &layout->slots[game->slots[fact]];
    values = facts[fact].recipient ? game->recipients[who] : game->fixture->values[slot->scope];
    values[slot->index] = fixture_value(game->fixture, slot, text);
}

/* Facts whose time has come. */
static void settle(struct game *game, int recipient)
{
    int i;

    for (i = 0; i < FACTS; i++) {
        int who = facts[i].recipient ? recipient : 0;
        int begun = game->begun[facts[i].stage][who];

        if (game->here[i][who] == NULL && begun >= 0 && game->tick >= begun + game->delay[i][who] &&
            (!game->lazy || game->started[i]))
            deliver(game, i, who);
    }
}

static struct view view_of(const struct game *game, int recipient)
{
    struct view view = game->fixture->view;

    view.scope[SCOPE_RECIPIENT] = recipient >= 0 ? game->recipients[recipient] : NULL;
    return view;
}

/* Starts what is needed; false when nothing that is waited for can still come. */
static bool start_needed(struct game *game, const struct view *view, int recipient, int now)
{
    const struct policy *policy = game->fixture->policy;
    uint8_t needed[128] = {0}, waited[128] = {0};
    bool any = false;
    int i;

    assert_true(policy->layout->count <= sizeof(needed));
    decide_needs(policy, view, game->fixture->modes, (enum stage)now, false, needed);
    decide_needs(policy, view, game->fixture->modes, (enum stage)now, true, waited);
    for (i = 0; i < FACTS; i++) {
        int who = facts[i].recipient && recipient >= 0 ? recipient : 0;

        if (game->slots[i] == SLOT_NONE)
            continue;
        if (needed[game->slots[i]])
            game->started[i] = true;
        if (waited[game->slots[i]] && !needed[game->slots[i]])
            fail_case(game, "%s is waited for and not looked up", facts[i].name);
        if (waited[game->slots[i]] && game->here[i][who] == NULL && facts[i].stage <= now)
            any = true;
    }
    return any;
}

static char letter(enum verdict_kind kind)
{
    return "NOAQRD"[kind];
}

static enum speak speak_of(char may_say)
{
    switch (may_say) {
    case '5':
        return SPEAK_521;
    case 'r':
        return SPEAK_REPLIES;
    case 'a':
        return SPEAK_ALL;
    default:
        return SPEAK_NOTHING;
    }
}

static void check_certainty(struct game *game, bool certain, int recipient, int now)
{
    int expected = naive_certain(game->naive, game->here, recipient < 0 ? 0 : recipient, now, 2000);

    if (certain && expected == 0)
        fail_case(game, "certain too early at %s for recipient %d, tick %d",
                  stage_name((enum stage)now), recipient, game->tick);
    if (!certain && expected == 1 && game->random.once)
        fail_case(game, "waits for nothing at %s for recipient %d, tick %d",
                  stage_name((enum stage)now), recipient, game->tick);
}

/* The verdict against what the rules say when everything is known. */
static void check_verdict(struct game *game, const struct verdict *verdict, int recipient, int now,
                          bool complete)
{
    const struct naive_case *naive = game->naive;
    char may_say = naive_may_say(naive, now);
    naive_values final;
    struct naive_outcome expected;
    bool said = verdict_speaks(game->fixture->policy, verdict, speak_of(may_say));

    memcpy(final, naive->final, sizeof(final));
    expected = naive_decide(naive, final, recipient < 0 ? 0 : recipient, now);
    if (said != naive_said(naive, &expected, may_say) ||
        ((verdict->kind != VERDICT_OPEN || complete) &&
         (letter(verdict->kind) != expected.kind || verdict->rule != expected.rule)) ||
        (complete && verdict->fault_rule != expected.fault_rule))
        fail_case(game, "at %s for recipient %d: %c by %d (fault %d), expected %c by %d (fault %d)",
                  stage_name((enum stage)now), recipient, letter(verdict->kind), verdict->rule,
                  verdict->fault_rule, expected.kind, expected.rule, expected.fault_rule);
}

/* Waits as long as it takes. */
static struct verdict play_stage(struct game *game, int recipient, int now)
{
    const struct fixture *fixture = game->fixture;
    struct view view = view_of(game, recipient);
    enum speak speak = speak_of(naive_may_say(game->naive, now));
    struct verdict verdict = {.certain = false};
    int i;

    for (i = 0; i < WAIT_MAX && !verdict.certain; i++) {
        settle(game, recipient < 0 ? 0 : recipient);
        verdict = decide(fixture->policy, &view, fixture->modes, (enum stage)now, speak);
        if (speak != SPEAK_NOTHING)
            check_certainty(game, verdict.certain, recipient, now);
        if (!start_needed(game, &view, recipient, now) && !verdict.certain) {
            fail_case(game, "uncertain at %s, and nothing can come", stage_name((enum stage)now));
            verdict.certain = true;
            return verdict;
        }
        if (!verdict.certain)
            game->tick++;
    }
    if (!verdict.certain)
        fail_case(game, "never certain at %s", stage_name((enum stage)now));
    else
        check_verdict(game, &verdict, recipient, now, false);
    return verdict;
}

static void begin_stage(struct game *game, int stage, int who)
{
    game->tick += random_below(&game->random, 4);
    game->begun[stage][who] = game->tick;
}

static struct naive_event said(const struct game *game, int stage, int recipient,
                               const struct verdict *verdict)
{
    (void)game;
    return (struct naive_event){stage, recipient, letter(verdict->kind), verdict->rule};
}

static int play_message(struct game *game, const bool *taken, struct naive_event *event)
{
    const struct policy *policy = game->fixture->policy;
    struct verdict verdicts[NAIVE_RECIPIENTS];
    enum mixed mixed = game->naive->mixed == 'l' ? MIXED_LENIENT : MIXED_STRICTEST;
    struct mixed_verdict outcome;
    size_t count = 0;
    int i;

    if (game->naive->mixed == 'L' && !game->naive->local_submission)
        mixed = MIXED_LATE;
    for (i = 0; i < game->naive->recipients; i++) {
        if (taken[i])
            verdicts[count++] = play_stage(game, i, AT_MESSAGE);
    }
    outcome = decide_mixed(policy, verdicts, count, mixed);
    if (outcome.split) {
        *event = (struct naive_event){AT_MESSAGE, -1, 'S', -1};
        return 1;
    }
    if (!verdict_speaks(policy, &verdicts[outcome.speaker], SPEAK_ALL))
        return 0;
    *event = said(game, AT_MESSAGE, -1, &verdicts[outcome.speaker]);
    return 1;
}

/* Recipients of whom it is said that they have one message policy fare alike. */
static void compare_policies(struct game *game)
{
    const struct fixture *fixture = game->fixture;
    naive_values final;
    int i, j;

    for (i = 0; i < FACTS; i++) {
        for (j = 0;
             facts[i].recipient && random_chance(&game->random, 90) && j < game->naive->recipients;
             j++)
            deliver(game, i, j);
    }
    memcpy(final, game->naive->final, sizeof(final));
    for (i = 1; i < game->naive->recipients; i++) {
        struct view a = view_of(game, 0);
        struct view b = view_of(game, i);
        struct naive_outcome one = naive_decide(game->naive, final, 0, AT_MESSAGE);
        struct naive_outcome two = naive_decide(game->naive, final, i, AT_MESSAGE);

        if (decide_same_policy(fixture->policy, &a, &b, fixture->modes, STAGE_RCPT) &&
            naive_rank(game->naive, &one) != naive_rank(game->naive, &two))
            fail_case(game, "recipients 0 and %d do not have the same message policy", i);
    }
}

static int play(struct game *game, struct naive_event *events)
{
    const struct naive_case *naive = game->naive;
    const struct policy *policy = game->fixture->policy;
    bool taken[NAIVE_RECIPIENTS] = {false};
    struct verdict verdict;
    int count = 0;
    int left = 0;
    int stage, i;

    for (stage = AT_CONNECT; stage <= AT_MAIL; stage++) {
        begin_stage(game, stage, 0);
        verdict = play_stage(game, -1, stage);
        if (verdict_speaks(policy, &verdict, speak_of(naive_may_say(naive, stage)))) {
            events[0] = said(game, stage, -1, &verdict);
            return 1;
        }
    }
    for (i = 0; i < naive->recipients; i++) {
        begin_stage(game, AT_RCPT, i);
        verdict = play_stage(game, i, AT_RCPT);
        taken[i] = !verdict_speaks(policy, &verdict, speak_of(naive_may_say(naive, AT_RCPT)));
        if (taken[i])
            left++;
        else
            events[count++] = said(game, AT_RCPT, i, &verdict);
    }
    compare_policies(game);
    if (left == 0)
        return count;
    begin_stage(game, AT_DATA, 0);
    begin_stage(game, AT_MESSAGE, 0);
    return count + play_message(game, taken, &events[count]);
}

/* ---- comparisons ---- */

static void compare_events(struct game *game)
{
    struct naive_event real[NAIVE_EVENTS], expected[NAIVE_EVENTS];
    int real_count = play(game, real);
    int expected_count = naive_play(game->naive, expected);
    int i;

    if (real_count != expected_count)
        fail_case(game, "said %d things, expected %d", real_count, expected_count);
    for (i = 0; i < real_count && i < expected_count; i++) {
        if (real[i].stage != expected[i].stage || real[i].recipient != expected[i].recipient ||
            real[i].kind != expected[i].kind || real[i].rule != expected[i].rule)
            fail_case(game, "said %c by %d at %s for %d, expected %c by %d at %s for %d",
                      real[i].kind, real[i].rule, stage_name((enum stage)real[i].stage),
                      real[i].recipient, expected[i].kind, expected[i].rule,
                      stage_name((enum stage)expected[i].stage), expected[i].recipient);
    }
}

/* With everything known, verdict and marks are exact. */
static void compare_complete(struct game *game)
{
    const struct fixture *fixture = game->fixture;
    naive_values final;
    int i, j;

    for (i = 0; i < FACTS; i++) {
        for (j = 0; j < game->naive->recipients; j++)
            deliver(game, i, facts[i].recipient ? j : 0);
    }
    memcpy(final, game->naive->final, sizeof(final));
    for (i = 0; i < game->naive->recipients; i++) {
        struct view view = view_of(game, i);
        uint8_t fired[NAIVE_RULES] = {0}, headers[NAIVE_RULES] = {0};
        struct naive_outcome expected = naive_decide(game->naive, final, i, AT_MESSAGE);
        struct verdict verdict =
            decide(fixture->policy, &view, fixture->modes, STAGE_MESSAGE, SPEAK_ALL);

        if (!verdict.certain)
            fail_case(game, "uncertain with everything known");
        check_verdict(game, &verdict, i, AT_MESSAGE, true);
        decide_marks(fixture->policy, &view, fixture->modes, STAGE_MESSAGE, fired, headers);
        for (j = 0; j < game->naive->rule_count; j++) {
            if (fired[j] != (expected.observed >> j & 1U) ||
                headers[j] != (expected.headers >> j & 1U))
                fail_case(game, "rule %d is marked wrongly for recipient %d", j, i);
        }
    }
}

/* A 5xx never rests on ignorance: whatever the faults hid, the mail would have been refused or
 * deferred. */
static void check_ignorance(struct game *game)
{
    const struct naive_case *naive = game->naive;
    naive_values final, known;
    struct naive_outcome outcome;
    int i, count;

    memcpy(final, naive->final, sizeof(final));
    outcome = naive_decide(naive, final, 0, AT_MESSAGE);
    if (game->random.own_fault || outcome.kind != 'R' || naive->rules[outcome.rule].code < 500)
        return;
    memcpy(known, naive->final, sizeof(known));
    for (i = 0; i < FACTS; i++) {
        const char *dots = strstr(known[i][0], "..");
        bool fault = strcmp(known[i][0], "!") == 0 ||
                     (facts[i].own_fault != NULL && strcmp(known[i][0], facts[i].own_fault) == 0);

        if (dots != NULL) {
            int low = dots == known[i][0] ? 0 : atoi(known[i][0]);
            int high = dots[2] == '\0' ? 5 : atoi(dots + 2);

            known[i][0] = facts[i].values[low + random_below(&game->random, high - low + 1)];
        } else if (fault) {
            for (count = 0; facts[i].values[count + 1] != NULL; count++) {
            }
            /* The fault stands last. */
            known[i][0] = facts[i].values[random_below(&game->random, count)];
        }
    }
    outcome = naive_decide(naive, known, 0, AT_MESSAGE);
    if (outcome.kind != 'R')
        fail_case(game, "refused without knowing: %c by %d had all been known", outcome.kind,
                  outcome.rule);
}

static void random_case(struct game *game, uint64_t seed)
{
    int i, j;

    memset(game, 0, sizeof(*game));
    random_policy_make(&game->random, seed);
    game->naive = &game->random.naive;
    game->lazy = random_chance(&game->random, 50);
    for (i = 0; i < FACTS; i++) {
        for (j = 0; j < NAIVE_RECIPIENTS; j++)
            game->delay[i][j] = random_below(&game->random, 5);
    }
    memset(game->begun, -1, sizeof(game->begun));
}

static bool run_case(struct game *game, uint64_t seed)
{
    struct mode_inputs inputs = {.today = 20260701, .sender_domain = ""};
    bool good;
    int i;

    random_case(game, seed);
    game->fixture =
        fixture_new_at(str_text(&game->random.text),
                       game->naive->speak_at_mail ? STAGE_MAIL : STAGE_RCPT, inputs.today);
    if (game->fixture->policy == NULL) {
        fail_case(game, "refused:\n%s", game->fixture->messages);
    } else {
        const struct layout *layout = game->fixture->policy->layout;

        inputs.local = game->naive->local_submission;
        policy_modes(game->fixture->policy, &inputs, game->fixture->modes);
        for (i = 0; i < FACTS; i++)
            game->slots[i] = layout_find(layout, facts[i].name);
        for (i = 0; i < NAIVE_RECIPIENTS; i++)
            game->recipients[i] =
                arena_alloc(game->fixture->arena,
                            (layout->scope_count[SCOPE_RECIPIENT] + 1) * sizeof(struct value));
        compare_events(game);
        compare_complete(game);
        check_ignorance(game);
    }
    good = game->trouble.length == 0;
    if (!good)
        describe(game, seed);
    fixture_free(game->fixture);
    random_policy_free(&game->random);
    str_free(&game->trouble);
    return good;
}

static uint64_t setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : fallback;
}

static void test_agreement(void **state)
{
    static struct game game;
    uint64_t seed = setting("POSTERN_SEED", 1000000);
    uint64_t cases = setting("POSTERN_CASES", 100000);
    unsigned failures = 0;
    uint64_t i;

    (void)state;
    /* Sanitizers make each case several times slower and find what they find in the first ones. */
    if (getenv("POSTERN_CASES") == NULL && setting("POSTERN_SLOW", 1) > 1)
        cases /= 5;
    print_message("# %llu cases from POSTERN_SEED=%llu\n", (unsigned long long)cases,
                  (unsigned long long)seed);
    for (i = 0; i < cases && failures < 3; i++) {
        if (!run_case(&game, seed + i))
            failures++;
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_agreement)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
