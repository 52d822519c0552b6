/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_dns.h"
#include "rig_streams.h"

#include <postern/arena.h>
#include <postern/str.h>

/* Another support file stands in for the engine with functions of these names; the engine's are
 * meant here. */
#pragma weak probe_ask
#pragma weak probe_look_up
#pragma weak probe_set
#pragma weak probe_set_text
#pragma weak probe_set_fault
#pragma weak probe_finish

enum { RECORDS_MAX = 64, SPEECH_MAX = 2048, WAIT_S = 20 };

/* ---- the check ---- */

enum { T_CLIENT, T_REASON, T_HELO, T_SENDER, T_RCPT, T_MESSAGE };

static const struct fact_row t_facts[] = {
    {"t.client", FACT_NUMBER, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "number of the client"},
    {"t.reason", FACT_TEXT, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "text of the client"},
    {"t.helo", FACT_NUMBER, STAGE_HELO, SCOPE_CONNECTION, NULL, "number of the HELO"},
    {"t.sender", FACT_NUMBER, STAGE_MAIL, SCOPE_TRANSACTION, NULL, "number of the sender"},
    {"t.rcpt", FACT_NUMBER, STAGE_RCPT, SCOPE_RECIPIENT, NULL, "number of the recipient"},
    {"t.message", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "number of the message"},
};

static void got_number(struct probe_run *run, const struct dns_answer *answer, uintptr_t number)
{
    if (answer->status == DNS_FAULT)
        probe_set_fault(run, (unsigned)number);
    else
        probe_set(run, (unsigned)number,
                  value_number(answer->status == DNS_FOUND ? answer->records[0].addr.bytes[3] : 0));
    probe_finish(run);
}

static void ask(struct probe_run *run, const char *subject, const char *zone, unsigned number)
{
    /* Asked twice: the second answer finds the probe finished. */
    for (int i = 0; i < 2; i++)
        probe_ask(run, arena_printf(run->arena, "%s.%s.test", subject, zone), DNS_A, got_number,
                  number);
}

static void got_reason(struct probe_run *run, const struct dns_answer *answer, uintptr_t tag)
{
    (void)tag;
    probe_set_text(run, T_REASON,
                   answer->status == DNS_FOUND ? arena_strdup(run->arena, answer->records[0].text)
                                               : "");
    probe_finish(run);
}

static void start_client(struct probe_run *run)
{
    probe_ask(run, "client.test", DNS_A, got_number, T_CLIENT);
}

static void start_reason(struct probe_run *run)
{
    probe_ask(run, "client.test", DNS_TXT, got_reason, 0);
}

static void expire_client(struct probe_run *run)
{
    probe_set(run, T_CLIENT, value_interval(0, 10));
    probe_finish(run);
}

static void start_helo(struct probe_run *run)
{
    ask(run, run->inputs->helo, "helo", T_HELO);
}

static void start_sender(struct probe_run *run)
{
    ask(run, run->inputs->sender.local, "sender", T_SENDER);
}

static void start_rcpt(struct probe_run *run)
{
    ask(run, run->inputs->recipient.local, "rcpt", T_RCPT);
}

static void start_message(struct probe_run *run)
{
    probe_ask(run, "message.test", DNS_A, got_number, T_MESSAGE);
}

#define PROBE(NAME, STAGE, SCOPE, FACT, START)                                                     \
    .name = NAME, .stage = STAGE, .scope = SCOPE, .first = FACT, .count = 1, .start = START

static const struct probe t_probes[] = {
    {PROBE("t-client", STAGE_CONNECT, SCOPE_CONNECTION, T_CLIENT, start_client),
     .expire = expire_client},
    {PROBE("t-reason", STAGE_CONNECT, SCOPE_CONNECTION, T_REASON, start_reason)},
    {PROBE("t-helo", STAGE_HELO, SCOPE_CONNECTION, T_HELO, start_helo)},
    {PROBE("t-sender", STAGE_MAIL, SCOPE_TRANSACTION, T_SENDER, start_sender)},
    {PROBE("t-rcpt", STAGE_RCPT, SCOPE_RECIPIENT, T_RCPT, start_rcpt)},
    {PROBE("t-message", STAGE_MESSAGE, SCOPE_MESSAGE, T_MESSAGE, start_message)},
};

static const struct check t_check = {
    .name = "t",
    .help = "numbers from rows",
    .facts = t_facts,
    .fact_count = sizeof(t_facts) / sizeof(t_facts[0]),
    .probes = t_probes,
    .probe_count = sizeof(t_probes) / sizeof(t_probes[0]),
};

/* ---- the rig ---- */

struct rig {
    struct fake_dns *dns;
    struct fake_dns_row *rows;
    size_t row_count;
    bool *held; /* per row: rig_release() answers it */
    struct rig_options options;
    struct arena *arena;
    struct config_schema schema;
    struct loop *loop;
    struct engine *engine;
    char folder[64];
    struct engine_session *session; /* of the stage under way */
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool spoken;
    char speech[SPEECH_MAX];
    size_t record_count;
    char *records[RECORDS_MAX];
    struct arena *shown; /* under the lock */
};

void rig_answer(struct rig *rig, size_t i, const char *answer)
{
    struct fake_dns_row *row = &rig->rows[i];

    row->when = FAKE_DNS_LATER;
    row->fault = NULL;
    row->data[0] = NULL;
    rig->held[i] = strncmp(answer, "hold ", 5) == 0;
    if (rig->held[i])
        answer += 5;
    if (rig->held[i] || strcmp(answer, "silent") == 0)
        row->when = FAKE_DNS_HELD;
    if (answer[0] == '!')
        row->when = FAKE_DNS_AT_ONCE, answer++;
    if (strcmp(answer, "fault") == 0)
        row->fault = "SERVFAIL";
    else if (strcmp(answer, "none") != 0 && strcmp(answer, "silent") != 0)
        row->data[0] = answer;
}

static void make_rows(struct rig *rig)
{
    const struct rig_answer *answers = rig->options.dns;
    size_t count = 0;

    while (answers != NULL && answers[count].name != NULL)
        count++;
    rig->rows = arena_alloc(rig->arena, count * sizeof(rig->rows[0]));
    rig->held = arena_alloc(rig->arena, count * sizeof(rig->held[0]));
    rig->row_count = count;
    for (size_t i = 0; i < count; i++) {
        rig->rows[i].name = answers[i].name;
        rig->rows[i].type = answers[i].type;
        rig_answer(rig, i, answers[i].answer);
    }
    rig->dns = fake_dns_new(rig->rows, count, rig->loop);
}

static void make_schema(struct rig *rig)
{
    static const struct check *const ours[] = {&t_check, &rig_s_check, &rig_b_check};
    const size_t count = checks_count + sizeof(ours) / sizeof(ours[0]);
    const struct check **checks = arena_alloc(rig->arena, count * sizeof(checks[0]));
    struct fact_part *parts = arena_alloc(rig->arena, count * sizeof(parts[0]));
    slot_t *first = arena_alloc(rig->arena, count * sizeof(first[0]));
    slot_t next = 0;

    for (size_t i = 0; i < count; i++) {
        checks[i] = i < checks_count ? checks_all[i] : ours[i - checks_count];
        parts[i] = (struct fact_part){checks[i]->facts, checks[i]->fact_count};
        first[i] = next;
        next += (slot_t)checks[i]->fact_count;
    }
    rig->schema = (struct config_schema){
        .checks = checks,
        .check_count = count,
        .layout = layout_new(rig->arena, parts, count),
        .first_slot = first,
    };
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static struct config *load(struct rig *rig, const char *text)
{
    char path[128];
    struct diag *diag = diag_new();
    struct config *config;
    FILE *file;

    snprintf(path, sizeof(path), "%s/values", rig->folder);
    if (rig->options.values != NULL)
        write_file(path, rig->options.values);
    snprintf(path, sizeof(path), "%s/postern.conf", rig->folder);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "hostname mx.example.org; state_dir %s; listen mx { socket unix:%s/socket; mode %s; } "
            "budget { %s } audit { to syslog; %s }\n%s",
            rig->folder, rig->folder,
            rig->options.listen_mode != NULL ? rig->options.listen_mode : "enforce",
            rig->options.budget != NULL ? rig->options.budget : "mail 60s; rcpt 60s; message 60s;",
            rig->options.audit != NULL ? rig->options.audit : "accepted yes;", text);
    assert_int_equal(fclose(file), 0);
    config = config_load(path, &rig->schema, diag);
    if (config == NULL)
        diag_print(diag, stderr);
    assert_non_null(config);
    diag_free(diag);
    return config;
}

static void no_id(char *text)
{
    char *id = strstr(text, "(ref ");

    if (id != NULL && strlen(id) >= 12)
        memmove(id + 5, "ID", 2), memmove(id + 7, id + 11, strlen(id + 11) + 1);
}

static void recorded(void *arg, const struct audit_field *fields, size_t count)
{
    struct rig *rig = arg;
    struct arena *arena = arena_new();
    char *line = xstrdup(audit_line(arena, fields, count));

    no_id(line);
    arena_free(arena);
    pthread_mutex_lock(&rig->lock);
    if (rig->record_count < RECORDS_MAX)
        rig->records[rig->record_count++] = line;
    else
        free(line);
    pthread_mutex_unlock(&rig->lock);
}

struct rig *rig_new(const struct rig_options *options, const char *text)
{
    struct rig *rig = xcalloc(1, sizeof(*rig));
    struct config *config;

    rig->options = *options;
    rig->arena = arena_new();
    rig->shown = arena_new();
    strcpy(rig->folder, "/tmp/postern-engine-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    make_schema(rig);
    rig->loop = loop_new();
    assert_non_null(rig->loop);
    pthread_mutex_init(&rig->lock, NULL);
    pthread_cond_init(&rig->done, NULL);
    make_rows(rig);
    config = load(rig, text);
    rig->engine = engine_new(&(struct engine_options){.dns = fake_dns_dns(rig->dns),
                                                      .loop = rig->loop,
                                                      .everything = options->everything,
                                                      .recorded = recorded,
                                                      .arg = rig},
                             config);
    config_unref(config);
    return rig;
}

void rig_configure(struct rig *rig, const char *text)
{
    struct config *config = load(rig, text);

    engine_configure(rig->engine, config);
    config_unref(config);
}

void rig_free(struct rig *rig)
{
    char command[128];

    engine_free(rig->engine);
    assert_int_equal(rig_in_flight(rig), 0);
    fake_dns_free(rig->dns);
    loop_free(rig->loop);
    pthread_mutex_destroy(&rig->lock);
    pthread_cond_destroy(&rig->done);
    rig_forget_records(rig);
    arena_free(rig->arena);
    arena_free(rig->shown);
    snprintf(command, sizeof(command), "rm -rf %s", rig->folder);
    assert_int_equal(system(command), 0);
    free(rig);
}

struct engine *rig_engine(struct rig *rig)
{
    return rig->engine;
}

void rig_release(struct rig *rig)
{
    for (size_t i = 0; i < rig->row_count; i++)
        if (rig->held[i])
            fake_dns_release(rig->dns, rig->rows[i].name, rig->rows[i].type);
}

size_t rig_asked(struct rig *rig, const char *name, enum dns_type type)
{
    return fake_dns_asked(rig->dns, name, type);
}

size_t rig_in_flight(struct rig *rig)
{
    return fake_dns_open(rig->dns);
}

static void pass_by(void *arg)
{
    sem_post(arg);
}

bool rig_settle(struct rig *rig)
{
    sem_t passed;
    bool settled = false;

    sem_init(&passed, 0, 0);
    for (int wait = 0; wait < 5000 && !settled; wait++) {
        if (rig_in_flight(rig) > 0) {
            usleep(1000);
            continue;
        }
        /* An answer that is being told may lead to the next question. */
        loop_post(rig->loop, pass_by, &passed);
        sem_wait(&passed);
        settled = rig_in_flight(rig) == 0;
    }
    sem_destroy(&passed);
    return settled;
}

/* ---- stages ---- */

static void spoken(void *arg, const struct action *action)
{
    struct rig *rig = arg;
    struct arena *arena = arena_new();
    struct str text = {0};

    if (action->kind == ACTION_REPLY) {
        str_add(&text, reply_oneline(arena, action->reply));
        assert_true(reply_valid(action->reply));
    } else {
        str_add(&text, action->kind == ACTION_QUARANTINE ? "quarantine " : "continue");
        if (action->kind == ACTION_QUARANTINE)
            str_add(&text, action->reason);
    }
    for (size_t i = 0; i < action->header_count; i++)
        str_add_format(&text, "; %s: %s", action->headers[i].name, action->headers[i].value);
    for (size_t i = 0; i < action->removal_count; i++)
        str_add_format(&text, "; -%s %u", action->removals[i].name, action->removals[i].index);
    if (action->observed)
        str_add(&text, " observed");
    pthread_mutex_lock(&rig->lock);
    snprintf(rig->speech, sizeof(rig->speech), "%s", str_text(&text));
    no_id(rig->speech);
    rig->spoken = true;
    pthread_cond_broadcast(&rig->done);
    pthread_mutex_unlock(&rig->lock);
    str_free(&text);
    arena_free(arena);
}

void rig_start(struct rig *rig, struct engine_session *session, enum stage stage)
{
    pthread_mutex_lock(&rig->lock);
    rig->spoken = false;
    pthread_mutex_unlock(&rig->lock);
    engine_stage(session, stage, spoken, rig);
}

const char *rig_wait(struct rig *rig)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&rig->lock);
    while (!rig->spoken && error == 0)
        error = pthread_cond_timedwait(&rig->done, &rig->lock, &until);
    pthread_mutex_unlock(&rig->lock);
    assert_int_equal(error, 0);
    return rig->speech;
}

const char *rig_spoken(struct rig *rig)
{
    bool spoke;

    pthread_mutex_lock(&rig->lock);
    spoke = rig->spoken;
    pthread_mutex_unlock(&rig->lock);
    return spoke ? rig->speech : NULL;
}

const char *rig_stage(struct rig *rig, struct engine_session *session, enum stage stage)
{
    rig_start(rig, session, stage);
    return rig_wait(rig);
}

struct engine_session *rig_session(struct rig *rig)
{
    struct engine_session *session = engine_open(rig->engine, "mx");
    struct addr client;

    assert_true(addr_parse("192.0.2.1", &client));
    engine_connect(session, &client, "claimed.example", "smtpd", false, "mta.example.org");
    assert_string_equal(rig_stage(rig, session, STAGE_CONNECT), "continue");
    engine_helo(session, "name");
    assert_string_equal(rig_stage(rig, session, STAGE_HELO), "continue");
    return session;
}

const char *rig_mail(struct rig *rig, struct engine_session *session, const char *path)
{
    engine_mail(session, path, NULL, NULL);
    return rig_stage(rig, session, STAGE_MAIL);
}

const char *rig_rcpt(struct rig *rig, struct engine_session *session, const char *path)
{
    engine_rcpt(session, path);
    return rig_stage(rig, session, STAGE_RCPT);
}

const char *rig_message(struct rig *rig, struct engine_session *session)
{
    static const char body[1000];

    rig_stage(rig, session, STAGE_DATA);
    engine_queue_id(session, "4XyZ");
    engine_header(session, "Received", "from a by b");
    engine_header(session, "Subject", " Hello,\r\n\tworld ");
    engine_header(session, "subject", "second");
    engine_body(session, (const unsigned char *)body, 1000);
    engine_body(session, (const unsigned char *)body, 234);
    return rig_stage(rig, session, STAGE_MESSAGE);
}

/* ---- records ---- */

size_t rig_records(struct rig *rig)
{
    size_t count;

    pthread_mutex_lock(&rig->lock);
    count = rig->record_count;
    pthread_mutex_unlock(&rig->lock);
    return count;
}

const char *rig_record(struct rig *rig, size_t i)
{
    return i < rig_records(rig) ? rig->records[i] : NULL;
}

const char *rig_field(struct rig *rig, size_t i, const char *key)
{
    const char *line = rig_record(rig, i);
    size_t length = strlen(key);

    if (line == NULL)
        return NULL;
    while (*line != '\0') {
        const char *value = strchr(line, '=') + 1;
        size_t size = 0;
        bool quoted = *value == '"';
        bool is_it = (size_t)(value - line) == length + 1 && strncmp(line, key, length) == 0;
        for (size = quoted ? 1 : 0; value[size] != (quoted ? '"' : ' ') && value[size] != '\0';)
            size += value[size] == '\\' && value[size + 1] != 'x' ? 2 : 1;
        size += quoted ? 1 : 0;
        if (is_it)
            return arena_strndup(rig->shown, value, size);
        line = value + size;
        line += *line == ' ' ? 1 : 0;
    }
    return NULL;
}

void rig_forget_records(struct rig *rig)
{
    for (size_t i = 0; i < rig->record_count; i++)
        free(rig->records[i]);
    rig->record_count = 0;
}
