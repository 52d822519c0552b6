/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <postern/arena.h>
#include <postern/check.h>
#include <postern/log.h>

#include "../../src/milter/wire_session.h"

/*
 * What an MTA may send: a first byte that says whether the negotiation has been, then packets. The
 * policy needs no DNS, so that every answer is there at once.  Whatever comes, what is said back is
 * whole packets of commands that an MTA knows, and nothing is kept beyond the limits.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy[] =
    "hostname mx.example.test;\n"
    "speak_at mail;\n"
    "rule mail { when sender == \"mail@example.net\"; reply 550 5.7.1 \"%{sender} %{helo}\"; }\n"
    "rule rcpt { when rcpt.local == no; reply 550 5.1.1 \"<%{rcpt}>: no\"; }\n"
    "rule mark { when true; header \"X-Mark: %{sender} %{mta.daemon} %{auth.user}\"; }\n"
    "rule worm { when header('Subject') matches 'worm'; reply 554 5.7.1 \"no\"; }\n"
    "rule hold { when header('Subject') matches 'hold'; quarantine \"%{client.ip}\"; }\n";

static struct engine *make_engine(void)
{
    static struct config_schema schema;
    char path[64];
    int fd = memfd_create("postern.conf", 0);
    struct diag *diag = diag_new();
    struct arena *arena = arena_new();
    slot_t *first = arena_alloc(arena, checks_count * sizeof(first[0]));
    schema.checks = checks_all;
    schema.check_count = checks_count;
    schema.layout = checks_layout(arena, first);
    schema.first_slot = first;
    schema.looks_only = true;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (write(fd, policy, sizeof(policy) - 1) != (ssize_t)sizeof(policy) - 1)
        abort();
    struct config *config = config_load(path, &schema, diag);
    diag_print(diag, stderr);
    diag_free(diag);
    assert(config != NULL);
    const struct engine_options options = {.dns = NULL};
    log_set_level(LOG_LEVEL_ERROR);
    return engine_new(&options, config);
}

static bool is_here(void *arg)
{
    (void)arg;
    return true;
}

static void check_said(const struct str *out)
{
    struct wire_packet packet;
    size_t size;
    for (size_t at = 0; at < out->length; at += size) {
        enum wire_next next = wire_next(out->data + at, out->length - at, &packet, &size);
        assert(next == WIRE_WHOLE);
        assert(packet.command != '\0' && strchr("Ocyimq", packet.command) != NULL);
        (void)next;
    }
}

static void converse(struct wire_session *wire, const char *bytes, size_t length)
{
    struct str out = {0};
    struct wire_packet packet;
    size_t size;
    enum wire_state state = WIRE_READY;
    for (size_t at = 0; state == WIRE_READY; at += size) {
        if (wire_next(bytes + at, length - at, &packet, &size) != WIRE_WHOLE)
            break;
        state = wire_session_take(wire, &packet, &out);
        assert(state != WIRE_WAITS);
        assert(state != WIRE_BROKEN || wire->trouble != NULL);
    }
    check_said(&out);
    str_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wire_host host = {.is_here = is_here};
    static const char offer[] = "\0\0\0\x0dO\0\0\0\6\0\0\1\xff\0\x1f\xff\xff";
    static struct engine *engine;
    struct wire_session wire;
    if (size == 0)
        return 0;
    if (engine == NULL)
        engine = make_engine();
    wire_session_init(&wire, engine, "mx", &host, NULL);
    if (data[0] % 2 == 1)
        converse(&wire, offer, sizeof(offer) - 1);
    /* A copy of the exact size, so that a read behind it is caught. */
    char *copy = xmalloc(size - 1);
    memcpy(copy, data + 1, size - 1);
    converse(&wire, copy, size - 1);
    free(copy);
    wire_session_fini(&wire);
    return 0;
}
