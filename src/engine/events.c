/* SPDX-License-Identifier: MIT */
#include "engine_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <postern/log.h>

/*
 * The events of an SMTP session, its lock and its life.
 */

/* ---- lock and life ---- */

struct engine_session *session_ref(struct engine_session *session)
{
    atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
    return session;
}

void session_unref(struct engine_session *session)
{
    struct engine *engine = session->engine;

    if (atomic_fetch_sub_explicit(&session->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < SESSION_SPANS; i++)
        arena_free(session->spans[i].arena);
    arena_free(session->scratch);
    arena_free(session->speech);
    pthread_mutex_destroy(&session->lock);
    wiring_unref(session->wiring);
    free(session);
    engine_session_gone(engine);
}

void session_enter(struct engine_session *session)
{
    session_ref(session);
    pthread_mutex_lock(&session->lock);
}

void session_quit(struct engine_session *session)
{
    pthread_mutex_unlock(&session->lock);
    session_unref(session);
}

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

    session->records = NULL;
    session->record_tail = &session->records;
    if (settled) {
        stop_deadline(session);
        session->wait = (struct wait){0};
    } else if (wait.active && !wait.expired && wait.deadline == NULL) {
        start_deadline(session);
    }
    pthread_mutex_unlock(&session->lock);
    records_send(session->engine, records);
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

static void no_transaction(struct inputs *inputs)
{
    static const struct mailbox nobody = {
        .sent = "", .address = "", .local = "", .domain = "", .literal = ""};

    inputs->sender = nobody;
    inputs->auth_user = inputs->auth_type = "";
    inputs->message_size = 0;
    inputs->received_count = 0;
}

static void end_transaction(struct engine_session *session)
{
    struct transaction *tx = &session->tx;

    if (!tx->open)
        return;
    if (tx->last != NULL && !tx->last->taken)
        recipient_free(tx->last);
    while (tx->taken != NULL) {
        struct recipient *next = tx->taken->next;
        recipient_free(tx->taken);
        tx->taken = next;
    }
    session_clear_span(session, SPAN_TRANSACTION);
    session->values[SCOPE_TRANSACTION] = session->values[SCOPE_MESSAGE] = NULL;
    *tx = (struct transaction){.qid = ""};
    session->touched = NULL;
    no_transaction(&session->inputs);
    session->stage = session->greeted ? STAGE_HELO : STAGE_CONNECT;
}

/* Letters and digits that nobody takes for others when the id is read out on the telephone. */
static void make_id(char id[ID_LENGTH + 1])
{
    static const char alphabet[] = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";
    const unsigned count = sizeof(alphabet) - 1;
    unsigned char octets[4 * ID_LENGTH];
    size_t length = 0;

    while (length < ID_LENGTH) {
        if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
            continue;
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
    make_id(session->tx.id);
}

void session_take_last(struct engine_session *session)
{
    struct transaction *tx = &session->tx;

    if (tx->last == NULL || tx->last->taken)
        return;
    if (tx->last->refused) {
        recipient_free(tx->last);
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
}

void engine_connect(struct engine_session *session, const struct addr *client, const char *ptr,
                    const char *daemon, bool local, const char *mta_hostname)
{
    struct arena *arena = session->spans[SPAN_CONNECTION].arena;

    enter_event(session);
    if (client != NULL)
        session->inputs.client = *client;
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

void engine_header(struct engine_session *session, const char *name, const char *value)
{
    enter_event(session);
    if (session->tx.open && session->tx.header_count < HEADERS_MAX) {
        session->tx.header_count++;
        if (strcasecmp(name, "Received") == 0)
            session->inputs.received_count++;
        derived_header(session, name, value != NULL ? value : "");
    }
    session_quit(session);
}

void engine_body(struct engine_session *session, size_t length)
{
    enter_event(session);
    session->inputs.message_size += length;
    session_quit(session);
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
    session->wait = (struct wait){.active = true, .stage = stage, .done = done, .arg = arg};
    session->unsettled = true;
    session_leave(session);
}

/* A front whose peer has gone may end a transaction while a stage waits: DONE is still called, and
 * hears "continue". */
void engine_end(struct engine_session *session)
{
    session_enter(session);
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
    what.reply =
        arena_printf(session->speech, "%s %s", code != NULL ? code : "", text != NULL ? text : "");
    record_add(session, &what);
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

/* ---- opening and closing ---- */

struct engine_session *session_new(struct engine *engine, struct wiring *wiring,
                                   const char *listener)
{
    struct engine_session *session = xcalloc(1, sizeof(*session));
    struct arena *arena;

    session->engine = engine;
    session->wiring = wiring;
    atomic_init(&session->refs, 1);
    pthread_mutex_init(&session->lock, NULL);
    for (int i = 0; i < SESSION_SPANS; i++)
        session->spans[i].arena = arena_new();
    session->scratch = arena_new();
    session->speech = arena_new();
    session->ready_tail = &session->ready;
    session->record_tail = &session->records;
    session->tx.qid = "";
    arena = session->spans[SPAN_CONNECTION].arena;
    session->listener = copy(arena, listener);
    session->mta_hostname = "";
    session->inputs = (struct inputs){.client_ptr = "",
                                      .listener = session->listener,
                                      .daemon = "",
                                      .helo = "",
                                      .tls_version = ""};
    no_transaction(&session->inputs);
    session->values[SCOPE_CONNECTION] =
        arena_alloc(arena, wiring->layout->scope_count[SCOPE_CONNECTION] * sizeof(struct value));
    session->runs = arena_alloc(arena, wiring->session_probes * sizeof(session->runs[0]));
    session->modes = arena_alloc(arena, wiring->policy->rule_count);
    session->needed = arena_alloc(arena, wiring->layout->count);
    session->texts = arena_alloc(arena, wiring->layout->count);
    session_fill_absent(session, NULL, SPAN_CONNECTION);
    session_fill_absent(session, NULL, SPAN_HELO);
    for (const struct listen_options *listen = wiring->config->listens; listen != NULL;
         listen = (const struct listen_options *)(const void *)listen->head.next)
        if (strcmp(listen->head.name, session->listener) == 0)
            session->observe = listen->mode == LISTEN_OBSERVE;
    return session;
}

void engine_close(struct engine_session *session)
{
    if (session == NULL)
        return;
    session_enter(session);
    session->wait.cancelled = session->wait.active;
    end_transaction(session);
    session_clear_span(session, SPAN_HELO);
    span_cancel(&session->spans[SPAN_CONNECTION]);
    session->connected = false;
    session_leave(session);
    session_unref(session);
}
