/* SPDX-License-Identifier: MIT */
#include "spf_guard.h"

#include <assert.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/nameser.h>
#include <netdb.h>

#include <spf2/spf.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "spf_ahead.h"
#include "spf_eval.h"

enum { MARK_SIZE = 32 };

/* ---- marks ---- */

/* Writes NUMBER, which counts frames or terms, behind LETTER; returns where its NUL is. */
static char *put_number(char *at, char letter, size_t number)
{
    char digits[24];
    size_t count = 0;

    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    *at++ = letter;
    while (count > 0)
        *at++ = digits[--count];
    *at = '\0';
    return at;
}

static void mark_host(char mark[MARK_SIZE], size_t number)
{
    stpcpy(put_number(mark, 'h', number), ".spf");
}

static void mark_step(char mark[MARK_SIZE], const struct spf_guard *guard,
                      const struct spf_frame *frame, const struct spf_step *step)
{
    char *at = put_number(mark, 't', (size_t)(frame - guard->frames));

    stpcpy(put_number(at, '-', (size_t)(step - frame->record->steps)), ".spf");
}

/* libspf2 has come to the term with this mark. */
static void enter_step(struct spf_guard *guard, const char *mark)
{
    char *end;
    size_t frame, step;

    assert(mark[0] == 't');
    frame = strtoul(mark + 1, &end, 10);
    assert(frame < guard->frame_count && *end == '-');
    step = strtoul(end + 1, NULL, 10);
    assert(step < guard->frames[frame].record->count);
    spf_eval_enter(guard, &guard->frames[frame], &guard->frames[frame].record->steps[step]);
}

/* It has come to a host of the current mx. */
static const char *host_of(const struct spf_guard *guard, const char *mark)
{
    size_t number = strtoul(mark + 1, NULL, 10);

    assert(guard->mx != NULL && number < guard->mx->name_count);
    return guard->mx->names[number];
}

/* ---- answers in libspf2's form ---- */

static SPF_dns_rr_t *new_rr(SPF_dns_server_t *dns, ns_type type, SPF_dns_stat_t status)
{
    SPF_dns_rr_t *rr = SPF_dns_rr_new_init(dns, "", type, 0, status);

    if (rr == NULL)
        abort(); /* no memory */
    return rr;
}

static SPF_dns_rr_data_t *add_data(SPF_dns_rr_t *rr, size_t length)
{
    if (SPF_dns_rr_buf_realloc(rr, rr->num_rr, length) != SPF_E_SUCCESS)
        abort(); /* no memory */
    rr->herrno = NETDB_SUCCESS;
    return rr->rr[rr->num_rr++];
}

static void add_addr(SPF_dns_rr_t *rr, const struct addr *addr)
{
    SPF_dns_rr_data_t *data = add_data(rr, sizeof(*data));

    if (rr->rr_type == ns_t_a)
        memcpy(&data->a, addr->bytes, sizeof(data->a));
    else
        memcpy(&data->aaaa, addr->bytes, sizeof(data->aaaa));
}

static void add_host(SPF_dns_rr_t *rr, size_t number)
{
    char mark[MARK_SIZE];

    mark_host(mark, number);
    memcpy(add_data(rr, sizeof(mark)), mark, sizeof(mark));
}

/* ---- the terms ---- */

/* libspf2 compares the addresses under the term's prefix lengths, but does not know length 0: then
 * every address is the client's. */
static void answer_addresses(struct spf_guard *guard, SPF_dns_rr_t *rr, const char *name)
{
    const struct spf_term *term = &guard->step->term;
    const struct addr *client = &guard->subject->client;
    const struct spf_answer *answer = spf_eval_ask(guard, spf_eval_address(guard), name);
    bool any = (client->family == ADDR_IPV4 ? term->bits4 : term->bits6) == 0;
    size_t i;

    for (i = 0; answer != NULL && i < answer->count; i++)
        add_addr(rr, any ? client : &answer->addrs[i]);
}

/* All hosts are asked side by side; libspf2 then comes back for each. */
static void answer_mx(struct spf_guard *guard, SPF_dns_rr_t *rr, const char *name)
{
    size_t i;

    guard->mx = spf_eval_ask(guard, SPF_ASK_MX, name);
    if (guard->mx == NULL)
        return;
    if (guard->mx->count > SPF_HOSTS_MAX) {
        spf_eval_force(
            guard, SPF_WORD_PERMERROR,
            arena_printf(guard->arena, "'%s' has more than 10 hosts", guard->step->shown));
        return;
    }
    for (i = 0; i < guard->mx->name_count; i++) {
        spf_eval_look_up(guard, spf_eval_address(guard), guard->mx->names[i]);
        add_host(rr, i);
    }
}

static void answer_term(struct spf_guard *guard, SPF_dns_rr_t *rr)
{
    const char *name;

    if (spf_eval_hopeless(guard))
        return;
    name = spf_eval_target(guard);
    if (name == NULL)
        return;
    switch (guard->step->term.kind) {
    case SPF_KIND_A:
        answer_addresses(guard, rr, name);
        break;
    case SPF_KIND_MX:
        answer_mx(guard, rr, name);
        break;
    case SPF_KIND_PTR:
        if (spf_eval_ptr(guard, name))
            add_addr(rr, &guard->subject->client);
        break;
    default:
        assert(guard->step->term.kind == SPF_KIND_EXISTS);
        if (spf_eval_ask(guard, SPF_ASK_A, name) != NULL)
            add_addr(rr, &guard->subject->client);
    }
}

static SPF_dns_rr_t *hook_lookup(SPF_dns_server_t *dns, const char *name, ns_type type, int cached)
{
    struct spf_guard *guard = dns->hook;
    SPF_dns_rr_t *rr = new_rr(dns, type, NO_DATA);

    (void)cached;
    if (spf_eval_stopped(guard)) {
        rr->herrno = TRY_AGAIN;
        return rr;
    }
    if (name[0] == 'h') {
        answer_addresses(guard, rr, host_of(guard, name));
    } else {
        enter_step(guard, name);
        if (guard->step->kind != SPF_STEP_TERM)
            add_addr(rr, &guard->subject->client);
        else if (!spf_eval_stopped(guard))
            answer_term(guard, rr);
    }
    if (spf_eval_stopped(guard))
        rr->herrno = TRY_AGAIN;
    return rr;
}

/* ---- records ---- */

static const char *const verbs[] = {
    [SPF_KIND_A] = "a",           [SPF_KIND_MX] = "mx",           [SPF_KIND_PTR] = "exists",
    [SPF_KIND_EXISTS] = "exists", [SPF_KIND_INCLUDE] = "include",
};

/* What libspf2 shall make of a step.  What matches for certain is an exists that does, so that
 * libspf2 asks for it, and that it came there is seen. */
static void write_step(struct str *text, const struct spf_guard *guard,
                       const struct spf_frame *frame, const struct spf_step *step)
{
    const struct spf_term *term = &step->term;
    char mark[MARK_SIZE];

    mark_step(mark, guard, frame, step);
    if (term->kind == SPF_KIND_REDIRECT) {
        str_add_format(text, " redirect=%s", mark);
        return;
    }
    str_add_char(text, ' ');
    str_add_char(text, term->qualifier);
    str_add(text, step->kind == SPF_STEP_TERM ? verbs[term->kind] : "exists");
    str_add_char(text, ':');
    str_add(text, mark);
    if (term->kind != SPF_KIND_A && term->kind != SPF_KIND_MX)
        return;
    if (term->bits4 > 0 && term->bits4 < 32)
        str_add_format(text, "/%u", term->bits4);
    if (term->bits6 > 0 && term->bits6 < 128)
        str_add_format(text, "//%u", term->bits6);
}

static SPF_errcode_t compile(SPF_server_t *server, SPF_response_t *response, SPF_record_t **record,
                             const char *text)
{
    SPF_errcode_t code = SPF_record_compile(server, response, record, text);

    if (code != SPF_E_SUCCESS && *record != NULL) {
        SPF_record_free(*record);
        *record = NULL;
    }
    return code;
}

/* Enters the record of DOMAIN, and has libspf2 compile what it shall see of it. */
static SPF_errcode_t open_frame(struct spf_guard *guard, const struct spf_frame *frame,
                                SPF_server_t *server, SPF_response_t *response,
                                SPF_record_t **record)
{
    struct str text = {0};
    SPF_errcode_t code;
    size_t i;

    assert(guard->frame_count < SPF_FRAMES_MAX);
    guard->frames[guard->frame_count] = *frame;
    frame = &guard->frames[guard->frame_count++];
    str_add(&text, "v=spf1");
    for (i = 0; i < frame->record->count; i++)
        write_step(&text, guard, frame, &frame->record->steps[i]);
    code = compile(server, response, record, str_text(&text));
    /* What does not fit into 511 bytes libspf2 leaves out without a word: this always fits. */
    assert(code != SPF_E_SUCCESS || (*record)->num_mech == frame->record->count);
    str_free(&text);
    return code;
}

static SPF_errcode_t hook_get_spf(SPF_server_t *server, SPF_request_t *request,
                                  SPF_response_t *response, SPF_record_t **record)
{
    struct spf_guard *guard = server->resolver->hook;
    struct spf_frame frame;

    *record = NULL;
    if (!spf_eval_stopped(guard))
        enter_step(guard, request->cur_dom);
    if (spf_eval_stopped(guard))
        return SPF_E_DNS_ERROR;
    /* An include that cannot match is one of a record that never passes. */
    if (spf_eval_hopeless(guard) && guard->step->term.kind == SPF_KIND_INCLUDE)
        return compile(server, response, record, "v=spf1 ?all");
    frame = (struct spf_frame){.parent = guard->frame, .by = guard->step};
    frame.domain = spf_eval_hopeless(guard) ? "" : spf_eval_target(guard);
    frame.record = spf_eval_included(guard, frame.domain);
    if (frame.record == NULL)
        return SPF_E_DNS_ERROR;
    return open_frame(guard, &frame, server, response, record);
}

/* ---- a run ---- */

static void set_client(SPF_request_t *request, const struct addr *client)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;

    if (client->family == ADDR_IPV4) {
        memcpy(&ipv4, client->bytes, sizeof(ipv4));
        SPF_request_set_ipv4(request, ipv4);
    } else {
        memcpy(&ipv6, client->bytes, sizeof(ipv6));
        SPF_request_set_ipv6(request, ipv6);
    }
}

static void take_result(struct spf_guard *guard, SPF_result_t result, SPF_errcode_t code)
{
    switch (result) {
    case SPF_RESULT_PASS:
        guard->verdict.word = SPF_WORD_PASS;
        break;
    case SPF_RESULT_FAIL:
        guard->verdict.word = SPF_WORD_FAIL;
        break;
    case SPF_RESULT_SOFTFAIL:
        guard->verdict.word = SPF_WORD_SOFTFAIL;
        break;
    case SPF_RESULT_NEUTRAL:
        guard->verdict.word = SPF_WORD_NEUTRAL;
        break;
    default: /* it did not like what the guard wrote, or lacks memory */
        spf_eval_force(guard, SPF_WORD_TEMPERROR,
                       arena_printf(guard->arena, "libspf2: %s", SPF_strerror(code)));
    }
}

/* Lets libspf2 evaluate.  Neither the constructor of SPF_server_t nor the usual entry to an
 * evaluation is used: the one ends the process on a host whose name has 64 characters, the other
 * lets loopback clients pass. */
static void interpret(struct spf_guard *guard, const struct spf_frame *top)
{
    char top_mark[] = "top.spf";
    SPF_dns_server_t dns = {
        .lookup = hook_lookup, .get_spf = hook_get_spf, .name = top_mark, .hook = guard};
    SPF_server_t server = {.resolver = &dns,
                           .rec_dom = top_mark,
                           .max_dns_mech = INT_MAX,
                           .max_dns_ptr = INT_MAX,
                           .max_dns_mx = INT_MAX};
    SPF_request_t *request = SPF_request_new(&server);
    SPF_response_t *response = request != NULL ? SPF_response_new(request) : NULL;
    SPF_record_t *record = NULL;
    SPF_errcode_t code;

    if (response == NULL)
        abort(); /* no memory */
    set_client(request, &guard->subject->client);
    request->cur_dom = top_mark;
    code = open_frame(guard, top, &server, response, &record);
    if (code == SPF_E_SUCCESS) {
        response->spf_record_exp = record;
        code = SPF_record_interpret(record, request, response, 0);
    }
    if (!spf_eval_stopped(guard))
        take_result(guard, SPF_response_result(response), code);
    if (record != NULL)
        SPF_record_free(record);
    SPF_response_free(response);
    SPF_request_free(request);
}

static bool evaluate(struct spf_guard *guard)
{
    struct spf_frame top = {.domain = guard->subject->domain};

    guard->frame_count = 0;
    guard->frame = NULL;
    guard->step = NULL;
    guard->terms = guard->voids = 0;
    guard->doubt = "";
    top.record = spf_eval_first(guard);
    if (top.record != NULL)
        interpret(guard, &top);
    guard->verdict.lookups = guard->terms;
    if (guard->missing)
        return false;
    guard->verdict.path = spf_eval_path(guard);
    if (!guard->forced)
        guard->verdict.mechanism = guard->step->shown;
    if (guard->verdict.word == SPF_WORD_PERMERROR ||
        (!guard->forced && guard->verdict.word != SPF_WORD_PASS))
        guard->verdict.doubt = guard->doubt;
    if (guard->verdict.word == SPF_WORD_FAIL)
        spf_eval_find_exp(guard);
    return true;
}

/* ---- the interface ---- */

struct spf_guard *spf_guard_new(struct arena *arena, const struct spf_subject *subject,
                                spf_guard_ask *ask, void *arg)
{
    struct spf_guard *guard = arena_alloc(arena, sizeof(*guard));
    const char *c;

    assert(subject->client.family != ADDR_NONE);
    guard->arena = arena;
    guard->subject = subject;
    guard->known.arena = arena;
    guard->known.client = subject->client;
    guard->ask = ask;
    guard->ask_arg = arg;
    guard->verdict = (struct spf_verdict){
        .mechanism = "", .path = "", .explanation = "", .problem = "", .doubt = ""};
    for (c = subject->local; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            guard->odd_local = true;
    return guard;
}

bool spf_guard_run(struct spf_guard *guard, int64_t elapsed_ms)
{
    if (elapsed_ms > SPF_DEADLINE_MS) {
        spf_guard_expire(guard);
        return true;
    }
    guard->missing = guard->forced = false;
    if (guard->exp == NULL && !evaluate(guard)) {
        spf_ahead(guard);
        return false;
    }
    if (guard->exp == NULL)
        return true;
    guard->missing = guard->forced = false;
    return spf_eval_explain(guard);
}

bool spf_guard_waits(const struct spf_guard *guard)
{
    return spf_known_lacks(&guard->known);
}

void spf_guard_expire(struct spf_guard *guard)
{
    if (guard->exp != NULL)
        return;
    guard->missing = guard->forced = false;
    spf_eval_force(guard, SPF_WORD_TEMPERROR, "time is up");
    guard->verdict.path = spf_eval_path(guard);
}

const struct spf_verdict *spf_guard_verdict(const struct spf_guard *guard)
{
    return &guard->verdict;
}

size_t spf_guard_question_count(const struct spf_guard *guard)
{
    return guard->known.count;
}

const char *spf_guard_question(const struct spf_guard *guard, size_t number, enum dns_type *type)
{
    const struct spf_answer *answer = guard->known.answers[number];

    *type = spf_ask_type(answer->ask);
    return answer->name;
}

void spf_guard_answer(struct spf_guard *guard, size_t number, const struct dns_answer *answer)
{
    spf_known_take(&guard->known, number, answer);
}
