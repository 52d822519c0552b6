/* SPDX-License-Identifier: MIT */
#include <postern/session.h>

#include <postern/arena.h>
#include <postern/mailbox.h>
#include <postern/str.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * Between a front and the engine: argument vectors and macros become inputs, actions become
 * answers.  No abort comes after a reply at MAIL, DATA or the end of the message, so a transaction
 * that has ended stays until the next event begins another one or closes the session.
 */

/* A header field that some rule may add: its occurrences in the message are counted, since they are
 * removed by number. */
struct counted_name {
    const char *name; /* not terminated */
    unsigned length, seen;
};

struct session {
    struct engine_session *engine;
    struct arena *arena; /* of the answer to the last event */
    struct counted_name *names;
    size_t name_count;
    bool connected;     /* the MTA has told of the client */
    bool leading_space; /* header values come and go with the blank behind the colon */
    bool busy;          /* between MAIL and the end of the transaction */
    struct session_answer answer;
    session_done *done;
    void *arg;
};

static const struct session_answer go_on = {.verb = SESSION_CONTINUE};

/* ---- opening ---- */

static size_t count_names(const struct policy *policy)
{
    size_t count = 0;
    for (size_t i = 0; i < policy->rule_count && policy->has_headers; i++)
        count += policy->rules[i].outcome == OUTCOME_HEADER;
    return count;
}

static struct counted_name *find_name(const struct session *session, const char *name,
                                      size_t length)
{
    for (size_t i = 0; i < session->name_count; i++)
        if (session->names[i].length == length &&
            strncasecmp(session->names[i].name, name, length) == 0)
            return &session->names[i];
    return NULL;
}

/* The texts are the policy's, which the engine's session keeps. */
static void collect_names(struct session *session, const struct policy *policy)
{
    size_t room = count_names(policy);
    session->names = room > 0 ? xcalloc(room, sizeof(session->names[0])) : NULL;
    for (size_t i = 0; i < policy->rule_count && room > 0; i++) {
        const struct rule *rule = &policy->rules[i];
        size_t length = rule->outcome == OUTCOME_HEADER ? strcspn(rule->text, ":") : 0;
        if (length > 0 && find_name(session, rule->text, length) == NULL)
            session->names[session->name_count++] =
                (struct counted_name){.name = rule->text, .length = (unsigned)length};
    }
}

struct session *session_open(struct engine *engine, const char *listener)
{
    struct session *session = xcalloc(1, sizeof(*session));
    session->engine = engine_open(engine, listener);
    session->arena = arena_new();
    collect_names(session, engine_session_config(session->engine)->policy);
    return session;
}

void session_close(struct session *session)
{
    if (session == NULL)
        return;
    engine_close(session->engine);
    arena_free(session->arena);
    free(session->names);
    free(session);
}

struct engine_session *session_engine(struct session *session)
{
    return session->engine;
}

void session_leading_space(struct session *session, bool yes)
{
    session->leading_space = yes;
}

bool session_busy(const struct session *session)
{
    return session->busy;
}

struct engine_needs session_needs(const struct session *session)
{
    return engine_needs(session->engine);
}

/* ---- what is decided becomes an answer ---- */

static void add_change(struct session_answer *answer, struct session_change *changes,
                       enum change_kind kind, const char *name, const char *value, unsigned index)
{
    changes[answer->change_count++] =
        (struct session_change){.kind = kind, .name = name, .value = value, .index = index};
}

/* Whether field I replaces those of its name, and is the first one that does: they are removed
 * once. */
static bool replaces(const struct action *action, size_t i)
{
    if (action->headers[i].beside)
        return false;
    for (size_t j = 0; j < i; j++)
        if (!action->headers[j].beside &&
            strcasecmp(action->headers[j].name, action->headers[i].name) == 0)
            return false;
    return true;
}

static bool all_removed(const struct action *action, const char *name)
{
    for (size_t i = 0; i < action->header_count; i++)
        if (!action->headers[i].beside && strcasecmp(action->headers[i].name, name) == 0)
            return true;
    return false;
}

static unsigned occurrences(const struct session *session, const char *name)
{
    const struct counted_name *counted = find_name(session, name, strlen(name));
    return counted != NULL ? counted->seen : 0;
}

/* Removal counts positions anew after each one, so it goes from the last to the first. */
static void plan_removals(struct session *session, const struct action *action,
                          struct session_change *changes)
{
    struct session_answer *answer = &session->answer;
    for (size_t i = 0; i < action->header_count; i++) {
        const char *name = action->headers[i].name;
        for (unsigned n = replaces(action, i) ? occurrences(session, name) : 0; n > 0; n--)
            add_change(answer, changes, CHANGE_DELETE, name, NULL, n);
    }
    for (size_t i = 0; i < action->removal_count; i++) {
        const struct header_removal *removal = &action->removals[i];
        if (!all_removed(action, removal->name))
            add_change(answer, changes, CHANGE_DELETE, removal->name, NULL, removal->index);
    }
}

/* Insertion at the top turns the order around, so it goes from the last field to the first. */
static void plan_changes(struct session *session, const struct action *action)
{
    struct session_answer *answer = &session->answer;
    size_t room =
        action->header_count + action->removal_count + (action->kind == ACTION_QUARANTINE ? 1 : 0);
    for (size_t i = 0; i < action->header_count; i++)
        room += occurrences(session, action->headers[i].name);
    if (room == 0)
        return;
    struct session_change *changes = arena_alloc(session->arena, room * sizeof(changes[0]));
    answer->changes = changes;
    plan_removals(session, action, changes);
    for (size_t i = action->header_count; i-- > 0;) {
        const char *value = action->headers[i].value;
        if (session->leading_space)
            value = arena_join(session->arena, " ", value, "");
        add_change(answer, changes, CHANGE_INSERT, action->headers[i].name, value, 0);
    }
    if (action->kind == ACTION_QUARANTINE)
        add_change(answer, changes, CHANGE_QUARANTINE, NULL, action->reason, 0);
}

static void fill_reply(struct session *session, const struct reply *reply)
{
    struct session_answer *answer = &session->answer;
    assert(reply_valid(reply));
    const char **lines = arena_alloc(session->arena, reply->line_count * sizeof(lines[0]));
    for (size_t i = 0; i < reply->line_count; i++)
        lines[i] = reply_line_doubled(session->arena, reply, i);
    answer->verb = SESSION_REPLY;
    answer->reply = reply;
    answer->lines = lines;
    answer->enhanced = arena_printf(session->arena, "%d.%d.%d", reply->enhanced[0],
                                    reply->enhanced[1], reply->enhanced[2]);
}

static void on_action(void *arg, const struct action *action)
{
    struct session *session = arg;
    arena_reset(session->arena);
    session->answer = go_on;
    session->answer.action = action;
    if (action->kind == ACTION_REPLY)
        fill_reply(session, action->reply);
    else
        plan_changes(session, action);
    session->done(session->arg, &session->answer);
}

static void on_end(void *arg, const struct action *action)
{
    ((struct session *)arg)->busy = false;
    on_action(arg, action);
}

/* A reply at MAIL ends the transaction: neither abort nor end of message will come for it. */
static void on_mail(void *arg, const struct action *action)
{
    if (action->kind == ACTION_REPLY)
        ((struct session *)arg)->busy = false;
    on_action(arg, action);
}

static void decide_stage(struct session *session, enum stage stage, engine_done *on,
                         session_done *done, void *arg)
{
    session->done = done;
    session->arg = arg;
    engine_stage(session->engine, stage, on, session);
}

/* ---- what the MTA says ---- */

static const char *macro(const struct session_macros *macros, const char *name)
{
    const char *value =
        macros != NULL && macros->get != NULL ? macros->get(macros->arg, name) : NULL;
    return value != NULL ? value : "";
}

static void take_queue_id(struct session *session, const struct session_macros *macros)
{
    const char *qid = macro(macros, "i");
    if (qid[0] != '\0')
        engine_queue_id(session->engine, qid);
}

static void take_tls(struct session *session, const struct session_macros *macros)
{
    const char *version = macro(macros, "{tls_version}");
    if (version[0] != '\0')
        engine_tls(session->engine, version);
}

/* Postfix shows mail from sendmail(1) as a client on loopback with port 0; Sendmail's own
 * submission on standard input has no address at all. */
static bool is_local(const char *host, const struct addr *addr, unsigned port)
{
    if (addr == NULL || addr->family == ADDR_NONE)
        return host != NULL && strcasecmp(host, "localhost") == 0;
    return port == 0 && addr_is_loopback(addr);
}

void session_connect(struct session *session, const char *host, const struct addr *addr,
                     unsigned port, const struct session_macros *macros, session_done *done,
                     void *arg)
{
    static const struct addr none = {.family = ADDR_NONE};
    const char *ptr = macro(macros, "{client_ptr}");
    if (strcmp(ptr, "unknown") == 0)
        ptr = "";
    session->busy = false;
    session->connected = true;
    engine_connect(session->engine, addr != NULL ? addr : &none, ptr,
                   macro(macros, "{daemon_name}"), is_local(host, addr, port), macro(macros, "j"));
    decide_stage(session, STAGE_CONNECT, on_action, done, arg);
}

void session_helo(struct session *session, const char *helo, const struct session_macros *macros,
                  session_done *done, void *arg)
{
    take_tls(session, macros);
    engine_helo(session->engine, helo);
    decide_stage(session, STAGE_HELO, on_action, done, arg);
}

/* MTAs take addresses that are none by the grammar: with comments and blanks in them, in two pairs
 * of brackets, with '%' in place of '@'.  What counts is what the MTA takes such a one for, as the
 * macro NAME tells: nobody shall get past a rule by an address that only the MTA can read.  The
 * domain that it gives to a bare name is its own affair. */
static const char *path_of(struct session *session, const char *path,
                           const struct session_macros *macros, const char *name)
{
    const char *told =
        macros != NULL && macros->get != NULL ? macros->get(macros->arg, name) : NULL;
    struct mailbox said, meant;
    bool bare, same;

    arena_reset(session->arena);
    said = mailbox_parse(session->arena, path != NULL ? path : "");
    if (said.well_formed || told == NULL)
        return path;
    meant = mailbox_parse(session->arena, told);
    if (meant.null)
        return "<>";
    if (meant.domain[0] == '\0' && meant.literal[0] == '\0')
        return path;
    bare = strcmp(said.address, mailbox_format(session->arena, said.local, "")) == 0;
    same = strcmp(said.domain, meant.domain) == 0 && strcmp(said.literal, meant.literal) == 0;
    if ((bare || same) && strcasecmp(said.local, meant.local) == 0)
        return path;
    return meant.sent;
}

void session_mail(struct session *session, const char *const *argv,
                  const struct session_macros *macros, session_done *done, void *arg)
{
    if (!session->connected) {
        /* An MTA that never told of the client must not wait for what is known of it. */
        static const struct addr none = {.family = ADDR_NONE};
        engine_connect(session->engine, &none, "", "", false, "");
        session->connected = true;
    }
    take_tls(session, macros);
    for (size_t i = 0; i < session->name_count; i++)
        session->names[i].seen = 0;
    engine_mail(session->engine,
                path_of(session, argv != NULL ? argv[0] : NULL, macros, "{mail_addr}"),
                macro(macros, "{auth_authen}"), macro(macros, "{auth_type}"));
    session->busy = true;
    take_queue_id(session, macros);
    decide_stage(session, STAGE_MAIL, on_mail, done, arg);
}

/* Of a recipient that it refuses, Postfix tells the enhanced code in {rcpt_host} and the text in
 * {rcpt_addr}; Sendmail puts the whole reply into the latter. */
static bool whole_reply(const char *text)
{
    return strspn(text, "0123456789") == 3 && text[3] == ' ';
}

void session_rcpt(struct session *session, const char *const *argv,
                  const struct session_macros *macros, session_done *done, void *arg)
{
    const char *path = argv != NULL ? argv[0] : NULL;
    take_queue_id(session, macros);
    if (strcmp(macro(macros, "{rcpt_mailer}"), "error") == 0) {
        /* The MTA refuses it whatever is answered here (SMFIP_RCPT_REJ): a record, no decision. */
        const char *text = macro(macros, "{rcpt_addr}");
        engine_mta_refused(session->engine, path,
                           whole_reply(text) ? "" : macro(macros, "{rcpt_host}"), text);
        done(arg, &go_on);
        return;
    }
    engine_rcpt(session->engine, path_of(session, path, macros, "{rcpt_addr}"));
    decide_stage(session, STAGE_RCPT, on_action, done, arg);
}

void session_data(struct session *session, const struct session_macros *macros, session_done *done,
                  void *arg)
{
    take_queue_id(session, macros);
    decide_stage(session, STAGE_DATA, on_action, done, arg);
}

void session_header(struct session *session, const char *name, const char *value)
{
    struct counted_name *counted = find_name(session, name, strlen(name));
    if (counted != NULL)
        counted->seen++;
    if (session->leading_space) {
        engine_header(session->engine, name, value);
    } else {
        /* The MTA took one blank away; nearly always there was one. */
        arena_reset(session->arena);
        engine_header(session->engine, name, arena_join(session->arena, " ", value, ""));
    }
}

void session_eoh(struct session *session, const struct session_macros *macros)
{
    take_queue_id(session, macros);
    engine_eoh(session->engine);
}

void session_body(struct session *session, const unsigned char *bytes, size_t length)
{
    engine_body(session->engine, bytes, length);
}

void session_eom(struct session *session, const struct session_macros *macros, session_done *done,
                 void *arg)
{
    take_queue_id(session, macros);
    decide_stage(session, STAGE_MESSAGE, on_end, done, arg);
}

void session_abort(struct session *session)
{
    session->busy = false;
    engine_end(session->engine);
}
