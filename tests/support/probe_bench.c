/* SPDX-License-Identifier: MIT */
#include "probe_bench.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>

#include "bench_config.h"

enum { QUESTIONS_MAX = 64, FACTS_MAX = 32, GIVEN_MAX = 64 };

struct question {
    const char *name;
    enum dns_type type;
    /* of a probe, or of the struct dns */
    probe_got *got;
    uintptr_t tag;
    dns_done *done;
    void *arg;
};

/* A fact of another check. */
struct given {
    const struct slot *slot;
    struct value value;
};

struct bench_run {
    struct probe_run run; /* first: what the probe sees */
    struct bench *bench;
    struct value values[FACTS_MAX];
    bool finished;
};

struct bench {
    struct dns dns; /* first */
    bool dns_at_once;
    bool look_up_at_once;
    struct bench_config *config;
    struct arena *arena;
    const struct check *check;
    void *state;
    bool opened;
    struct layout *layout;
    const struct bench_answer *answers;
    bench_source *source; /* instead of answers */
    void *source_arg;
    struct question questions[QUESTIONS_MAX];
    size_t question_count;
    struct bench_run *now;
    struct str asked;
    struct given given[GIVEN_MAX];
    size_t given_count;
    void *stream;
    struct str warmed;
};

/* ---- DNS from rows ---- */

static void read_record(struct arena *arena, enum dns_type type, char *text,
                        struct dns_record *record)
{
    char *end;

    *record = (struct dns_record){.name = "", .text = ""};
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        if (!addr_parse(text, &record->addr))
            abort();
        break;
    case DNS_MX:
        record->preference = (uint16_t)strtoul(text, &end, 10);
        text = end + 1;
        /* fall through */
    default:
        record->name = strcmp(text, ".") == 0 ? "" : arena_strdup(arena, text);
    }
}

static const struct dns_answer *make_answer(struct bench *bench, const struct question *question,
                                            const char *records)
{
    struct dns_record read[DNS_RECORDS_MAX];
    struct dns_answer draft = {.status = DNS_FOUND,
                               .type = question->type,
                               .name = question->name,
                               .problem = "",
                               .records = read};
    char *rest = arena_strdup(bench->arena, records);

    if (strcmp(records, "!fault") == 0) {
        draft.status = DNS_FAULT;
        draft.problem = "SERVFAIL";
    } else if (strcmp(records, "!nodata") == 0) {
        draft.status = DNS_NO_DATA;
    } else if (strcmp(records, "!noname") == 0) {
        draft.status = DNS_NO_NAME;
    } else if (question->type == DNS_TXT) {
        read[0] = (struct dns_record){.name = "", .text = rest, .length = strlen(rest)};
        draft.count = 1;
    } else {
        while (rest != NULL) {
            char *text = rest;

            rest = strstr(rest, ", ");
            if (rest != NULL) {
                *rest = '\0';
                rest += 2;
            }
            read_record(bench->arena, question->type, text, &read[draft.count++]);
        }
    }
    return dns_answer_new(&draft);
}

/* The answer to a question; NULL for silence. */
static const struct dns_answer *look_up(struct bench *bench, const struct question *question)
{
    const struct bench_answer *row = bench->answers;
    const char *records = "!noname";

    if (bench->source != NULL)
        return bench->source(bench->source_arg, question->name, question->type);
    for (; row != NULL && row->name != NULL; row++)
        if (row->type == question->type && strcasecmp(row->name, question->name) == 0)
            records = row->records;
    return strcmp(records, "!silent") == 0 ? NULL : make_answer(bench, question, records);
}

static void note_question(struct bench *bench, const struct question *question)
{
    if (bench->asked.length > 0)
        str_add(&bench->asked, ", ");
    str_add_format(&bench->asked, "%s %s", dns_type_name(question->type), question->name);
}

static void queue(struct bench *bench, struct question question)
{
    assert(bench->question_count < QUESTIONS_MAX);
    question.name = arena_strdup(bench->arena, question.name);
    bench->questions[bench->question_count++] = question;
}

static struct question take(struct bench *bench, size_t at)
{
    struct question question = bench->questions[at];

    bench->question_count--;
    memmove(&bench->questions[at], &bench->questions[at + 1],
            (bench->question_count - at) * sizeof(question));
    return question;
}

static const struct dns_answer *dns_ask_bench(struct dns *dns, const char *name, enum dns_type type,
                                              unsigned timeout_ms, dns_done *done, void *arg,
                                              struct dns_query **query)
{
    struct bench *bench = (struct bench *)(void *)dns;
    struct question question = {.name = name, .type = type, .done = done, .arg = arg};

    (void)timeout_ms;
    note_question(bench, &question);
    if (bench->dns_at_once)
        return look_up(bench, &question);
    *query = (struct dns_query *)(void *)bench;
    queue(bench, question);
    return NULL;
}

static bool dns_cancel_bench(struct dns *dns, struct dns_query *query)
{
    (void)dns;
    (void)query;
    abort(); /* no check cancels */
}

static const struct dns_ops dns_ops_bench = {.ask = dns_ask_bench, .cancel = dns_cancel_bench};

void bench_deliver(struct bench *bench)
{
    while (bench->question_count > 0) {
        struct question question = take(bench, 0);
        const struct dns_answer *answer = look_up(bench, &question);

        if (answer == NULL)
            continue;
        question.done(question.arg, answer);
        dns_answer_unref(answer);
    }
}

struct dns *bench_struct_dns(struct bench *bench, bool at_once)
{
    bench->dns.ops = &dns_ops_bench;
    bench->dns_at_once = at_once;
    str_clear(&bench->asked);
    return &bench->dns;
}

void bench_tick(struct bench *bench, bool at_once)
{
    bench->check->tick(bench->state, bench_struct_dns(bench, at_once), NULL);
}

void bench_dns(struct bench *bench, const struct bench_answer *rows)
{
    bench->answers = rows;
    bench->source = NULL;
}

void bench_dns_at_once(struct bench *bench, bool at_once)
{
    bench->look_up_at_once = at_once;
}

void bench_dns_by(struct bench *bench, bench_source *source, void *arg)
{
    bench->source = source;
    bench->source_arg = arg;
}

/* ---- what the engine does for a probe ---- */

void probe_ask(struct probe_run *run, const char *name, enum dns_type type, probe_got *got,
               uintptr_t tag)
{
    struct bench *bench = ((struct bench_run *)(void *)run)->bench;
    struct question question = {.name = name, .type = type, .got = got, .tag = tag};

    note_question(bench, &question);
    queue(bench, question);
}

const struct dns_answer *probe_look_up(struct probe_run *run, const char *name, enum dns_type type,
                                       probe_got *got, uintptr_t tag)
{
    struct bench *bench = ((struct bench_run *)(void *)run)->bench;
    struct question question = {.name = name, .type = type, .got = got, .tag = tag};
    const struct dns_answer *answer = bench->look_up_at_once ? look_up(bench, &question) : NULL;

    note_question(bench, &question);
    if (answer == NULL)
        queue(bench, question);
    return answer;
}

void probe_set(struct probe_run *run, unsigned number, struct value value)
{
    struct bench_run *now = (struct bench_run *)(void *)run;

    assert(!now->finished);
    assert(number >= run->probe->first && number < run->probe->first + run->probe->count);
    assert(now->values[number].state == VALUE_OPEN); /* no fact is said twice */
    now->values[number] = value;
}

void probe_set_word(struct probe_run *run, unsigned number, unsigned word)
{
    probe_set(run, number, value_word(probe_slot(run, number), word));
}

void probe_set_text(struct probe_run *run, unsigned number, const char *text)
{
    probe_set(run, number, value_text(text));
}

void probe_set_fault(struct probe_run *run, unsigned number)
{
    probe_set(run, number, value_fault(probe_slot(run, number)));
}

const struct slot *probe_slot(const struct probe_run *run, unsigned number)
{
    const struct bench_run *now = (const struct bench_run *)(const void *)run;

    return &now->bench->layout->slots[number];
}

void probe_finish(struct probe_run *run)
{
    struct bench_run *now = (struct bench_run *)(void *)run;
    unsigned i;

    assert(!now->finished);
    for (i = run->probe->first; i < run->probe->first + run->probe->count; i++)
        if (now->values[i].state == VALUE_OPEN)
            probe_set_fault(run, i);
    now->finished = true;
    now->bench->question_count = 0;
}

/* ---- facts of other checks ---- */

static struct value read_value(struct bench *bench, const struct slot *slot, const char *text)
{
    struct addr addr = {.family = ADDR_NONE};
    const char **items = arena_alloc(bench->arena, (strlen(text) + 1) * sizeof(items[0]));
    size_t count = 0;
    char *rest;

    if (strcmp(text, "!fault") == 0)
        return value_fault(slot);
    switch ((enum fact_type)slot->type) {
    case FACT_BOOL:
        return value_bool(strcmp(text, "yes") == 0);
    case FACT_NUMBER:
        return value_number(strtoll(text, NULL, 10));
    case FACT_WORD:
        if (slot_word(slot, text) < 0)
            abort();
        return value_word(slot, (unsigned)slot_word(slot, text));
    case FACT_IP:
        if (!addr_parse(text, &addr))
            abort();
        return value_ip(addr);
    case FACT_SET:
    case FACT_ROWS:
        rest = arena_strdup(bench->arena, text);
        while (rest != NULL && text[0] != '\0') {
            items[count++] = rest;
            rest = strstr(rest, ", ");
            if (rest != NULL) {
                *rest = '\0';
                rest += 2;
            }
        }
        return value_set(items, count);
    case FACT_TEXT:
    case FACT_DOMAIN:
    case FACT_LOCAL_PART:
    case FACT_ADDRESS:
        break;
    }
    return value_text(arena_strdup(bench->arena, text));
}

static struct given *find_given(struct bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->given_count; i++)
        if (strcmp(bench->given[i].slot->name, name) == 0)
            return &bench->given[i];
    return NULL;
}

void bench_give(struct bench *bench, const struct fact_row *row, const char *text)
{
    const struct fact_part part = {row, 1};
    struct given *given = find_given(bench, row->name);

    if (given == NULL) {
        assert(bench->given_count < GIVEN_MAX);
        given = &bench->given[bench->given_count++];
        given->slot = &layout_new(bench->arena, &part, 1)->slots[0];
    }
    given->value = read_value(bench, given->slot, text);
}

const struct value *probe_value(const struct probe_run *run, const char *name,
                                const struct slot **slot)
{
    static const struct slot unknown = {.name = "", .type = FACT_TEXT};
    static const struct value absent = {.state = VALUE_KNOWN, .text = ""};
    struct bench *bench = ((const struct bench_run *)(const void *)run)->bench;
    const struct given *given = find_given(bench, name);
    const char *const *after = run->probe->after;

    while (after != NULL && *after != NULL && strcmp(*after, name) != 0)
        after++;
    /* A probe sees what it waits for, and nothing else. */
    assert(after != NULL && *after != NULL);
    if (slot != NULL)
        *slot = given != NULL ? given->slot : &unknown;
    return given != NULL ? &given->value : &absent;
}

/* ---- the message ---- */

static void close_stream(struct bench *bench)
{
    if (bench->stream != NULL && bench->check->stream->close != NULL)
        bench->check->stream->close(bench->stream);
    bench->stream = NULL;
}

/* What is warmed is asked aside and known at once. */
static void swap_asked(struct bench *bench)
{
    struct str asked = bench->asked;

    bench->asked = bench->warmed;
    bench->warmed = asked;
}

void bench_stream(struct bench *bench, const struct inputs *inputs)
{
    close_stream(bench);
    str_clear(&bench->warmed);
    bench->dns.ops = &dns_ops_bench;
    bench->dns_at_once = true;
    swap_asked(bench);
    bench->stream = bench->check->stream->open(bench->state, inputs, bench->arena, &bench->dns);
    swap_asked(bench);
}

void bench_header(struct bench *bench, const char *name, const char *value)
{
    swap_asked(bench);
    bench->check->stream->header(bench->stream, name, value);
    swap_asked(bench);
}

void bench_eoh(struct bench *bench)
{
    swap_asked(bench);
    if (bench->check->stream->eoh != NULL)
        bench->check->stream->eoh(bench->stream);
    swap_asked(bench);
}

void bench_chunk(struct bench *bench, const void *bytes, size_t length)
{
    /* A copy of its very size, so that the sanitizers see who reads past it. */
    unsigned char *copy = memcpy(xmalloc(length), bytes, length);

    if (bench->check->stream->body)
        bench->check->stream->chunk(bench->stream, copy, length);
    free(copy);
}

static void feed_field(struct bench *bench, const char *field, size_t length)
{
    size_t name = strcspn(field, ":");

    assert(name < length);
    bench_header(bench, arena_strndup(bench->arena, field, name),
                 arena_strndup(bench->arena, field + name + 1, length - name - 1));
}

void bench_message(struct bench *bench, const struct inputs *inputs, const char *message)
{
    bench_stream(bench, inputs);
    while (*message != '\0' && *message != '\n') {
        size_t length = strcspn(message, "\n");
        while (message[length] == '\n' &&
               (message[length + 1] == ' ' || message[length + 1] == '\t'))
            length += 1 + strcspn(message + length + 1, "\n");
        feed_field(bench, message, length);
        message += length + (message[length] == '\n');
    }
    bench_eoh(bench);
    message += *message == '\n';
    while (*message != '\0') {
        size_t length = strcspn(message, "\n");
        if (length > 0)
            bench_chunk(bench, message, length);
        message += length;
        if (*message == '\n') {
            bench_chunk(bench, "\r\n", 2);
            message++;
        }
    }
}

const char *bench_warmed(const struct bench *bench)
{
    return str_text(&bench->warmed);
}

/* ---- running a probe ---- */

struct inputs bench_inputs(void)
{
    static const struct mailbox nobody = {.sent = "",
                                          .address = "",
                                          .local = "",
                                          .domain = "",
                                          .literal = "",
                                          .null = true,
                                          .well_formed = true};

    return (struct inputs){.client_ptr = "",
                           .listener = "",
                           .daemon = "",
                           .helo = "",
                           .tls_version = "",
                           .sender = nobody,
                           .auth_user = "",
                           .auth_type = "",
                           .recipient = nobody};
}

static const struct probe *find_probe(const struct bench *bench, const char *name)
{
    size_t i;

    for (i = 0; i < bench->check->probe_count; i++)
        if (strcmp(bench->check->probes[i].name, name) == 0)
            return &bench->check->probes[i];
    abort();
}

/* Gives one answer; false when all that is left is silent. */
static bool answer_one(struct bench *bench, bool last_first)
{
    size_t i;

    for (i = 0; i < bench->question_count; i++) {
        size_t at = last_first ? bench->question_count - 1 - i : i;
        const struct dns_answer *answer = look_up(bench, &bench->questions[at]);

        if (answer == NULL)
            continue;
        struct question question = take(bench, at);

        question.got(&bench->now->run, answer, question.tag);
        dns_answer_unref(answer);
        return true;
    }
    return false;
}

/* "~temperror", "a@example.com[A@Example.COM]" */
static const char *show_value(struct bench *bench, unsigned number)
{
    const struct slot *slot = &bench->layout->slots[number];
    const struct value *value = &bench->now->values[number];
    bool text = slot->type == FACT_TEXT || slot->type == FACT_DOMAIN ||
                slot->type == FACT_LOCAL_PART || slot->type == FACT_ADDRESS;
    const char *shown = value_show(bench->arena, slot, value);
    const char *fault = value->state == VALUE_FAULT ? "~" : "";

    assert(value->state != VALUE_OPEN);
    if (text && strcmp(value->text, shown) != 0)
        return arena_printf(bench->arena, "%s%s[%s]", fault, value->text, shown);
    return arena_printf(bench->arena, "%s%s", fault, text ? value->text : shown);
}

static void show_fact(struct bench *bench, struct str *out, unsigned number)
{
    const char *name = bench->layout->slots[number].name;
    const char *dot = strrchr(name, '.');

    str_add_format(out, "%s%s=%s", out->length > 0 ? " " : "", dot != NULL ? dot + 1 : name,
                   show_value(bench, number));
}

const char *bench_fact(struct bench *bench, const char *name)
{
    return show_value(bench, layout_find(bench->layout, name));
}

const char *bench_cell(struct bench *bench, const char *name, size_t row, const char *column)
{
    slot_t number = layout_find(bench->layout, name);
    const struct slot *slot = &bench->layout->slots[number];
    const struct text_set *cells = &bench->now->values[number].set;
    int word = slot_word(slot, column);

    assert(slot->type == FACT_ROWS && word >= 0);
    return row < cells->count / slot->word_count
               ? cells->items[row * slot->word_count + (size_t)word]
               : "";
}

const char *bench_run(struct bench *bench, const char *name, const struct inputs *inputs,
                      bool last_first)
{
    const struct probe *probe = find_probe(bench, name);
    struct bench_run *run = arena_alloc(bench->arena, sizeof(*run));
    struct str out = {0};
    const char *text;
    unsigned i;

    assert(bench->opened);
    str_clear(&bench->asked);
    *run =
        (struct bench_run){.run = {.probe = probe,
                                   .state = bench->state,
                                   .inputs = inputs,
                                   .arena = bench->arena,
                                   .scratch = bench->arena,
                                   .stream = probe->stage == STAGE_MESSAGE ? bench->stream : NULL},
                           .bench = bench};
    bench->now = run;
    probe->start(&run->run);
    assert(run->finished || !probe->instant);
    while (!run->finished && answer_one(bench, last_first)) {
    }
    if (!run->finished && probe->expire != NULL)
        probe->expire(&run->run);
    if (!run->finished)
        probe_finish(&run->run);
    for (i = probe->first; i < probe->first + probe->count; i++)
        if (bench->layout->slots[i].type != FACT_ROWS)
            show_fact(bench, &out, i);
    text = arena_strdup(bench->arena, str_text(&out));
    str_free(&out);
    return text;
}

const char *bench_asked(const struct bench *bench)
{
    return str_text(&bench->asked);
}

/* ---- a bench ---- */

struct bench *bench_new(const struct check *check, const struct check *other, const char *config,
                        const char *base_dir)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));
    const struct check *checks[] = {check, other};
    struct fact_part part = {check->facts, check->fact_count};
    const struct check_site *site;

    assert(check->fact_count <= FACTS_MAX);
    bench->check = check;
    bench->arena = arena_new();
    bench->layout = layout_new(bench->arena, &part, 1);
    bench->config =
        bench_config_read(bench->arena, checks, other != NULL ? 2 : 1, config, base_dir);
    site = bench_config_site(bench->config);
    if (diag_errors(site->diag) == 0 && check->open != NULL)
        bench->state = check->open(site);
    bench->opened = diag_errors(site->diag) == 0;
    return bench;
}

void bench_free(struct bench *bench)
{
    close_stream(bench);
    if (bench->check->close != NULL)
        bench->check->close(bench->state);
    bench_config_close(bench->config);
    str_free(&bench->asked);
    str_free(&bench->warmed);
    arena_free(bench->arena);
    free(bench);
}

const char *bench_problems(struct bench *bench)
{
    const char *text = "";
    const char *line;
    unsigned i;

    for (i = 0; (line = diag_line(bench_config_site(bench->config)->diag, i)) != NULL; i++)
        text = arena_printf(bench->arena, "%s%s\n", text, line);
    return text;
}

const char *bench_cost(struct bench *bench, const char *probe)
{
    const char *text = NULL;

    if (bench->check->cost != NULL)
        text = bench->check->cost(bench->state, find_probe(bench, probe), bench->arena);
    return text != NULL ? text : "";
}

bool bench_used(struct bench *bench, const char *probe)
{
    return bench->check->used == NULL || bench->check->used(bench->state, find_probe(bench, probe));
}
