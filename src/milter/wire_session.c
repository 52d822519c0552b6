/* SPDX-License-Identifier: MIT */
#include "wire_session.h"

#include <assert.h>
#include <string.h>

/*
 * Commands are rows of a table: where each may stand, and what follows.  As with libmilter, HELO
 * and MAIL within a transaction end it; a command that no order of SMTP can bring about ends the
 * connection, since whoever sent it may wait for an answer that another command would get.
 */
enum {
    AT_NEW = 1 << WIRE_NEW,
    AT_IDLE = 1 << WIRE_IDLE,
    AT_SESSION = 1 << WIRE_SESSION,
    AT_MAIL = 1 << WIRE_MAIL,
    AT_RECIPIENT = 1 << WIRE_RECIPIENT,
    AT_HEADER = 1 << WIRE_HEADER,
    AT_BODY = 1 << WIRE_BODY,
    IN_TRANSACTION = AT_MAIL | AT_RECIPIENT | AT_HEADER | AT_BODY,
    NEGOTIATED = AT_IDLE | AT_SESSION | IN_TRANSACTION,
    STAYS = -1,
};

/* Takes the data of a packet; false where they are not of the form. */
typedef bool take_fn(struct wire_session *wire, const struct wire_packet *packet, struct str *out);

struct command {
    char letter;
    bool anew;      /* it ends a transaction that is under way */
    bool answers;   /* an answer of the session, or a "continue", is due */
    int stages;     /* where it may stand */
    int next;       /* enum wire_stage, or STAYS */
    uint32_t quiet; /* the step that says that no reply is wanted; 0: one always is */
    take_fn *take;
};

static bool malformed(struct wire_session *wire, const char *what)
{
    wire->trouble = what;
    return false;
}

static void on_answer(void *arg, const struct session_answer *answer)
{
    struct wire_session *wire = arg;
    if (wire->host->is_here(wire->host_arg)) {
        wire->answer = answer;
    } else {
        wire->late = answer;
        wire->host->answered(wire->host_arg);
    }
}

static struct session_macros macros_of(struct wire_session *wire)
{
    return (struct session_macros){.get = wire_macro, .arg = &wire->macros};
}

/* ---- the session behind it ---- */

static void close_session(struct wire_session *wire)
{
    session_close(wire->session);
    wire->session = NULL;
}

static uint64_t version_of(const struct session *session)
{
    return engine_session_config(session_engine((struct session *)(uintptr_t)session))->version;
}

/* A further SMTP session on a connection.  False where the configuration is no more the one under
 * which the connection was negotiated: it may need more than that one did. */
static bool open_session(struct wire_session *wire)
{
    if (wire->session != NULL)
        return true;
    wire->session = session_open(wire->engine, wire->listener);
    session_leading_space(wire->session, (wire->choice.steps & STEP_LEADING_SPACE) != 0);
    return version_of(wire->session) == wire->version ||
           malformed(wire, "the configuration has changed since the negotiation");
}

/* ---- commands ---- */

static bool take_offer(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    enum { VERSION = 6 };
    struct wire_offer offer;
    if (!wire_read_offer(packet, &offer))
        return malformed(wire, "an offer of another protocol");
    wire->session = session_open(wire->engine, wire->listener);
    struct engine_needs needs = session_needs(wire->session);
    wire->version = version_of(wire->session);
    wire->choice = protocol_choose(&needs, offer.actions, offer.steps);
    wire->offered = offer.steps;
    session_leading_space(wire->session, (wire->choice.steps & STEP_LEADING_SPACE) != 0);
    const struct wire_offer chosen = {
        .version = offer.version < VERSION ? offer.version : VERSION,
        .actions = wire->choice.actions,
        .steps = wire->choice.steps & offer.steps,
    };
    wire_put_choice(out, &chosen, (chosen.actions & ACTION_SYMBOLS) != 0 ? &needs : NULL);
    return true;
}

static bool take_macros(struct wire_session *wire, const struct wire_packet *packet,
                        struct str *out)
{
    (void)out;
    return wire_macros_take(&wire->macros, packet) ||
           malformed(wire, "macros of no form, or too many of them");
}

static bool take_connect(struct wire_session *wire, const struct wire_packet *packet,
                         struct str *out)
{
    struct wire_client client;
    struct session_macros macros = macros_of(wire);
    (void)out;
    wire_macros_clear(&wire->macros, WIRE_AT_HELO);
    if (!wire_read_client(packet, &client))
        return malformed(wire, "a client of no form");
    if (!open_session(wire))
        return false;
    session_connect(wire->session, client.host, &client.addr, client.port, &macros, on_answer,
                    wire);
    return true;
}

static bool take_helo(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    const char *helo;
    struct session_macros macros = macros_of(wire);
    (void)out;
    wire_macros_clear(&wire->macros, WIRE_AT_MAIL);
    if (!wire_read_text(packet, &helo))
        return malformed(wire, "a HELO without its end");
    if (!open_session(wire))
        return false;
    session_helo(wire->session, helo, &macros, on_answer, wire);
    return true;
}

static bool take_mail(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    const char *argv[WIRE_STRINGS_MAX + 1];
    struct session_macros macros = macros_of(wire);
    (void)out;
    wire_macros_clear(&wire->macros, WIRE_AT_RCPT);
    if (!wire_read_strings(packet, argv))
        return malformed(wire, "a MAIL of no form");
    if (!open_session(wire))
        return false;
    session_mail(wire->session, argv, &macros, on_answer, wire);
    return true;
}

static bool take_rcpt(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    const char *argv[WIRE_STRINGS_MAX + 1];
    struct session_macros macros = macros_of(wire);
    (void)out;
    wire_macros_clear(&wire->macros, WIRE_AT_DATA);
    if (!wire_read_strings(packet, argv))
        return malformed(wire, "a RCPT of no form");
    session_rcpt(wire->session, argv, &macros, on_answer, wire);
    return true;
}

static bool take_data(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    struct session_macros macros = macros_of(wire);
    (void)packet;
    (void)out;
    session_data(wire->session, &macros, on_answer, wire);
    return true;
}

/* What decides nothing goes on. */
static void go_on(struct wire_session *wire)
{
    static const struct session_answer answer = {.verb = SESSION_CONTINUE};
    wire->answer = &answer;
}

static bool take_header(struct wire_session *wire, const struct wire_packet *packet,
                        struct str *out)
{
    const char *name, *value;
    (void)out;
    if (!wire_read_field(packet, &name, &value))
        return malformed(wire, "a header field of no form");
    session_header(wire->session, name, value);
    go_on(wire);
    return true;
}

static bool take_eoh(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    struct session_macros macros = macros_of(wire);
    (void)packet;
    (void)out;
    session_eoh(wire->session, &macros);
    go_on(wire);
    return true;
}

static bool take_body(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    (void)out;
    session_body(wire->session, (const unsigned char *)packet->data, packet->length);
    wire->skips =
        (wire->choice.steps & STEP_SKIP) != 0 && !engine_wants_body(session_engine(wire->session));
    go_on(wire);
    return true;
}

static bool take_eom(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    struct session_macros macros = macros_of(wire);
    (void)out;
    if (packet->length > 0)
        session_body(wire->session, (const unsigned char *)packet->data, packet->length);
    session_eom(wire->session, &macros, on_answer, wire);
    return true;
}

static bool take_unknown(struct wire_session *wire, const struct wire_packet *packet,
                         struct str *out)
{
    (void)packet;
    (void)out;
    go_on(wire);
    return true;
}

static bool take_abort(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    (void)packet;
    (void)out;
    if (wire->session != NULL)
        session_abort(wire->session);
    return true;
}

/* The SMTP session is over, another one will follow on this connection. */
static bool take_next(struct wire_session *wire, const struct wire_packet *packet, struct str *out)
{
    (void)packet;
    (void)out;
    close_session(wire);
    wire_macros_free(&wire->macros);
    return true;
}

static const struct command commands[] = {
    {'O', false, false, AT_NEW, WIRE_IDLE, 0, take_offer},
    {'D', false, false, NEGOTIATED, STAYS, 0, take_macros},
    {'C', false, true, AT_IDLE, WIRE_SESSION, STEP_QUIET_CONNECT, take_connect},
    {'H', true, true, NEGOTIATED, WIRE_SESSION, STEP_QUIET_HELO, take_helo},
    {'M', true, true, NEGOTIATED, WIRE_MAIL, STEP_QUIET_MAIL, take_mail},
    {'R', false, true, AT_MAIL | AT_RECIPIENT, WIRE_RECIPIENT, STEP_QUIET_RCPT, take_rcpt},
    {'T', false, true, AT_RECIPIENT, WIRE_HEADER, STEP_QUIET_DATA, take_data},
    {'L', false, true, AT_RECIPIENT | AT_HEADER, WIRE_HEADER, STEP_QUIET_HEADER, take_header},
    {'N', false, true, AT_RECIPIENT | AT_HEADER, WIRE_BODY, STEP_QUIET_EOH, take_eoh},
    {'B', false, true, AT_RECIPIENT | AT_HEADER | AT_BODY, WIRE_BODY, STEP_QUIET_BODY, take_body},
    {'E', false, true, AT_RECIPIENT | AT_HEADER | AT_BODY, WIRE_SESSION, 0, take_eom},
    {'U', false, true, NEGOTIATED, STAYS, STEP_QUIET_UNKNOWN, take_unknown},
    {'A', false, false, NEGOTIATED, STAYS, 0, take_abort},
    {'K', false, false, NEGOTIATED, WIRE_IDLE, 0, take_next},
};

static const struct command *find(char letter)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (commands[i].letter == letter)
            return &commands[i];
    return NULL;
}

/* ---- answers ---- */

static void put_changes(struct wire_session *wire, const struct session_answer *answer,
                        struct str *out)
{
    for (size_t i = 0; i < answer->change_count; i++)
        if (protocol_may_change(wire->choice.actions, &answer->changes[i]))
            wire_put_change(out, &answer->changes[i]);
}

/* Says what was decided.  A refusal ends the transaction, but for that of one recipient. */
static void speak(struct wire_session *wire, struct str *out)
{
    const struct session_answer *answer = wire->answer;
    const struct command *command = find(wire->command);
    bool quiet = (wire->choice.steps & command->quiet) != 0;
    wire->answer = NULL;
    wire->waits = false;
    if (answer->verb == SESSION_REPLY && !quiet) {
        wire_put_reply(out, answer);
        if (command->letter != 'R' && wire->stage > WIRE_SESSION)
            wire->stage = WIRE_SESSION;
        return;
    }
    if (command->letter == 'E')
        put_changes(wire, answer, out);
    /* An MTA that does not know of stages without a reply waits for one. */
    if (!quiet || (wire->offered & command->quiet) == 0)
        wire_put(out, wire->skips ? 's' : 'c', NULL, 0);
}

/* ---- what the host calls ---- */

void wire_session_init(struct wire_session *wire, struct engine *engine, const char *listener,
                       const struct wire_host *host, void *host_arg)
{
    *wire = (struct wire_session){
        .engine = engine, .listener = listener, .host = host, .host_arg = host_arg};
}

static enum wire_state broken(struct wire_session *wire, const char *trouble)
{
    malformed(wire, trouble);
    return WIRE_BROKEN;
}

enum wire_state wire_session_take(struct wire_session *wire, const struct wire_packet *packet,
                                  struct str *out)
{
    const struct command *command = find(packet->command);
    assert(!wire->waits);
    if (packet->command == 'Q')
        return WIRE_OVER;
    if (command == NULL)
        return broken(wire, "a command that the protocol has not");
    if ((command->stages & 1 << wire->stage) == 0)
        return broken(wire, "a command out of order");
    if (command->anew && (IN_TRANSACTION & 1 << wire->stage) != 0)
        session_abort(wire->session);
    wire->command = packet->command;
    wire->answer = NULL;
    wire->skips = false;
    wire->waits = command->answers;
    if (!command->take(wire, packet, out)) {
        wire->waits = false;
        return WIRE_BROKEN;
    }
    if (command->next != STAYS)
        wire->stage = (enum wire_stage)command->next;
    else if (command->letter == 'A' && wire->stage > WIRE_SESSION)
        wire->stage = WIRE_SESSION;
    if (!command->answers)
        return WIRE_READY;
    if (wire->answer == NULL)
        return WIRE_WAITS;
    speak(wire, out);
    return WIRE_READY;
}

enum wire_state wire_session_answered(struct wire_session *wire, struct str *out)
{
    assert(wire->waits && wire->late != NULL);
    wire->answer = wire->late;
    wire->late = NULL;
    speak(wire, out);
    return WIRE_READY;
}

bool wire_session_busy(const struct wire_session *wire)
{
    /* While it waits, the session is another thread's. */
    if (wire->waits)
        return wire->command != 'C' && wire->command != 'H';
    return wire->session != NULL && session_busy(wire->session);
}

void wire_session_fini(struct wire_session *wire)
{
    assert(!wire->waits);
    if (wire->session != NULL)
        close_session(wire);
    wire_macros_free(&wire->macros);
}
