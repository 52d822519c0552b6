/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <postern/arena.h>

#include "../../src/checks/checks_private.h"
#include "dkim_signer.h"
#include "probe_bench.h"

/*
 * What a message costs that is signed once with RSA of 2048 bits, relaxed/relaxed, and how much of
 * it goes into decoding the key when it is not kept: microseconds of processor time, best of five,
 * one JSON object.
 */
enum { ROUNDS = 5, CHUNK = 65535 };

static const char *const fields[] = {
    "Received: from a.example (a.example [192.0.2.1])\n\tby b.example; Mon, 1 Jan 2024 00:00:00 "
    "+0000",
    "From: Joe <joe@example.org>",
    "To: a@example.net,\n\tb@example.net ,\n  c@example.net",
    "Subject: a subject of the usual length",
    "Date: Mon, 1 Jan 2024 00:00:00 +0000",
    "Message-ID: <20240101000000.12345@example.org>",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    NULL,
};

struct task {
    const char *config;
    const char *signature; /* NULL: unsigned */
    const struct bench_answer *dns;
    const char *body;
    size_t length;
};

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void feed(struct bench *bench, const struct task *task)
{
    struct inputs inputs = bench_inputs();
    char name[32];
    size_t i;

    bench_stream(bench, &inputs);
    if (task->signature != NULL)
        bench_header(bench, "DKIM-Signature", task->signature);
    for (i = 0; fields[i] != NULL; i++) {
        size_t length = strcspn(fields[i], ":");

        snprintf(name, sizeof(name), "%.*s", (int)length, fields[i]);
        bench_header(bench, name, fields[i] + length + 1);
    }
    bench_eoh(bench);
    for (i = 0; i < task->length; i += CHUNK)
        bench_chunk(bench, task->body + i, task->length - i < CHUNK ? task->length - i : CHUNK);
    bench_run(bench, "dkim", &inputs, false);
    if (strcmp(bench_fact(bench, "dkim.result"), task->signature != NULL ? "pass" : "none") != 0)
        abort();
}

/* Best of the rounds, each on a check of its own that has seen one such message. */
static double measure(const struct task *task, unsigned messages)
{
    double best = 1e12;
    unsigned round, i;

    for (round = 0; round < ROUNDS; round++) {
        struct bench *bench = bench_new(&check_dkim, NULL, task->config, NULL);
        double start, each;

        bench_dns(bench, task->dns);
        feed(bench, task);
        start = now_us();
        for (i = 0; i < messages; i++)
            feed(bench, task);
        each = (now_us() - start) / messages;
        best = each < best ? each : best;
        bench_free(bench);
    }
    return best;
}

static double measure_decoding(const char *key, unsigned times)
{
    unsigned char der[1024];
    int length = EVP_DecodeBlock(der, (const unsigned char *)key, (int)strlen(key));
    double best = 1e12;
    unsigned round, i;

    for (round = 0; round < ROUNDS; round++) {
        double start = now_us();
        double each;

        for (i = 0; i < times; i++) {
            const unsigned char *at = der;
            EVP_PKEY *read = d2i_PUBKEY(NULL, &at, length);

            if (read == NULL)
                abort();
            EVP_PKEY_free(read);
        }
        each = (now_us() - start) / times;
        best = each < best ? each : best;
    }
    return best;
}

int main(void)
{
    enum { SMALL = 10 * 1024, LARGE = 1024 * 1024 };
    struct arena *arena = arena_new();
    struct signer *signer = signer_new(arena, "rsa2048");
    struct bench_answer dns[] = {{"sel._domainkey.example.org", DNS_TXT, signer_record(signer)},
                                 {0}};
    char *body = arena_alloc(arena, LARGE);
    struct task task = {.config = "", .dns = dns, .body = body};
    size_t i;

    for (i = 0; i < LARGE; i++)
        body[i] = (char)(i % 76 == 74 ? '\r' : i % 76 == 75 ? '\n' : i % 7 == 6 ? ' ' : 'x');
    memcpy(body + SMALL - 2, "\r\n", 2);
    memcpy(body + LARGE - 2, "\r\n", 2);
    printf("{");
    task.length = SMALL;
    printf("\"dkim_unsigned_10k_us\": %.1f, ", measure(&task, 500));
    task.signature =
        signer_by_library(signer, "example.org", "relaxed/relaxed", fields, body, SMALL);
    printf("\"dkim_10k_us\": %.1f, ", measure(&task, 200));
    task.length = LARGE;
    task.signature =
        signer_by_library(signer, "example.org", "relaxed/relaxed", fields, body, LARGE);
    printf("\"dkim_1M_us\": %.1f, ", measure(&task, 20));
    task.signature = signer_by_library(signer, "example.org", "simple/simple", fields, body, LARGE);
    printf("\"dkim_1M_simple_us\": %.1f, ", measure(&task, 20));
    printf("\"key_decoding_us\": %.1f}\n", measure_decoding(signer_key(signer), 500));
    signer_free(signer);
    arena_free(arena);
    return 0;
}
