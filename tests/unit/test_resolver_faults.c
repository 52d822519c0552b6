/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <postern/clock.h>

#include "nsd.h"
#include "resolver_rig.h"

enum { TIMEOUT_MS = 1000 };

static const char records[] = "*.wild.test. A 192.0.2.1\n";

/* Nothing listens, then a server that refuses, then one that serves. */
static void closed_and_refused(void **state)
{
    struct nsd *nsd = nsd_start(records, 0);
    unsigned port = nsd_port(nsd);
    struct rig *rig = resolver_rig_new(nsd, NULL);

    (void)state;
    assert_int_equal(rig_ask(rig, "before", 0, TIMEOUT_MS), DNS_FOUND);
    nsd_stop(nsd);
    assert_true(rig_endure(rig, "closed", TIMEOUT_MS, 4500));
    rig->nsd = nsd_start_zone(
        "other.example", "$TTL 60\n@ SOA ns host 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n", port);
    assert_true(rig_endure(rig, "refused", TIMEOUT_MS, 2000));
    nsd_stop(rig->nsd);
    rig->nsd = nsd_start(records, port);
    assert_true(rig_recover(rig, "after", TIMEOUT_MS));
    resolver_rig_free(rig);
}

/* A server of two ways: names below slow.test are never answered, all others at once.  With GARBAGE
 * it answers everything with rubbish. */
struct odd_server {
    int fd;
    unsigned port;
    atomic_bool stop;
    atomic_int garbage;
    pthread_t thread;
};

static size_t make_reply(struct odd_server *server, uint8_t *packet, size_t length)
{
    static const uint8_t answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
    enum { HEADER = 12, QUESTION_TAIL = 5 };
    size_t end = HEADER;

    switch (atomic_load(&server->garbage)) {
    case 1: /* too short for a header */
        return 5;
    case 2: /* the question alone, said to be an answer, with records announced that are not there
             */
        packet[2] = 0x81;
        packet[3] = 0x80;
        packet[6] = packet[7] = 0xff;
        return length;
    case 3: /* noise behind the right id */
        memset(packet + 2, 0xc1, length - 2);
        return length;
    default:
        break;
    }
    if (memmem(packet, length, "slow", 4))
        return 0;
    while (packet[end])
        end += packet[end] + 1u;
    end += QUESTION_TAIL;
    memcpy(packet + 2, "\x81\x80\0\1\0\1\0\0\0\0", 10);
    memcpy(packet + end, answer, sizeof(answer));
    return end + sizeof(answer);
}

static void *serve(void *arg)
{
    struct odd_server *server = arg;
    uint8_t packet[2048];

    while (!atomic_load(&server->stop)) {
        struct pollfd poller = {.fd = server->fd, .events = POLLIN};
        struct sockaddr_in from;
        socklen_t size = sizeof(from);

        if (poll(&poller, 1, 100) != 1)
            continue;
        ssize_t length =
            recvfrom(server->fd, packet, sizeof(packet) / 2, 0, (struct sockaddr *)&from, &size);
        size_t reply = length > 12 ? make_reply(server, packet, (size_t)length) : 0;

        if (reply > 0)
            sendto(server->fd, packet, reply, 0, (struct sockaddr *)&from, size);
    }
    return NULL;
}

static void odd_start(struct odd_server *server)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(sa);

    memset(server, 0, sizeof(*server));
    server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&sa, size), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&sa, &size), 0);
    server->port = ntohs(sa.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void odd_stop(struct odd_server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    close(server->fd);
}

static struct rig *odd_rig(const struct odd_server *server)
{
    char text[32];
    const char *texts[] = {text};

    snprintf(text, sizeof(text), "127.0.0.1@%u", server->port);
    return resolver_rig_new(NULL, &(struct resolver_options){
                                      .servers = texts, .server_count = 1, .cache_bytes = 1 << 20});
}

static void garbage(void **state)
{
    enum { KINDS = 3, SHORT_MS = 400 };
    struct odd_server server;

    (void)state;
    odd_start(&server);
    struct rig *rig = odd_rig(&server);

    for (int i = 1; i <= KINDS; i++) {
        int64_t start = clock_ms();

        atomic_store(&server.garbage, i);
        assert_int_equal(rig_ask(rig, "garbage", i, SHORT_MS), DNS_FAULT);
        assert_in_range(clock_ms() - start, 0, SHORT_MS + 250 * slow());
    }
    atomic_store(&server.garbage, 0);
    assert_true(rig_recover(rig, "sound", TIMEOUT_MS));
    resolver_rig_free(rig);
    odd_stop(&server);
}

/* Names whose own servers are dead, many at a time, do not make the resolver give up a forwarder
 * that answers all others. */
static void slow_names(void **state)
{
    enum { ROUNDS = 14, BURST = 40, WAIT_MS = 300, PAUSE_MS = 600 };
    struct odd_server server;
    struct seen *seen = test_calloc(ROUNDS * BURST, sizeof(*seen));
    char name[64];

    (void)state;
    odd_start(&server);
    struct rig *rig = odd_rig(&server);

    for (int i = 0; i < ROUNDS * BURST; i++) {
        snprintf(name, sizeof(name), "n%d.slow.test", i);
        assert_null(dns_ask(resolver_dns(rig->resolver), name, DNS_A, WAIT_MS, seen_note, &seen[i],
                            &seen[i].query));
        if (i % BURST == BURST - 1)
            usleep(PAUSE_MS * 1000);
        /* Only now and then one that is well: nothing else tells libunbound that the server lives.
         */
        if (i % (BURST * 7) == BURST * 7 - 1)
            assert_int_equal(rig_ask(rig, "fast", i, TIMEOUT_MS), DNS_FOUND);
    }
    for (int i = 0; i < ROUNDS * BURST; i++) {
        seen_wait(&seen[i]);
        assert_int_equal(seen[i].status, DNS_FAULT);
    }
    resolver_rig_free(rig);
    odd_stop(&server);
    test_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_and_refused),
        cmocka_unit_test(garbage),
        cmocka_unit_test(slow_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
