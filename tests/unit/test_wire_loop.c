/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/clock.h>
#include <postern/str.h>

#include "../../src/milter/wire_loop.h"
#include "../../src/milter/wire_packet.h"

/* Connections of a loop, spoken to through socket pairs. */

static const struct rig_answer dns[] = {{"now.rcpt.test", DNS_A, "!127.0.0.1"},
                                        {"soon.rcpt.test", DNS_A, "127.0.0.1"},
                                        {"held.rcpt.test", DNS_A, "hold 127.0.0.1"},
                                        {NULL, DNS_A, NULL}};
static const char config[] = "rule r { when t.rcpt == 1; reply 550 5.7.1 \"no\"; }\n"
                             "rule h { when true; header \"X-Seen: yes\"; }\n";
static const struct wire_times patient = {.idle_ms = 600000, .part_ms = 600000};

struct stand {
    struct rig *rig;
    struct wire_loop *loop;
};

static struct stand open_stand(const struct wire_times *times)
{
    const struct rig_options options = {.dns = dns};
    struct stand stand = {.rig = rig_new(&options, config)};
    stand.loop = wire_loop_new(rig_engine(stand.rig), times);
    assert_non_null(stand.loop);
    return stand;
}

static void wait_count(const struct stand *stand, unsigned count)
{
    int64_t end = clock_ms() + 20000;
    while (wire_loop_count(stand->loop) != count && clock_ms() < end)
        usleep(1000);
    assert_int_equal(wire_loop_count(stand->loop), count);
}

static void close_stand(struct stand *stand)
{
    wire_loop_drop(stand->loop);
    wait_count(stand, 0);
    assert_int_equal(wire_loop_busy(stand->loop), 0);
    wire_loop_free(stand->loop);
    rig_free(stand->rig);
}

static int connect_to(const struct stand *stand)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    wire_loop_adopt(stand->loop, fds[1], "mx");
    return fds[0];
}

static void say(int fd, const char *data, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t n = send(fd, data + sent, length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the other side has closed */
        sent += (size_t)n;
    }
}

static void put(struct str *out, char command, const char *data, size_t length)
{
    wire_put(out, command, data, length);
}

#define PUT(out, command, data) put(out, command, data, sizeof(data) - 1)

static void put_start(struct str *out)
{
    PUT(out, 'O', "\0\0\0\6\0\0\1\xff\0\x1f\xff\xff");
    PUT(out, 'D', "Cj\0mx.test\0");
    PUT(out, 'C', "client\0004\x9c@192.0.2.1\0");
    PUT(out, 'H', "client.test\0");
}

static void send_str(int fd, struct str *out)
{
    say(fd, out->data, out->length);
    str_free(out);
}

/* One packet, as its command and data; "closed" at the end, "silent" after MS milliseconds. */
static const char *hear(int fd, int ms)
{
    static _Thread_local char text[4096];
    unsigned char head[WIRE_HEAD];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, ms) == 0)
        return "silent";
    ssize_t n = recv(fd, head, sizeof(head), MSG_WAITALL);
    if (n != (ssize_t)sizeof(head))
        return "closed";
    size_t length = ((size_t)head[2] << 8 | head[3]) - 1;
    assert_true(length < sizeof(text) - 2);
    text[0] = (char)head[4];
    text[1] = '\0';
    if (length > 0)
        assert_int_equal(recv(fd, text + 1, length, MSG_WAITALL), (ssize_t)length);
    text[1 + length] = '\0';
    return text;
}

enum { SOON = 20000 };

/* Up to MAIL; what is negotiated and replied to on the way is read. */
static int begin(const struct stand *stand)
{
    struct str out = {0};
    int fd = connect_to(stand);
    put_start(&out);
    PUT(&out, 'M', "<a@example.com>\0");
    send_str(fd, &out);
    assert_int_equal(hear(fd, SOON)[0], 'O');
    return fd;
}

static void rcpt(int fd, const char *local)
{
    struct str out = {0}, path = {0};
    str_add_format(&path, "<%s@example.org>", local);
    wire_put(&out, 'R', path.data, path.length + 1);
    send_str(fd, &out);
    str_free(&path);
}

static void expect_refused(int fd)
{
    const char *answer = hear(fd, SOON);
    assert_int_equal(answer[0], 'y');
    assert_memory_equal(answer + 1, "550 5.7.1 no (ref ", 18);
}

static void end_message(int fd)
{
    struct str out = {0};
    PUT(&out, 'L', "Subject\0 x\0");
    PUT(&out, 'E', "");
    send_str(fd, &out);
    assert_string_equal(hear(fd, SOON), "i");
    assert_string_equal(hear(fd, SOON), "c");
}

static void test_conversation(void **state)
{
    struct stand stand = open_stand(&patient);
    int fd = begin(&stand);
    (void)state;
    rcpt(fd, "now");
    expect_refused(fd);
    rcpt(fd, "soon");
    expect_refused(fd);
    rcpt(fd, "taken");
    assert_string_equal(hear(fd, SOON), "c");
    assert_int_equal(wire_loop_busy(stand.loop), 1);
    end_message(fd);
    say(fd, "\0\0\0\1Q", 5);
    assert_string_equal(hear(fd, SOON), "closed");
    close(fd);
    wait_count(&stand, 0);
    close_stand(&stand);
}

static void test_byte_by_byte(void **state)
{
    struct stand stand = open_stand(&patient);
    struct str out = {0};
    int fd = connect_to(&stand);
    (void)state;
    put_start(&out);
    PUT(&out, 'M', "<a@example.com>\0");
    PUT(&out, 'R', "<soon@example.org>\0");
    for (size_t i = 0; i < out.length; i++) {
        say(fd, out.data + i, 1);
        if (i % 7 == 0)
            usleep(500);
    }
    str_free(&out);
    assert_int_equal(hear(fd, SOON)[0], 'O');
    expect_refused(fd);
    close(fd);
    close_stand(&stand);
}

/* What comes behind a command that waits is taken after its answer, and replies keep their order.
 */
static void test_waiting(void **state)
{
    struct stand stand = open_stand(&patient);
    int fd = begin(&stand), other = begin(&stand);
    (void)state;
    rcpt(fd, "held");
    rcpt(fd, "now");
    rcpt(fd, "taken");
    assert_string_equal(hear(fd, 50), "silent");
    rcpt(other, "now");
    expect_refused(other);
    rig_release(stand.rig);
    expect_refused(fd);
    expect_refused(fd);
    assert_string_equal(hear(fd, SOON), "c");
    close(fd);
    close(other);
    close_stand(&stand);
}

/* A session whose answer is on its way lives until it comes, its connection does not. */
static void test_gone_while_waiting(void **state)
{
    struct stand stand = open_stand(&patient);
    int fd = begin(&stand), other = begin(&stand);
    (void)state;
    rcpt(fd, "held");
    rcpt(other, "held");
    assert_string_equal(hear(fd, 50), "silent");
    close(fd);
    wire_loop_drop(stand.loop);
    assert_string_equal(hear(other, SOON), "closed");
    assert_int_equal(wire_loop_busy(stand.loop), 0);
    assert_int_equal(wire_loop_count(stand.loop), 2);
    rig_release(stand.rig);
    wait_count(&stand, 0);
    close(other);
    close_stand(&stand);
}

static void test_times(void **state)
{
    const struct wire_times hasty = {.idle_ms = 600000, .part_ms = 100};
    const struct wire_times bored = {.idle_ms = 100, .part_ms = 600000};
    struct stand stand = open_stand(&hasty);
    int idle = begin(&stand), part = begin(&stand), waits = begin(&stand);
    (void)state;
    rcpt(waits, "held");
    say(part, "\0\0\0\7R", 5);
    assert_string_equal(hear(part, SOON), "closed");
    assert_string_equal(hear(idle, 200), "silent");
    assert_string_equal(hear(waits, 10), "silent");
    rig_release(stand.rig);
    expect_refused(waits);
    close(idle);
    close(part);
    close(waits);
    close_stand(&stand);
    stand = open_stand(&bored);
    idle = connect_to(&stand);
    assert_string_equal(hear(idle, SOON), "closed");
    close(idle);
    close_stand(&stand);
}

/* A peer that does not read its replies: it is not read from any more, others do not notice. */
static void test_reads_nothing(void **state)
{
    const struct wire_times hasty = {.idle_ms = 600000, .part_ms = 300};
    struct stand stand = open_stand(&hasty);
    int deaf = begin(&stand), other;
    struct str out = {0};
    size_t sent = 0;
    (void)state;
    for (int i = 0; i < 1000; i++)
        PUT(&out, 'R', "<now@example.org>\0");
    fcntl(deaf, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 200; i++) {
        ssize_t n = send(deaf, out.data, out.length, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        usleep(500);
    }
    assert_true(sent < 100 * out.length);
    str_free(&out);
    other = begin(&stand);
    rcpt(other, "now");
    expect_refused(other);
    close(other);
    wait_count(&stand, 0);
    close(deaf);
    close_stand(&stand);
}

static void test_broken(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        bool started;
    } rows[] = {
#define ROW(bytes, started) {bytes, sizeof(bytes) - 1, started}
        ROW("\0\0\0\0", false),     ROW("\xff\xff\xff\xff", false),
        ROW("\0\0\0\1O", false),    ROW("\0\0\0\x0dO\0\0\0\1\0\0\0\0\0\0\0\0", false),
        ROW("\0\0\0\1H", false),    ROW("\0\0\0\1X", true),
        ROW("\0\0\0\1O", true),     ROW("\0\0\0\2Rx", true),
        ROW("\0\0\0\1R", true),     ROW("\0\0\0\1T", true),
        ROW("\0\0\0\1E", true),     ROW("\0\0\0\1D", true),
        ROW("\0\0\0\4DMi\0", true), ROW("\0\0\0\2M<", true),
        ROW("\0\0\0\2C\0", true),
    };
    struct stand stand = open_stand(&patient);
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = rows[i].started ? begin(&stand) : connect_to(&stand);
        say(fd, rows[i].bytes, rows[i].length);
        if (strcmp(hear(fd, SOON), "closed") != 0)
            fail_msg("row %zu", i);
        close(fd);
    }
    wait_count(&stand, 0);
    close_stand(&stand);
}

static void test_orders(void **state)
{
    struct stand stand = open_stand(&patient);
    struct str out = {0};
    int fd = begin(&stand);
    (void)state;
    /* MAIL and HELO end a transaction; an abort where there is none, and commands that nobody
     * knows, do no harm; a chunk may come with the end. */
    PUT(&out, 'M', "<b@example.com>\0");
    PUT(&out, 'H', "again.test\0");
    PUT(&out, 'A', "");
    PUT(&out, 'A', "");
    PUT(&out, 'U', "XYZZY\0");
    PUT(&out, 'M', "<b@example.com>\0");
    PUT(&out, 'R', "<taken@example.org>\0");
    PUT(&out, 'E', "the body\r\n");
    send_str(fd, &out);
    assert_string_equal(hear(fd, SOON), "c");
    assert_string_equal(hear(fd, SOON), "c");
    assert_string_equal(hear(fd, SOON), "i");
    assert_string_equal(hear(fd, SOON), "c");
    /* Another SMTP session on the same connection keeps what was negotiated. */
    PUT(&out, 'K', "");
    PUT(&out, 'C', "client\0U");
    PUT(&out, 'H', "client.test\0");
    PUT(&out, 'M', "<b@example.com>\0");
    PUT(&out, 'R', "<now@example.org>\0");
    send_str(fd, &out);
    expect_refused(fd);
    close(fd);
    close_stand(&stand);
}

static void test_finish(void **state)
{
    struct stand stand = open_stand(&patient);
    struct str out = {0};
    int busy = begin(&stand), idle = connect_to(&stand), late;
    (void)state;
    put_start(&out);
    send_str(idle, &out);
    assert_int_equal(hear(idle, SOON)[0], 'O');
    rcpt(busy, "taken");
    assert_string_equal(hear(busy, SOON), "c");
    wire_loop_finish(stand.loop);
    assert_string_equal(hear(idle, SOON), "closed");
    late = connect_to(&stand);
    assert_string_equal(hear(late, SOON), "closed");
    rcpt(busy, "now");
    expect_refused(busy);
    end_message(busy);
    assert_string_equal(hear(busy, SOON), "closed");
    close(busy);
    close(idle);
    close(late);
    close_stand(&stand);
}

/* ---- many ---- */

static void test_many_idle(void **state)
{
    enum { MANY = 2000, HEAP_EACH = 8000 };
    struct stand stand = open_stand(&patient);
    struct rlimit limit;
    int *fds = malloc(MANY * sizeof(fds[0])), one;
    size_t before, after;
    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 10; i++)
        fds[i] = begin(&stand);
    before = mallinfo2().uordblks;
    for (int i = 10; i < MANY; i++) {
        struct str out = {0};
        fds[i] = connect_to(&stand);
        put_start(&out);
        send_str(fds[i], &out);
        assert_int_equal(hear(fds[i], SOON)[0], 'O');
    }
    one = begin(&stand);
    rcpt(one, "now");
    expect_refused(one);
    after = mallinfo2().uordblks;
    print_message("%zu octets a connection\n", (after - before) / (MANY - 10));
    assert_true((after - before) / (MANY - 10) < HEAP_EACH);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    close(one);
    wait_count(&stand, 0);
    free(fds);
    close_stand(&stand);
}

struct client {
    pthread_t thread;
    const struct stand *stand;
    unsigned seed, unheard;
};

/* Sessions that end anywhere, also while they wait. */
static void *run_client(void *arg)
{
    struct client *client = arg;
    for (int i = 0; i < 150; i++) {
        int fd = connect_to(client->stand);
        struct str out = {0};
        put_start(&out);
        PUT(&out, 'M', "<a@example.com>\0");
        send_str(fd, &out);
        for (unsigned n = (unsigned)rand_r(&client->seed) % 4; n > 0; n--)
            rcpt(fd, rand_r(&client->seed) % 2 == 0 ? "soon" : "now");
        if (rand_r(&client->seed) % 3 == 0) {
            rcpt(fd, "taken");
            PUT(&out, 'E', "");
            send_str(fd, &out);
            const char *heard = "";
            for (int packets = 0; heard[0] != 'i' && packets < 20; packets++)
                heard = hear(fd, SOON);
            if (heard[0] != 'i')
                client->unheard++;
        } else if (rand_r(&client->seed) % 2 == 0) {
            hear(fd, 1);
        }
        close(fd);
    }
    return NULL;
}

static void test_many_at_once(void **state)
{
    enum { CLIENTS = 4 };
    struct stand stand = open_stand(&patient);
    struct client clients[CLIENTS];
    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.stand = &stand, .seed = i};
        pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].unheard, 0);
    }
    wait_count(&stand, 0);
    close_stand(&stand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversation), cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_waiting),      cmocka_unit_test(test_gone_while_waiting),
        cmocka_unit_test(test_times),        cmocka_unit_test(test_reads_nothing),
        cmocka_unit_test(test_broken),       cmocka_unit_test(test_orders),
        cmocka_unit_test(test_finish),       cmocka_unit_test(test_many_idle),
        cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
