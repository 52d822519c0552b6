/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <postern/log.h>

/*
 * The events of an SMTP session, its lock and its life.
 */

/* ---- deadlines, and what follows from an event ---- */

struct deadline {
    struct engine_session *session;
    struct loop_timer *timer;
};

/* On the loop's thread. */
static void deadline_passed(void *arg)
{
    struct deadline *deadline = arg;
    struct engine_session *session = deadline->session;

    session_enter(session);
    if (session->wait.deadline == deadline) {
        session->wait.deadline = NULL;
        session->wait.expired = session->unsettled = true;
        stage_expire(session);
        session_leave(session);
    } else {
        session_quit(session);
    }
    free(deadline);
    session_unref(session);
}

static void start_deadline(struct engine_session *session)
{
    struct deadline *deadline = xcalloc(1, sizeof(*deadline));

    deadline->session = session_ref(session);
    deadline->timer =
        loop_timer_start(session->engine->options.loop, stage_budget(session, session->wait.stage),
                         deadline_passed, deadline);
    session->wait.deadline = deadline;
}

static void stop_deadline(struct engine_session *session)
{
    struct deadline *deadline = session->wait.deadline;

    session->wait.deadline = NULL;
    if (deadline != NULL && loop_timer_cancel(deadline->timer)) {
        free(deadline);
        session_unref(session);
    }
}

/* Whether the stage that waits has its outcome by now. */
static bool settle(struct engine_session *session)
{
    for (;;) {
        session_advance(session);
        if (!session->wait.active)
            return false;
        if (session->wait.cancelled) {
            session->action = (struct action){.kind = ACTION_CONTINUE, .rule = ""};
            return true;
        }
        if (!session->unsettled)
            return false;
        session->unsettled = false;
        if (stage_settle(session))
            return true;
        if (!session->changed && !session->unsettled && session->touched == NULL &&
            session->ready == NULL)
            return false;
    }
}

void session_leave(struct engine_session *session)
{
    bool settled = settle(session);
    struct record *records = session->records;
    struct wait wait = session->wait;

    for (int i = 0; i < SESSION_SPANS; i++)
        span_rest(&session->spans[i]);
    session->records = NULL;
    session->record_tail = &session->records;
    if (settled) {
        stop_deadline(session);
        session->wait = (struct wait){0};
    } else if (wait.active && !wait.expired && wait.deadline == NULL) {
        start_deadline(session);
    }
    session->recording += records != NULL;
    pthread_mutex_unlock(&session->lock);
    if (records != NULL) {
        records_send(session->engine, records);
        pthread_mutex_lock(&session->lock);
        session->recording--;
        pthread_cond_broadcast(&session->recorded);
        pthread_mutex_unlock(&session->lock);
    }
    if (settled)
        wait.done(wait.arg, &session->action);
    session_unref(session);
}

/* ---- the transaction ---- */

static void set_modes(struct engine_session *session)
{
    const struct mode_inputs inputs = {
        .today = clock_day(clock_wall()),
        .local = session->inputs.local,
        .client = session->inputs.client,
        .sender_domain = session->inputs.sender.domain,
    };

    policy_modes(session->wiring->policy, &inputs, session->modes);
}

static void end_transaction(struct engine_session *session)
{
    struct transaction *tx = &session->tx;

    if (!tx->open)
        return;
    session->touched = NULL;
    if (tx->last != NULL && !tx->last->taken)
        recipient_free(session, tx->last);
    while (tx->taken != NULL) {
        struct recipient *next = tx->taken->next;
        recipient_free(session, tx->taken);
        tx->taken = next;
    }
    session_clear_span(session, SPAN_TRANSACTION);
    streams_close(session);
    session->values[SCOPE_TRANSACTION] = session->values[SCOPE_MESSAGE] = NULL;
    *tx = (struct transaction){.qid = ""};
    inputs_without_transaction(&session->inputs);
    session->stage = session->greeted ? STAGE_HELO : STAGE_CONNECT;
}

/* Letters and digits that nobody takes for others when the id is read out on the telephone. */
static void make_id(struct engine *engine, char id[ID_LENGTH + 1])
{
    static const char alphabet[] = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";
    const unsigned count = sizeof(alphabet) - 1;
    unsigned char octets[2 * ID_LENGTH];
    size_t length = 0;

    while (length < ID_LENGTH) {
        engine_random(engine, octets, sizeof(octets));
        /* Octets past the last multiple of the alphabet would favour its beginning. */
        for (size_t i = 0; i < sizeof(octets) && length < ID_LENGTH; i++)
            if (octets[i] < 256 / count * count)
                id[length++] = alphabet[octets[i] % count];
    }
    id[length] = '\0';
}

static void begin_transaction(struct engine_session *session)
{
    const struct wiring *wiring = session->wiring;
    struct arena *arena = session->spans[SPAN_TRANSACTION].arena;

    session->tx = (struct transaction){.open = true, .qid = ""};
    session->tx.tail = &session->tx.taken;
    session->tx.headers = arena_alloc(arena, wiring->policy->derived_count * sizeof(const char *));
    for (int scope = SCOPE_TRANSACTION; scope <= SCOPE_MESSAGE; scope++)
        if (scope != SCOPE_RECIPIENT)
            session->values[scope] =
                arena_alloc(arena, wiring->layout->scope_count[scope] * sizeof(struct value));
    session_fill_absent(session, NULL, SPAN_TRANSACTION);
    session_forget_faults(session);
    make_id(session->engine, session->tx.id);
}

void session_take_last(struct engine_session *session)
{
    struct transaction *tx = &session->tx;

    if (tx->last == NULL || tx->last->taken)
        return;
    if (tx->last->refused) {
        recipient_free(session, tx->last);
        tx->last = NULL;
        return;
    }
    tx->last->taken = true;
    *tx->tail = tx->last;
    tx->tail = &tx->last->next;
    tx->taken_count++;
}

/* ---- events ---- */

static const char *copy(struct arena *arena, const char *text)
{
    return text != NULL ? arena_strdup(arena, text) : "";
}

/* What the MTA hands over between stages belongs to no stage that waits. */
static void enter_event(struct engine_session *session)
{
    session_enter(session);
    assert(!session->wait.active);
    session->events++;
}

void engine_connect(struct engine_session *session, const struct addr *client, const char *ptr,
                    const char *daemon, bool local, const char *mta_hostname)
{
    struct arena *arena = session->spans[SPAN_CONNECTION].arena;
    char text[ADDR_TEXT_SIZE];

    enter_event(session);
    if (client != NULL)
        session->inputs.client = *client;
    session->client_text = copy(arena, addr_format(&session->inputs.client, text));
    session->inputs.client_ptr = copy(arena, ptr);
    session->inputs.daemon = copy(arena, daemon);
    session->inputs.local = local;
    session->mta_hostname = copy(arena, mta_hostname);
    session->connected = session->changed = true;
    set_modes(session);
    session_leave(session);
}

/* Postfix says a new HELO before it aborts the transaction that the HELO ends (RFC 5321 4.1.4). */
void engine_helo(struct engine_session *session, const char *helo)
{
    enter_event(session);
    end_transaction(session);
    session_clear_span(session, SPAN_HELO);
    session_fill_absent(session, NULL, SPAN_HELO);
    session->inputs.helo = copy(session->spans[SPAN_HELO].arena, helo);
    session->greeted = session->changed = true;
    session->stage = STAGE_HELO;
    session_leave(session);
}

void engine_tls(struct engine_session *session, const char *version)
{
    enter_event(session);
    if (version != NULL && strcmp(session->inputs.tls_version, version) != 0)
        session->inputs.tls_version = copy(session->spans[SPAN_CONNECTION].arena, version);
    session_quit(session);
}

/* No abort comes after a reply at MAIL or the end of a message: a new MAIL ends the old
 * transaction. */
void engine_mail(struct engine_session *session, const char *path, const char *auth_user,
                 const char *auth_type)
{
    struct arena *arena = session->spans[SPAN_TRANSACTION].arena;

    enter_event(session);
    end_transaction(session);
    begin_transaction(session);
    session->inputs.sender = mailbox_parse(arena, path != NULL ? path : "");
    session->inputs.auth_user = copy(arena, auth_user);
    session->inputs.auth_type = copy(arena, auth_type);
    session->stage = STAGE_MAIL;
    session->changed = true;
    set_modes(session);
    session->tx.split = session->wiring->policy->mixed == MIXED_LATE && stage_may_split(session) &&
                        split_known(session->engine->split, &session->inputs.client,
                                    session->inputs.sender.address, clock_ms());
    session_leave(session);
}

void engine_rcpt(struct engine_session *session, const char *path)
{
    enter_event(session);
    if (session->tx.open) {
        session_take_last(session);
        session->tx.last = recipient_new(session, path != NULL ? path : "");
        session->stage = STAGE_RCPT;
        session->changed = true;
    }
    session_leave(session);
}

void engine_queue_id(struct engine_session *session, const char *qid)
{
    enter_event(session);
    if (session->tx.open && qid != NULL && strcmp(session->tx.qid, qid) != 0)
        session->tx.qid = copy(session->spans[SPAN_TRANSACTION].arena, qid);
    session_quit(session);
}

/* Octets of the field as it was sent: "Name:", the value with its blank, CRLF where it is folded
 * and at the end. */
static size_t field_size(const char *name, const char *value)
{
    size_t size = strlen(name) + 1 + strlen(value) + 2;

    for (const char *fold = strchr(value, '\n'); fold != NULL; fold = strchr(fold + 1, '\n'))
        size += fold == value || fold[-1] != '\r' ? 1 : 0;
    return size;
}

/* However many fields there are, nothing of a field is kept but what a rule asks for. */
void engine_header(struct engine_session *session, const char *name, const char *value)
{
    value = value != NULL ? value : "";
    enter_event(session);
    streams_open(session);
    if (session->tx.open) {
        results_note(session, name, value);
        session->inputs.message_size += field_size(name, value);
        if (strcasecmp(name, "Received") == 0)
            session->inputs.received_count++;
        derived_header(session, name, value);
    }
    session_quit(session);
    streams_header(session, name, value);
}

void engine_eoh(struct engine_session *session)
{
    enter_event(session);
    streams_open(session);
    session_quit(session);
    streams_eoh(session);
}

void engine_body(struct engine_session *session, const unsigned char *bytes, size_t length)
{
    enter_event(session);
    streams_open(session);
    session->inputs.message_size += length;
    session_quit(session);
    streams_chunk(session, bytes, length);
}

bool engine_wants_body(struct engine_session *session)
{
    bool wants;

    enter_event(session);
    streams_open(session);
    wants = session->tx.open && !session->tx.over &&
            (session->wiring->sizes || session->engine->options.everything ||
             streams_want_body(session));
    session_quit(session);
    return wants;
}

void engine_stage(struct engine_session *session, enum stage stage, engine_done *done, void *arg)
{
    enter_event(session);
    arena_reset(session->speech);
    if (stage >= STAGE_DATA && session->tx.open) {
        session_take_last(session);
        session->tx.undecided = session->tx.taken;
        session->stage = stage;
        session->changed = true;
    }
    if (stage == STAGE_MESSAGE) {
        streams_open(session);
        streams_eoh(session);
    }
    session->wait = (struct wait){.active = true, .stage = stage, .done = done, .arg = arg};
    session->unsettled = true;
    session_leave(session);
}

/* What a record shows dies with its transaction: one that another thread has in hand is gone in a
 * moment. */
static void enter_end(struct engine_session *session)
{
    session_enter(session);
    while (session->recording > 0)
        pthread_cond_wait(&session->recorded, &session->lock);
}

/* A front whose peer has gone may end a transaction while a stage waits: DONE is still called, and
 * hears "continue". */
void engine_end(struct engine_session *session)
{
    enter_end(session);
    session->wait.cancelled = session->wait.active;
    end_transaction(session);
    session_leave(session);
}

void engine_mta_refused(struct engine_session *session, const char *path, const char *code,
                        const char *text)
{
    struct record_what what = {.verdict = "mta-reject", .stage = STAGE_RCPT, .rule = "mta"};

    enter_event(session);
    arena_reset(session->speech);
    what.rcpt = mailbox_parse(session->speech, path != NULL ? path : "").sent;
    bool has_code = code != NULL && code[0] != '\0';
    what.reply = arena_printf(session->speech, "%s%s%s", has_code ? code : "", has_code ? " " : "",
                              text != NULL ? text : "");
    record_add(session, &what);
    session->tx.refused_count++;
    session_leave(session);
}

const char *engine_id(const struct engine_session *session)
{
    return session->tx.id;
}

void engine_view(const struct engine_session *session, struct view *view)
{
    *view = session_view(session, session->tx.last);
}

const struct config *engine_session_config(const struct engine_session *session)
{
    return session->wiring->config;
}

void engine_close(struct engine_session *session)
{
    if (session == NULL)
        return;
    enter_end(session);
    session->wait.cancelled = session->wait.active;
    end_transaction(session);
    session_clear_span(session, SPAN_HELO);
    span_cancel(&session->spans[SPAN_CONNECTION]);
    session->connected = false;
    session_leave(session);
    session_unref(session);
}
