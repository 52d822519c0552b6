/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <postern/audit.h>
#include <postern/clock.h>
#include <postern/engine.h>
#include <postern/front.h>
#include <postern/log.h>
#include <postern/loop.h>
#include <postern/str.h>
#include <postern/version.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/*
 * The daemon: everything is made in order, then the main thread keeps house (signals, changed
 * tables, probes of lists) until it is told to stop.
 */
enum { TICK_MS = 1000, STOP_GRACE_MS = 10000 };

struct daemon {
    const char *path;
    bool to_stderr;
    struct config *config;  /* the one that the daemon was started with, then the last good one */
    struct config *running; /* the one that it was started with; its front keeps that anyway */
    struct loop *loop;
    struct resolver *resolver;
    struct audit *audit;
    struct engine *engine;
    struct front *front;
};

static struct audit_options audit_options_of(const struct config *config)
{
    return (struct audit_options){
        .to = config->audit->to.items,
        .to_count = config->audit->to.count,
        .ident = config->log->ident,
    };
}

/* ---- coming up ---- */

/* A session of the MTA takes a descriptor.  Shells and old service managers give 1,024, for the
 * sake of programs that call select(), and leave it to others to ask for more. */
static void take_all_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warning("the limit of descriptors stays as it is: %s", strerror(errno));
}

static int fail(const char *what, char *reason)
{
    log_error("%s: %s", what, reason != NULL ? reason : strerror(errno));
    free(reason);
    return -1;
}

static int start(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    char *error = NULL;
    daemon->loop = loop_new();
    if (daemon->loop == NULL)
        return fail("event loop", NULL);
    daemon->resolver = cli_resolver(config, daemon->loop, &error);
    if (daemon->resolver == NULL)
        return fail("resolver", error);
    const struct audit_options audit = audit_options_of(config);
    daemon->audit = audit_open(&audit, &error);
    if (daemon->audit == NULL)
        return fail("audit", error);
    const struct engine_options options = {
        .dns = resolver_dns(daemon->resolver),
        .loop = daemon->loop,
        .audit = daemon->audit,
    };
    daemon->engine = engine_new(&options, daemon->config);
    engine_tick(daemon->engine); /* lists are probed from the first moment */
    daemon->front = front_open(daemon->engine, config, &error);
    if (daemon->front == NULL)
        return fail("listen", error);
    if (front_start(daemon->front) != 0)
        return fail("the front's threads", NULL);
    return 0;
}

static void stop(struct daemon *daemon)
{
    bool closed = front_close(daemon->front, STOP_GRACE_MS);
    if (daemon->engine != NULL && closed)
        engine_free(daemon->engine);
    if (daemon->audit != NULL)
        audit_close(daemon->audit);
    if (!closed) {
        log_warning("a session did not end; leaving without it");
        _exit(EXIT_TROUBLE);
    }
    if (daemon->resolver != NULL)
        resolver_free(daemon->resolver);
    if (daemon->loop != NULL)
        loop_free(daemon->loop);
    config_unref(daemon->config);
    config_unref(daemon->running);
}

/* ---- reload ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(const struct option_list *a, const struct option_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static const struct listen_options *next_listen(const struct listen_options *listen)
{
    return (const struct listen_options *)(const void *)listen->head.next;
}

static bool same_listens(const struct listen_options *a, const struct listen_options *b)
{
    for (; a != NULL && b != NULL; a = next_listen(a), b = next_listen(b))
        if (!same_text(a->head.name, b->head.name) || !same_text(a->socket, b->socket) ||
            !same_text(a->owner, b->owner) || !same_text(a->group, b->group) ||
            a->perm != b->perm || !same_list(&a->allow, &b->allow))
            return false;
    return a == NULL && b == NULL;
}

/* What a running daemon cannot change. */
static void note_what_needs_a_restart(const struct config *running, const struct config *after)
{
    if (running->front != after->front)
        log_warning("the front has changed: that takes a restart");
    if (!same_listens(running->listens, after->listens))
        log_warning("the listen block has changed: that takes a restart");
    const struct resolver_block *r = running->resolver, *s = after->resolver;
    if (!same_list(&r->servers, &s->servers) || r->recursive != s->recursive ||
        r->dnssec != s->dnssec || r->timeout != s->timeout || r->cache != s->cache)
        log_warning("the resolver block has changed: that takes a restart");
}

static void log_diag(const struct diag *diag)
{
    const char *line;
    for (unsigned i = 0; (line = diag_line(diag, i)) != NULL; i++) {
        if (diag_is_error(diag, i))
            log_error("%s", line);
        else
            log_warning("%s", line);
    }
}

/* The configuration as it is now, with record files opened; NULL when it cannot be taken whole. */
static struct config *read_again(struct daemon *daemon, struct diag *diag)
{
    struct config *config = config_load(daemon->path, cli_schema(), diag);
    bool good = config != NULL && front_check(config, diag);
    if (good) {
        char *error = NULL;
        const struct audit_options audit = audit_options_of(config);
        good = audit_reopen(daemon->audit, &audit, &error) == 0;
        if (!good)
            diag_error(diag, &config->audit->head.at,
                       "%s; the folder must be there and the daemon's user able to write to it",
                       error);
        free(error);
    }
    if (!good) {
        config_unref(config);
        return NULL;
    }
    return config;
}

/* What an administrator asks after a start or a reload: "26 rules, listen mx only observes".  To be
 * freed with str_free(). */
static struct str in_force(const struct config *config)
{
    struct str text = {0};
    size_t rules = config->policy->rule_count;
    str_add_format(&text, "%zu rule%s", rules, rules == 1 ? "" : "s");
    for (const struct listen_options *listen = config->listens; listen != NULL;
         listen = next_listen(listen))
        if (listen->mode == LISTEN_OBSERVE)
            str_add_format(&text, ", listen %s only observes", listen->head.name);
    return text;
}

static void reload(struct daemon *daemon)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_us());
    struct diag *diag = diag_new();
    struct config *config = read_again(daemon, diag);
    log_diag(diag);
    if (config == NULL) {
        log_error("%s was not taken (%u error%s); the configuration of before goes on",
                  daemon->path, diag_errors(diag), diag_errors(diag) == 1 ? "" : "s");
    } else {
        note_what_needs_a_restart(daemon->running, config);
        log_set_level((enum log_level)config->log->level);
        config_inherit(config, daemon->config);
        engine_configure(daemon->engine, config);
        engine_tick(daemon->engine);
        config_unref(daemon->config);
        daemon->config = config;
        struct str text = in_force(config);
        log_info("%s taken: %s", daemon->path, str_text(&text));
        str_free(&text);
    }
    diag_free(diag);
    sd_notify(0, "READY=1");
}

static void log_counters(const struct daemon *daemon)
{
    struct resolver_counters dns;
    struct audit_counters audit;
    resolver_count(daemon->resolver, &dns);
    audit_count(daemon->audit, &audit);
    log_info(
        "transactions under way %u; questions %llu, from cache %llu, shared %llu, faults %llu, "
        "time-outs %llu; records written %llu, failed %llu, dropped %llu",
        front_busy(daemon->front), (unsigned long long)dns.questions, (unsigned long long)dns.hits,
        (unsigned long long)dns.shared, (unsigned long long)dns.faults,
        (unsigned long long)dns.timeouts, (unsigned long long)audit.written,
        (unsigned long long)audit.failed, (unsigned long long)audit.dropped);
}

/* ---- signals ---- */

/* The handlers' only state: what was told, a bit for each number, and a pipe that wakes the main
 * thread. */
static atomic_uint told;
static int signal_pipe[2] = {-1, -1};

static void on_signal(int number)
{
    int saved = errno;
    atomic_fetch_or(&told, 1U << number);
    (void)!write(signal_pipe[1], "", 1);
    errno = saved;
}

static int take_signals(void)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return fail("pipe", NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (sigaction(numbers[i], &action, NULL) != 0)
            return fail("sigaction", NULL);
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

/* ---- keeping house ---- */

/* What was told within WAIT milliseconds.  However often, it is told once: the end does not wait
 * behind a hundred reloads. */
static unsigned take_told(int64_t wait)
{
    struct pollfd ready = {.fd = signal_pipe[0], .events = POLLIN};
    char octets[512];
    poll(&ready, 1, wait > 0 ? (int)wait : 0);
    (void)!read(signal_pipe[0], octets, sizeof(octets));
    return atomic_exchange(&told, 0);
}

/* Returns whether the daemon ends because it was told to. */
static bool keep_house(struct daemon *daemon)
{
    int64_t next = clock_ms() + TICK_MS;
    while (!front_ended(daemon->front)) {
        unsigned now = take_told(next - clock_ms());
        if ((now & (1U << SIGTERM | 1U << SIGINT)) != 0) {
            log_info("stopping; %u transactions under way", front_busy(daemon->front));
            return true;
        }
        if ((now & 1U << SIGHUP) != 0)
            reload(daemon);
        if ((now & 1U << SIGUSR1) != 0)
            log_counters(daemon);
        if (clock_ms() >= next) {
            engine_tick(daemon->engine);
            next = clock_ms() + TICK_MS;
        }
    }
    return false;
}

static void log_serving(const struct config *config)
{
    struct str sockets = {0};
    for (const struct listen_options *listen = config->listens; listen != NULL;
         listen = next_listen(listen))
        str_add_format(&sockets, "%s%s", sockets.length > 0 ? ", " : "", listen->socket);
    struct str text = in_force(config);
    log_info("postern " POSTERN_VERSION " serves at %s with %s", str_text(&sockets),
             str_text(&text));
    str_free(&text);
    str_free(&sockets);
}

static int serve(struct daemon *daemon)
{
    bool asked = false;
    if (take_signals() == 0 && start(daemon) == 0) {
        log_serving(daemon->config);
        sd_notify(0, "READY=1");
        asked = keep_house(daemon);
        sd_notify(0, "STOPPING=1");
    }
    stop(daemon);
    return asked ? EXIT_DONE : EXIT_TROUBLE;
}

struct serve_options {
    const char *config;
    bool foreground;
};

static int run_serve(const struct command *command, void *memory, char **words)
{
    const struct serve_options *options = memory;
    struct daemon daemon = {.path = options->config, .to_stderr = options->foreground};
    (void)command;
    (void)words;
    daemon.config = cli_load(daemon.path, false);
    if (daemon.config == NULL)
        return EXIT_TROUBLE;
    if (!cli_check_front(daemon.config)) {
        config_unref(daemon.config);
        return EXIT_TROUBLE;
    }
    daemon.running = config_ref(daemon.config);
    log_open(daemon.config->log->ident, (enum log_level)daemon.config->log->level,
             daemon.to_stderr || isatty(STDERR_FILENO), 1);
    if (geteuid() == 0)
        log_warning("running as root, which nothing here needs: start postern by its unit, or as "
                    "its own user with setpriv --reuid postern --regid postern --init-groups");
    take_all_descriptors();
    return serve(&daemon);
}

static const struct cli_option rows[] = {
    CLI_CONFIG(struct serve_options),
    {"foreground", 'f', CLI_FLAG, NULL, NULL, NULL, offsetof(struct serve_options, foreground),
     "the daemon's own messages on standard error, too"},
};

const struct command command_serve = {
    .name = "serve",
    .arguments = "[-c FILE] [-f]",
    .summary = "Serves the MTA: runs in the foreground until SIGTERM; SIGHUP reloads",
    CLI_OPTIONS(rows),
    .size = sizeof(struct serve_options),
    .run = run_serve,
};
