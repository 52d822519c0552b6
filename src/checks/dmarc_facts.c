/* SPDX-License-Identifier: MIT */
#include "dmarc_work.h"

#include <postern/arena.h>

/*
 * What has been found out about a message's author becomes the facts of DMARC.
 */
enum result { RESULT_NONE, RESULT_PASS, RESULT_FAIL, RESULT_TEMPERROR, RESULT_PERMERROR };
enum aligned { ALIGNED_NONE, ALIGNED_SPF, ALIGNED_DKIM, ALIGNED_BOTH };

enum { QUERY_COLUMNS = 3 };

const struct fact_row dmarc_fact_rows[DMARC_FACTS] = {
    [DMARC_RESULT] =
        {"dmarc.result", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE,
         "none pass fail temperror! permerror",
         "whether SPF or DKIM vouch for the author's domain; none: it has no DMARC record"},
    [DMARC_POLICY] = {"dmarc.policy", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE,
                      "none quarantine reject",
                      "what the author's domain asks for where they do not, by p, sp, np and t"},
    [DMARC_DOMAIN] = {"dmarc.domain", FACT_DOMAIN, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                      "organizational domain of the author"},
    [DMARC_TESTING] = {"dmarc.testing", FACT_BOOL, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                       "whether the record says t=y, so that the policy is one step less"},
    [DMARC_ALIGNED] = {"dmarc.aligned", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE,
                       "none spf dkim both", "which of SPF and DKIM vouch for the author's domain"},
    [DMARC_RECORD] = {"dmarc.record", FACT_TEXT, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                      "the DMARC record that holds for the author's domain"},
    [DMARC_QUERIES] = {"dmarc.queries", FACT_ROWS, STAGE_MESSAGE, SCOPE_MESSAGE,
                       "name answer record",
                       "the DNS questions of the tree walks, and what came of them"},
    [DMARC_DKIM_AUTHOR] = {"dkim.author", FACT_BOOL, STAGE_MESSAGE, SCOPE_MESSAGE, NULL,
                           "whether a passing DKIM signature is aligned with the author's domain"},
};

static enum truth either(enum truth a, enum truth b)
{
    if (a == YES || b == YES)
        return YES;
    return a == UNKNOWN || b == UNKNOWN ? UNKNOWN : NO;
}

/* Whether SPF, or DKIM, vouches for the author's domain. */
static enum truth vouches(const struct dmarc_work *work, bool dkim)
{
    enum truth sum = (dkim ? work->dkim_unknown : work->spf_unknown) ? UNKNOWN : NO;
    size_t i;

    for (i = 0; i < work->identity_count; i++) {
        const struct dmarc_identity *identity = &work->identities[i];

        if (identity->dkim != dkim || identity->aligned == NO)
            continue;
        sum = either(sum, identity->passes ? identity->aligned : UNKNOWN);
    }
    return sum;
}

static bool record_is_unknown(const struct dmarc_work *work)
{
    return !work->author_over || (work->policy == NULL && work->author.fault);
}

/* Where the record is not known, only the very domain of the author is aligned, which is so under
 * any record. */
static enum result result_of(const struct dmarc_work *work, enum truth vouched)
{
    if (record_is_unknown(work))
        return vouched == YES ? RESULT_PASS : RESULT_TEMPERROR;
    if (work->policy == NULL)
        return RESULT_NONE;
    if (!work->policy->record.usable)
        return RESULT_PERMERROR;
    if (vouched == UNKNOWN)
        return RESULT_TEMPERROR;
    return vouched == YES ? RESULT_PASS : RESULT_FAIL;
}

static void set_aligned(struct probe_run *run, enum truth spf, enum truth dkim)
{
    enum aligned word = dkim == YES ? ALIGNED_DKIM : ALIGNED_NONE;
    struct value value;

    if (spf == YES)
        word = dkim == YES ? ALIGNED_BOTH : ALIGNED_SPF;
    value = value_word(probe_slot(run, DMARC_ALIGNED), word);
    if (spf == UNKNOWN || dkim == UNKNOWN)
        value.state = VALUE_FAULT;
    probe_set(run, DMARC_ALIGNED, value);
}

static enum dmarc_policy tested(const struct dmarc_record *record, enum dmarc_policy policy)
{
    return record->testing ? dmarc_policy_tested(policy) : policy;
}

bool dmarc_asks_existence(const struct dmarc_work *work)
{
    const struct dmarc_found *found = work->policy;

    return found != NULL && found->domain != work->author.domain && found->record.usable &&
           tested(&found->record, found->record.sp) != tested(&found->record, found->record.np);
}

static void set_policy(struct probe_run *run)
{
    const struct dmarc_work *work = run->work;
    const struct dmarc_record *record = work->policy != NULL ? &work->policy->record : NULL;
    enum dmarc_policy policy = DMARC_NONE;

    if (record_is_unknown(work) || (dmarc_asks_existence(work) && work->exists == UNKNOWN)) {
        probe_set_fault(run, DMARC_POLICY);
        return;
    }
    if (record != NULL && record->usable) {
        if (work->policy->domain == work->author.domain)
            policy = record->p;
        else
            policy = work->exists == NO ? record->np : record->sp;
        policy = tested(record, policy);
    }
    probe_set_word(run, DMARC_POLICY, policy);
}

static void set_record(struct probe_run *run)
{
    const struct dmarc_work *work = run->work;

    if (record_is_unknown(work)) {
        probe_set_fault(run, DMARC_TESTING);
        probe_set_fault(run, DMARC_RECORD);
    } else {
        probe_set(run, DMARC_TESTING,
                  value_bool(work->policy != NULL && work->policy->record.testing));
        probe_set_text(run, DMARC_RECORD, work->policy != NULL ? work->policy->text : "");
    }
    if (!work->author_over || work->author.fault)
        probe_set_fault(run, DMARC_DOMAIN);
    else
        probe_set_text(run, DMARC_DOMAIN, dmarc_walk_organization(&work->author));
}

static void set_queries(struct probe_run *run)
{
    const struct dmarc_work *work = run->work;
    const char **cells =
        arena_alloc(run->arena, (work->lookup_count + 1) * QUERY_COLUMNS * sizeof(cells[0]));
    size_t count = 0;
    size_t i;

    for (i = 0; i < work->lookup_count; i++) {
        const struct dmarc_answer *answer = &work->lookups[i].answer;
        const char *said = "no answer yet";

        if (work->lookups[i].answered && answer->status == DNS_FAULT)
            said = arena_printf(run->arena, "fault: %s", answer->problem);
        else if (work->lookups[i].answered)
            said = answer->count > 1 ? "several records" : dns_status_name(answer->status);
        cells[count++] = work->lookups[i].name;
        cells[count++] = said;
        cells[count++] = answer->count == 1 ? answer->text : "";
    }
    probe_set(run, DMARC_QUERIES, value_set(cells, count));
}

void dmarc_conclude(struct probe_run *run)
{
    const struct dmarc_work *work = run->work;
    enum truth spf = vouches(work, false);
    enum truth dkim = vouches(work, true);

    probe_set_word(run, DMARC_RESULT, result_of(work, either(spf, dkim)));
    set_policy(run);
    set_record(run);
    set_aligned(run, spf, dkim);
    set_queries(run);
    if (dkim == UNKNOWN)
        probe_set_fault(run, DMARC_DKIM_AUTHOR);
    else
        probe_set(run, DMARC_DKIM_AUTHOR, value_bool(dkim == YES));
    probe_finish(run);
}
