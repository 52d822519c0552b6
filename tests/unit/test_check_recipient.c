/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/log.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Tables in files, written by write_tables(); there is no file "gone". */
static const struct {
    const char *name, *text;
} files[] = {
    {"users", "alice@example.org\nbob@example.org\nmoved@example.org\n"
              "tagged@example.org\nany@example.org\n"},
    {"bare", "carol\nalice@example.org\n"},
    {"moved", "moved@example.org  New@Elsewhere.example\n"
              "quiet@example.org\n"
              "two@example.org    a@one.example, b@two.example\n"
              "prose@example.org  gone fishing\n"
              "eai@example.org    j\xc3\xb6rg@elsewhere.example\n"
              "local@example.org  someone\n"
              "angle@example.org  <new@elsewhere.example>\n"
              "null@example.org   <>\n"},
    {"empty", ""},
    {"one", "alice@example.org\n"},
};

static char dir[] = "/tmp/postern-test-XXXXXX";

static int write_tables(void **state)
{
    size_t i;

    (void)state;
    log_open("test", LOG_LEVEL_ERROR, 0, 0);
    if (mkdtemp(dir) == NULL)
        return -1;
    for (i = 0; i < LENGTH(files); i++) {
        char path[128];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
        file = fopen(path, "w");
        if (file == NULL || fputs(files[i].text, file) == EOF || fclose(file) != 0)
            return -1;
    }
    return 0;
}

static int remove_tables(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(files); i++) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
        unlink(path);
    }
    return rmdir(dir);
}

#define TABLES                                                                                     \
    "hostname mx.example.org;"                                                                     \
    "table ours { example.org; mx.example.org; .sub.example; 192.0.2.25; }"                        \
    "table users file:users; table bare file:bare; table moved file:moved;"                        \
    "table empty file:empty; table gone file:gone; table one file:one;"
#define ALL TABLES "recipients { domains ours; known users; moved moved; }"

static struct bench *new_bench(const char *config)
{
    struct bench *bench = bench_new(&check_recipient, NULL, config, dir);

    assert_string_equal(bench_problems(bench), "");
    return bench;
}

static void test_recipient(void **state)
{
    static const struct {
        const char *config, *path;
        unsigned taken;
        const char *facts;
    } rows[] = {
        {ALL, "<Alice@Example.ORG>", 3,
         "rcpt=Alice@example.org[Alice@Example.ORG] local=Alice domain=example.org count=3"},
        {ALL, "<postmaster>", 0,
         "rcpt=postmaster@example.org[postmaster] local=postmaster domain=example.org "
         "count=0"},
        {ALL, "<PostMaster>", 0,
         "rcpt=PostMaster@example.org[PostMaster] local=PostMaster domain=example.org "
         "count=0"},
        {"", "<postmaster>", 0, "rcpt=postmaster local=postmaster domain= count=0"},
        {ALL, "<\"a@b\">", 0,
         "rcpt=\"a@b\"@example.org[\"a@b\"] local=a@b domain=example.org count=0"},
        {ALL, "<root@>", 0, "rcpt=root@ local=root domain= count=0"},
        {ALL, "<a@[192.0.2.25]>", 0, "rcpt=a@[192.0.2.25] local=a domain= count=0"},
        {ALL, "<>", 0, "rcpt= local= domain= count=0"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = new_bench(rows[i].config);
        struct arena *arena = arena_new();
        struct inputs inputs = bench_inputs();
        const char *found;

        inputs.recipient = mailbox_parse(arena, rows[i].path);
        inputs.recipients_taken = rows[i].taken;
        found = bench_run(bench, "rcpt", &inputs, false);
        if (strcmp(found, rows[i].facts) != 0)
            fail_msg("row %zu:\n  found    %s\n  expected %s", i, found, rows[i].facts);
        arena_free(arena);
        bench_free(bench);
    }
}

static void test_status(void **state)
{
    static const char no_known[] = TABLES "recipients { domains ours; moved moved; }";
    static const char no_domains[] = TABLES "recipients { known users; moved moved; }";
    static const char gone_domains[] = TABLES "recipients { domains gone; known users; }";
    static const char gone_known[] = TABLES "recipients { domains ours; known gone; moved moved; }";
    static const char gone_moved[] = TABLES "recipients { domains ours; known users; moved gone; }";
    static const char gone_both[] = TABLES "recipients { domains ours; known gone; moved gone; }";
    static const char bare[] = TABLES "recipients { domains ours; local ours; known bare; }";
    static const char not_bare[] = TABLES "recipients { domains ours; known bare; }";
    static const char gone_local[] =
        TABLES "recipients { domains ours; local gone; known bare; moved moved; }";
    static const char empty_known[] = TABLES "recipients { domains ours; known empty; }";
    static const char empty_moved[] =
        TABLES "recipients { domains ours; known users; moved empty; }";
    static const char unguarded[] =
        TABLES "recipients { domains ours; known empty; shrink_guard 0%; }";
    static const char plus[] = TABLES "recipients { domains ours; known users; delimiter \"+-\"; }";
    static const struct {
        const char *config, *path, *facts;
    } rows[] = {
        {ALL, "<alice@example.org>", "status=known moved_to="},
        {ALL, "<ALICE@Example.Org>", "status=known moved_to="},
        {ALL, "<@hop.example:\"alice\"@example.org>", "status=known moved_to="},
        {ALL, "<mallory@example.org>", "status=unknown moved_to="},
        {ALL, "<alice@mx.example.org>", "status=unknown moved_to="},
        {ALL, "<alice@deep.sub.example>", "status=unknown moved_to="},
        {ALL, "<alice@example.com>", "status=foreign moved_to="},
        {ALL, "<alice@no..name>", "status=foreign moved_to="},
        {ALL, "<alice@>", "status=foreign moved_to="},
        {ALL, "<>", "status=foreign moved_to="},
        {ALL, "<mallory>", "status=unknown moved_to="},
        /* Moved, although the mailbox still stands in the other table. */
        {ALL, "<moved@example.org>", "status=moved moved_to=New@elsewhere.example"},
        {ALL, "<angle@example.org>", "status=moved moved_to=new@elsewhere.example"},
        /* Not disclosed: nothing, several, prose, UTF-8, no domain, no address. */
        {ALL, "<quiet@example.org>", "status=moved moved_to="},
        {ALL, "<two@example.org>", "status=moved moved_to="},
        {ALL, "<prose@example.org>", "status=moved moved_to="},
        {ALL, "<eai@example.org>", "status=moved moved_to="},
        {ALL, "<local@example.org>", "status=moved moved_to="},
        {ALL, "<null@example.org>", "status=moved moved_to="},
        /* Address literals are ours where the address is. */
        {ALL, "<any@[192.0.2.25]>", "status=known moved_to="},
        {ALL, "<nobody@[192.0.2.25]>", "status=unknown moved_to="},
        {ALL, "<any@[192.0.2.26]>", "status=foreign moved_to="},
        {ALL, "<any@[nonsense]>", "status=foreign moved_to="},
        {ALL, "<postmaster@[192.0.2.25]>", "status=known moved_to="},
        {ALL, "<postmaster@[192.0.2.26]>", "status=foreign moved_to="},
        {ALL, "<postmaster@>", "status=foreign moved_to="},
        {ALL, "<any>", "status=known moved_to="},
        /* RFC 5321 4.5.1 */
        {ALL, "<postmaster>", "status=known moved_to="},
        {ALL, "<Postmaster>", "status=known moved_to="},
        {gone_both, "<postmaster>", "status=known moved_to="},
        {ALL, "<postmaster@example.org>", "status=unknown moved_to="},
        {no_known, "<mallory@example.org>", "status=known moved_to="},
        {no_known, "<quiet@example.org>", "status=moved moved_to="},
        {no_known, "<mallory@example.com>", "status=foreign moved_to="},
        {no_domains, "<alice@example.org>", "status=known moved_to="},
        {no_domains, "<alice@example.com>", "status=unknown moved_to="},
        {"", "<alice@example.com>", "status=known moved_to="},
        /* What cannot be found out is never unknown, nor known while it may have moved. */
        {gone_domains, "<alice@example.org>", "status=~unavailable moved_to=~"},
        {gone_known, "<alice@example.org>", "status=~unavailable moved_to=~"},
        {gone_known, "<alice@example.com>", "status=foreign moved_to="},
        {gone_known, "<moved@example.org>", "status=moved moved_to=New@elsewhere.example"},
        {gone_moved, "<alice@example.org>", "status=~unavailable moved_to=~"},
        {gone_moved, "<mallory@example.org>", "status=~unavailable moved_to=~"},
        {gone_local, "<carol@example.org>", "status=~unavailable moved_to=~"},
        {gone_local, "<quiet@example.org>", "status=moved moved_to="},
        /* A table of users that is suddenly empty is not believed. */
        {empty_known, "<alice@example.org>", "status=~unavailable moved_to=~"},
        {unguarded, "<alice@example.org>", "status=unknown moved_to="},
        {empty_moved, "<alice@example.org>", "status=known moved_to="},
        /* Entries without a domain. */
        /* What Postfix has in its local domains, and only there. */
        {bare, "<MAILER-DAEMON@example.org>", "status=known moved_to="},
        {bare, "<double-bounce@example.org>", "status=known moved_to="},
        {bare, "<postmaster@example.org>", "status=known moved_to="},
        {bare, "<mailer-daemon@example.com>", "status=foreign moved_to="},
        {not_bare, "<mailer-daemon@example.org>", "status=unknown moved_to="},
        {bare, "<double-bounces@example.org>", "status=unknown moved_to="},
        {bare, "<carol@example.org>", "status=known moved_to="},
        {bare, "<carol@deep.sub.example>", "status=known moved_to="},
        {bare, "<mallory@example.org>", "status=unknown moved_to="},
        {bare, "<carol@example.com>", "status=foreign moved_to="},
        {not_bare, "<carol@example.org>", "status=unknown moved_to="},
        /* Extensions. */
        {plus, "<tagged+x@example.org>", "status=known moved_to="},
        {plus, "<tagged-x@example.org>", "status=known moved_to="},
        {ALL, "<tagged+x@example.org>", "status=unknown moved_to="},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = new_bench(rows[i].config);
        struct arena *arena = arena_new();
        struct inputs inputs = bench_inputs();
        const char *found;

        inputs.recipient = mailbox_parse(arena, rows[i].path);
        found = bench_run(bench, "rcpt_tables", &inputs, false);
        if (strcmp(found, rows[i].facts) != 0)
            fail_msg("row %zu, %s:\n  found    %s\n  expected %s", i, rows[i].path, found,
                     rows[i].facts);
        assert_string_equal(bench_asked(bench), "");
        arena_free(arena);
        bench_free(bench);
    }
}

static void test_domain_status(void **state)
{
    static const char gone[] = TABLES "recipients { domains gone; }";
    static const struct bench_answer dns[] = {
        {"example.org", DNS_MX, "0 ."},
        {"null.test", DNS_MX, "0 ."},
        {"mail.test", DNS_MX, "10 mx.mail.test"},
        {"fault.test", DNS_MX, "!fault"},
        {0},
    };
    static const struct {
        const char *config, *path, *status, *asked;
    } rows[] = {
        /* Our own exist without a question, whatever a question would bring. */
        {ALL, "<alice@example.org>", "exists", ""},
        {ALL, "<alice@gone.sub.example>", "exists", ""},
        {ALL, "<postmaster>", "exists", ""},
        {ALL, "<a@[192.0.2.99]>", "exists", ""},
        {ALL, "<a@no..name>", "exists", ""},
        {ALL, "<a@null.test>", "null_mx", "MX null.test"},
        {ALL, "<a@Mail.Test.>", "exists", "MX mail.test"},
        {ALL, "<a@missing.test>", "missing", "MX missing.test"},
        {ALL, "<a@fault.test>", "~temperror", "MX fault.test"},
        {"", "<a@null.test>", "null_mx", "MX null.test"},
        {"", "<postmaster>", "exists", ""},
        /* It may be one of ours. */
        {gone, "<a@null.test>", "~temperror", ""},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = new_bench(rows[i].config);
        struct arena *arena = arena_new();
        struct inputs inputs = bench_inputs();
        const char *found;

        inputs.recipient = mailbox_parse(arena, rows[i].path);
        bench_dns(bench, dns);
        found = bench_run(bench, "rcpt_dns", &inputs, false);
        if (strcmp(found + strlen("domain_status="), rows[i].status) != 0)
            fail_msg("row %zu: %s, expected %s", i, found, rows[i].status);
        assert_string_equal(bench_asked(bench), rows[i].asked);
        arena_free(arena);
        bench_free(bench);
    }
}

static void test_used(void **state)
{
    static const struct {
        const char *config;
        bool used;
        const char *cost;
    } rows[] = {
        {"", false, "0 tables"},
        {TABLES "recipients { domains ours; }", true, "1 table"},
        {TABLES "recipients { known users; }", true, "1 table"},
        {ALL, true, "3 tables"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        struct bench *bench = new_bench(rows[i].config);

        assert_int_equal(bench_used(bench, "rcpt_tables"), rows[i].used);
        assert_string_equal(bench_cost(bench, "rcpt_tables"), rows[i].cost);
        assert_true(bench_used(bench, "rcpt_dns"));
        bench_free(bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipient),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_domain_status),
        cmocka_unit_test(test_used),
    };
    return cmocka_run_group_tests(tests, write_tables, remove_tables);
}
