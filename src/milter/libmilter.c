/* SPDX-License-Identifier: MIT */
#include <postern/front.h>

#include "protocol.h"
#include "socket.h"

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/log.h>
#include <postern/session.h>
#include <postern/str.h>

#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The front on libmilter.  A callback hands its event to the session and waits for the answer,
 * which is there at once unless a verdict is due and a fact is still missing.  libmilter gives no
 * way to pass a pointer to its callbacks before a connection has its own, so the front itself is
 * the one static of this file.
 */
struct milter_front {
    struct front front; /* first */
    struct engine *engine;
    const char *listener;
    struct config *config; /* keeps listener alive */
    struct socket_name socket;
    pthread_t thread;
    bool started;
    atomic_bool ended;
    atomic_bool closing;
    atomic_bool dead;     /* libmilter is over: callbacks touch nothing any more */
    atomic_uint running;  /* callbacks */
    atomic_uint busy;     /* transactions */
    atomic_ulong steps;   /* last negotiated */
    pthread_mutex_t lock; /* guards peers */
    struct peer *peers;
};

static struct milter_front *the_front;

/* One connection of an MTA. */
struct peer {
    struct peer *next, **link; /* among the front's */
    struct session *session;
    unsigned long steps; /* what was negotiated */
    bool busy;
    SMFICTX *context; /* for macros, during a callback */
    pthread_mutex_t lock;
    pthread_cond_t answered;
    const struct session_answer *answer;
};

/* ---- peers ---- */

static struct peer *peer_new(void)
{
    struct peer *peer = xcalloc(1, sizeof(*peer));
    peer->session = session_open(the_front->engine, the_front->listener);
    pthread_mutex_init(&peer->lock, NULL);
    pthread_cond_init(&peer->answered, NULL);
    pthread_mutex_lock(&the_front->lock);
    peer->next = the_front->peers;
    peer->link = &the_front->peers;
    if (peer->next != NULL)
        peer->next->link = &peer->next;
    the_front->peers = peer;
    pthread_mutex_unlock(&the_front->lock);
    return peer;
}

static void peer_note_busy(struct peer *peer)
{
    bool busy = session_busy(peer->session);
    if (busy && !peer->busy)
        atomic_fetch_add(&the_front->busy, 1);
    else if (!busy && peer->busy)
        atomic_fetch_sub(&the_front->busy, 1);
    peer->busy = busy;
}

static void peer_free(struct peer *peer)
{
    pthread_mutex_lock(&the_front->lock);
    *peer->link = peer->next;
    if (peer->next != NULL)
        peer->next->link = peer->link;
    pthread_mutex_unlock(&the_front->lock);
    if (peer->busy)
        atomic_fetch_sub(&the_front->busy, 1);
    session_close(peer->session);
    pthread_mutex_destroy(&peer->lock);
    pthread_cond_destroy(&peer->answered);
    free(peer);
}

/* Every callback runs between these two.  libmilter's workers may still begin one while it stops;
 * its peer is then gone, or about to go. */
static bool enter(void)
{
    atomic_fetch_add(&the_front->running, 1);
    if (!atomic_load(&the_front->dead))
        return true;
    atomic_fetch_sub(&the_front->running, 1);
    return false;
}

static sfsistat leave(sfsistat result)
{
    atomic_fetch_sub(&the_front->running, 1);
    return result;
}

static void peer_negotiated(struct peer *peer, unsigned long steps)
{
    peer->steps = steps;
    session_leading_space(peer->session, (steps & STEP_LEADING_SPACE) != 0);
}

/* Without a negotiation of its own it is a further SMTP session on a connection (SMFIC_QUIT_NC),
 * for which that of the connection holds; libmilter shows it no more, but it is the same for all
 * that one MTA opens. */
static struct peer *peer_of(SMFICTX *context)
{
    struct peer *peer = smfi_getpriv(context);
    if (peer == NULL) {
        peer = peer_new();
        peer_negotiated(peer, atomic_load(&the_front->steps));
        smfi_setpriv(context, peer);
    }
    peer->context = context;
    return peer;
}

static const char *get_macro(void *arg, const char *name)
{
    return smfi_getsymval(arg, (char *)(uintptr_t)name);
}

static struct session_macros macros_of(SMFICTX *context)
{
    return (struct session_macros){.get = get_macro, .arg = context};
}

/* ---- answers ---- */

static void on_answer(void *arg, const struct session_answer *answer)
{
    struct peer *peer = arg;
    pthread_mutex_lock(&peer->lock);
    peer->answer = answer;
    pthread_cond_signal(&peer->answered);
    pthread_mutex_unlock(&peer->lock);
}

static const struct session_answer *wait_answer(struct peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    while (peer->answer == NULL)
        pthread_cond_wait(&peer->answered, &peer->lock);
    const struct session_answer *answer = peer->answer;
    peer->answer = NULL;
    pthread_mutex_unlock(&peer->lock);
    peer_note_busy(peer);
    return answer;
}

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static sfsistat say_reply(SMFICTX *context, const struct session_answer *answer)
{
    char code[16];
    snprintf(code, sizeof(code), "%d", answer->reply->code);
    char *line[REPLY_LINES_MAX + 1] = {NULL};
    for (size_t i = 0; i < answer->reply->line_count; i++)
        line[i] = text_of(answer->lines[i]);
    int result;
    if (answer->reply->line_count == 1)
        result = smfi_setreply(context, code, text_of(answer->enhanced), line[0]);
    else
        result = smfi_setmlreply(context, code, text_of(answer->enhanced), line[0], line[1],
                                 line[2], line[3], line[4], line[5], line[6], line[7], line[8],
                                 line[9], line[10], line[11], line[12], line[13], line[14],
                                 line[15], line[16], line[17], line[18], line[19], line[20],
                                 line[21], line[22], line[23], line[24], line[25], line[26],
                                 line[27], line[28], line[29], line[30], line[31], NULL);
    if (result != MI_SUCCESS) {
        /* Without its text a refusal cannot be explained; a 4xx gives the message another chance.
         */
        log_error("libmilter refused the reply %s %s %s", code, answer->enhanced, answer->lines[0]);
        return SMFIS_TEMPFAIL;
    }
    return answer->reply->code >= 500 ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

static void apply_change(SMFICTX *context, const struct session_change *change)
{
    int result = MI_FAILURE;
    switch (change->kind) {
    case CHANGE_DELETE:
        result = smfi_chgheader(context, text_of(change->name), (int)change->index, NULL);
        break;
    case CHANGE_INSERT:
        result = smfi_insheader(context, (int)change->index, text_of(change->name),
                                text_of(change->value));
        break;
    case CHANGE_QUARANTINE:
        result = smfi_quarantine(context, text_of(change->value));
        break;
    }
    if (result != MI_SUCCESS)
        protocol_change_failed(change);
}

/* ---- callbacks ---- */

static void ask_symbols(SMFICTX *context, const struct engine_needs *needs)
{
    unsigned place;
    const char *names;
    for (unsigned i = 0; protocol_symbols(needs, &i, &place, &names); i++)
        smfi_setsymlist(context, (int)place, text_of(names));
}

static sfsistat on_negotiate(SMFICTX *context, unsigned long offered_actions,
                             unsigned long offered_steps, unsigned long f2, unsigned long f3,
                             unsigned long *actions, unsigned long *steps, unsigned long *out2,
                             unsigned long *out3)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    (void)f2;
    (void)f3;
    struct peer *peer = peer_of(context);
    struct engine_needs needs = session_needs(peer->session);
    struct choice choice =
        protocol_choose(&needs, (uint32_t)offered_actions, (uint32_t)offered_steps);
    *actions = choice.actions;
    *steps = choice.steps;
    *out2 = 0;
    *out3 = 0;
    peer_negotiated(peer, choice.steps);
    atomic_store(&the_front->steps, choice.steps);
    if ((*actions & ACTION_SYMBOLS) != 0)
        ask_symbols(context, &needs);
    return leave(SMFIS_CONTINUE);
}

static sfsistat nothing_to_say(const struct peer *peer, unsigned long no_reply)
{
    return (peer->steps & no_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* Turns the session's answer into libmilter's, for a stage that may be negotiated not to reply. */
static sfsistat finish(SMFICTX *context, struct peer *peer, unsigned long no_reply)
{
    const struct session_answer *answer = wait_answer(peer);
    if (answer->verb == SESSION_REPLY && (peer->steps & no_reply) == 0)
        return say_reply(context, answer);
    return nothing_to_say(peer, no_reply);
}

static sfsistat on_connect(SMFICTX *context, char *host, _SOCK_ADDR *sa)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    struct session_macros macros = macros_of(context);
    const struct sockaddr *address = (const struct sockaddr *)sa;
    struct addr addr = addr_from_sockaddr(address);
    unsigned port = 0;
    if (address != NULL && address->sa_family == AF_INET)
        port = ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
    else if (address != NULL && address->sa_family == AF_INET6)
        port = ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
    session_connect(peer->session, host, &addr, port, &macros, on_answer, peer);
    return leave(finish(context, peer, STEP_QUIET_CONNECT));
}

static sfsistat on_helo(SMFICTX *context, char *helo)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    struct session_macros macros = macros_of(context);
    session_helo(peer->session, helo, &macros, on_answer, peer);
    return leave(finish(context, peer, STEP_QUIET_HELO));
}

static sfsistat on_mail(SMFICTX *context, char **argv)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    struct session_macros macros = macros_of(context);
    session_mail(peer->session, (const char *const *)argv, &macros, on_answer, peer);
    return leave(finish(context, peer, STEP_QUIET_MAIL));
}

static sfsistat on_rcpt(SMFICTX *context, char **argv)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    struct session_macros macros = macros_of(context);
    session_rcpt(peer->session, (const char *const *)argv, &macros, on_answer, peer);
    return leave(finish(context, peer, STEP_QUIET_RCPT));
}

static sfsistat on_data(SMFICTX *context)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    struct session_macros macros = macros_of(context);
    session_data(peer->session, &macros, on_answer, peer);
    return leave(finish(context, peer, STEP_QUIET_DATA));
}

static sfsistat on_header(SMFICTX *context, char *name, char *value)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    session_header(peer->session, name, value);
    return leave(nothing_to_say(peer, STEP_QUIET_HEADER));
}

static sfsistat on_body(SMFICTX *context, unsigned char *bytes, size_t length)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    session_body(peer->session, bytes, length);
    return leave(nothing_to_say(peer, STEP_QUIET_BODY));
}

static sfsistat on_eom(SMFICTX *context)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    struct session_macros macros = macros_of(context);
    session_eom(peer->session, &macros, on_answer, peer);
    const struct session_answer *answer = wait_answer(peer);
    if (answer->verb == SESSION_REPLY)
        return leave(say_reply(context, answer));
    for (size_t i = 0; i < answer->change_count; i++)
        apply_change(context, &answer->changes[i]);
    return leave(SMFIS_CONTINUE);
}

static sfsistat on_abort(SMFICTX *context)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = peer_of(context);
    session_abort(peer->session);
    peer_note_busy(peer);
    return leave(SMFIS_CONTINUE);
}

static sfsistat on_close(SMFICTX *context)
{
    if (!enter())
        return SMFIS_TEMPFAIL;
    struct peer *peer = smfi_getpriv(context);
    if (peer != NULL) {
        smfi_setpriv(context, NULL);
        peer_free(peer);
    }
    return leave(SMFIS_CONTINUE);
}

/* ---- the listener ---- */

static struct milter_front *of(struct front *front)
{
    return (struct milter_front *)(void *)front;
}

static char *open_socket(struct milter_front *front, const struct listen_options *listen)
{
    char name[512];
    char *problem = socket_prepare(&front->socket);
    if (problem != NULL)
        return problem;
    socket_libmilter_name(&front->socket, name, sizeof(name));
    struct smfiDesc description = {
        .xxfi_name = text_of("postern"),
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_mail,
        .xxfi_envrcpt = on_rcpt,
        .xxfi_header = on_header,
        .xxfi_body = on_body,
        .xxfi_eom = on_eom,
        .xxfi_abort = on_abort,
        .xxfi_close = on_close,
        .xxfi_data = on_data,
        .xxfi_negotiate = on_negotiate,
    };
    if (smfi_register(description) != MI_SUCCESS || smfi_setconn(name) != MI_SUCCESS)
        return xstrdup("libmilter does not take the socket; see its message in syslog");
    /* From its first moment the socket is open to nobody but us; socket_own() opens it. */
    mode_t before = umask(0177);
    int result = smfi_opensocket(0);
    umask(before);
    if (result != MI_SUCCESS)
        return xstrdup("libmilter cannot open the socket; see its message in syslog");
    problem = socket_own(&front->socket, listen);
    if (problem != NULL && front->socket.kind == SOCKET_UNIX)
        unlink(front->socket.path);
    return problem;
}

static struct front *milter_open(struct engine *engine, const struct listen_options *listen,
                                 char **error)
{
    struct milter_front *front = xcalloc(1, sizeof(*front));
    front->front.kind = &front_libmilter;
    front->engine = engine;
    front->config = engine_config(engine);
    front->listener = listen->head.name;
    front->socket = socket_parse(listen->socket);
    pthread_mutex_init(&front->lock, NULL);
    *error = open_socket(front, listen);
    if (*error != NULL) {
        config_unref(front->config);
        free(front);
        return NULL;
    }
    the_front = front;
    return &front->front;
}

static void *run(void *arg)
{
    struct milter_front *front = arg;
    /* libmilter's threads inherit this; its own thread for signals unblocks them while it waits,
     * but the kernel prefers the main thread, which handles them itself and never blocks them. */
    sigset_t all;
    sigfillset(&all);
    /* A fault of the program's own is not to be hidden from what reports it. */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    int result = smfi_main();
    if (!atomic_load(&front->closing))
        log_error("libmilter ended by itself (%d); see its message in syslog", result);
    atomic_store(&front->ended, true);
    return NULL;
}

static int milter_start(struct front *base)
{
    struct milter_front *front = of(base);
    if (pthread_create(&front->thread, NULL, run, front) != 0)
        return -1;
    front->started = true;
    return 0;
}

static bool milter_ended(const struct front *base)
{
    return atomic_load(&((const struct milter_front *)(const void *)base)->ended);
}

static unsigned milter_busy(const struct front *base)
{
    return atomic_load(&((const struct milter_front *)(const void *)base)->busy);
}

static void *stop(void *arg)
{
    (void)arg;
    smfi_stop();
    return NULL;
}

/* smfi_stop() waits for a lock that libmilter's listener holds while it polls for connections, five
 * seconds at a time; a connection to the own socket wakes it. */
static void stop_libmilter(struct milter_front *front)
{
    pthread_t stopper;
    atomic_store(&front->closing, true);
    if (pthread_create(&stopper, NULL, stop, NULL) != 0)
        return;
    for (int i = 0; i < 100 && !atomic_load(&front->ended); i++) {
        socket_poke(&front->socket);
        usleep(20000);
    }
    pthread_join(stopper, NULL);
}

/* No close callback comes for the sessions that are open when libmilter ends.  Whether all could be
 * closed: a callback that is still running after the time keeps its own. */
static bool close_peers(struct milter_front *front, int64_t until)
{
    atomic_store(&front->dead, true);
    while (atomic_load(&front->running) > 0 && clock_ms() < until)
        usleep(10000);
    if (atomic_load(&front->running) > 0)
        return false;
    for (struct peer *peer = front->peers, *next; peer != NULL; peer = next) {
        next = peer->next;
        peer_free(peer);
    }
    config_unref(front->config);
    front->config = NULL;
    return true;
}

static bool milter_close(struct front *base, unsigned grace_ms)
{
    struct milter_front *front = of(base);
    int64_t end = clock_ms() + grace_ms;
    while (front->started && !milter_ended(base) && milter_busy(base) > 0 && clock_ms() < end)
        usleep(10000);
    if (front->started) {
        stop_libmilter(front);
        pthread_join(front->thread, NULL);
    }
    if (front->socket.kind == SOCKET_UNIX)
        unlink(front->socket.path);
    /* The front itself stays: libmilter's workers, which nobody joins, may look at it once more. */
    return close_peers(front, clock_ms() + grace_ms);
}

const struct front_kind front_libmilter = {
    .name = "libmilter",
    .open = milter_open,
    .start = milter_start,
    .ended = milter_ended,
    .busy = milter_busy,
    .close = milter_close,
};
