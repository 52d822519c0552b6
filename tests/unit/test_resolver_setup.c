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

#include "nsd.h"
#include "resolver_rig.h"

/* A folder of this test's own. */
static char folder[256];

static const char *path_of(const char *name)
{
    static char path[2][sizeof(folder) + 64];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
    return path[turn];
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Runs a command in the folder; it must succeed. */
static void run(const char *command)
{
    char line[1024];

    snprintf(line, sizeof(line), "cd %s && %s", folder, command);
    if (system(line) != 0)
        fail_msg("failed: %s", command);
}

static int make_folder(void **state)
{
    const char *parent = getenv("TMPDIR");

    (void)state;
    snprintf(folder, sizeof(folder), "%s/dnssec-XXXXXX", parent ? parent : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    run("rm -f -- *");
    return rmdir(folder);
}

static void refuses(void **state)
{
    const char *const good[] = {"127.0.0.1@5353"}, *const bad[] = {"::1", "localhost"};
    const struct {
        struct resolver_options options;
        const char *error;
    } rows[] = {
        {{.servers = bad, .server_count = 2}, "\"localhost\" is no address"},
        {{.resolv_conf = "/nonexistent/resolv.conf"}, "/nonexistent/resolv.conf: No such file"},
        {{.resolv_conf = "/dev/null"}, "/dev/null names no nameserver"},
        {{.servers = good, .server_count = 1, .recursive = true}, "one or the other"},
        {{.servers = good,
          .server_count = 1,
          .dnssec = true,
          .trust_anchor = "/nonexistent/root.key"},
         "dns-root-data"},
        {{.servers = good, .server_count = 1, .dnssec = true, .trust_anchor = "/dev/null"},
         "/dev/null holds neither a DS nor a DNSKEY"},
        {{.recursive = true, .dnssec = true, .trust_anchor = path_of("broken.key")}, "broken.key"},
    };
    struct loop *loop = loop_new();

    (void)state;
    write_file("broken.key", ". IN DS this is not one\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *error = NULL;
        struct resolver *resolver = resolver_new(loop, &rows[i].options, &error);

        if (resolver || !strstr(error, rows[i].error))
            fail_msg("row %zu: %s", i, resolver ? "taken" : error);
        free(error);
    }
    loop_free(loop);
}

/* What can be set up without a question being sent. */
static void accepts(void **state)
{
    const char *const servers[] = {"192.0.2.53", "2001:db8::53", "::1@5353"};
    const struct resolver_options rows[] = {
        {.servers = servers, .server_count = 3},
        {.recursive = true},
        {.resolv_conf = path_of("resolv.conf")},
        {.recursive = true, .dnssec = true, .trust_anchor = path_of("root.key")},
    };

    (void)state;
    write_file("resolv.conf", "search example.org\nnameserver 192.0.2.53\n");
    write_file("root.key",
               ". IN DS 1 8 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        resolver_rig_free(resolver_rig_new(NULL, &rows[i]));
}

static const char unsigned_zone[] = "$ORIGIN example.\n$TTL 300\n"
                                    "@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
                                    "good A 192.0.2.1\nbad A 192.0.2.2\nalias CNAME good\n"
                                    "alias2 CNAME bad\ntxt TXT \"v=spf1 -all\"\n";

static char *read_file(const char *name)
{
    enum { SIZE = 65536 };
    char *text = test_calloc(1, SIZE);
    FILE *file = fopen(path_of(name), "r");

    assert_non_null(file);
    assert_true(fread(text, 1, SIZE - 1, file) > 0);
    fclose(file);
    return text;
}

static void validates(void **state)
{
    static const struct {
        const char *name;
        enum dns_type type;
        enum dns_status status;
        const char *problem;
    } rows[] = {
        {"good.example", DNS_A, DNS_FOUND, ""},     {"alias.example", DNS_A, DNS_FOUND, ""},
        {"good.example", DNS_MX, DNS_NO_DATA, ""},  {"nix.example", DNS_A, DNS_NO_NAME, ""},
        {"bad.example", DNS_A, DNS_FAULT, "bogus"}, {"alias2.example", DNS_A, DNS_FAULT, "bogus"},
        {"txt.example", DNS_TXT, DNS_FOUND, ""},
    };

    (void)state;
    write_file("zone", unsigned_zone);
    run("ldns-keygen -a ED25519 -k example >name && mv $(cat name).key anchor.key && "
        "ln -s anchor.key $(cat name).key && ldns-signzone -f signed zone $(cat name)");
    /* The signature stands, the address does not. */
    run("sed -i 's/192\\.0\\.2\\.2/192.0.2.3/' signed");
    char *zone = read_file("signed");

    /* Where validation is not asked for, bad data is data. */
    for (int dnssec = 0; dnssec < 2; dnssec++) {
        struct rig *rig = resolver_rig_new(
            nsd_start_zone("example", zone, 0),
            &(struct resolver_options){
                .cache_bytes = 1 << 20, .dnssec = dnssec, .trust_anchor = path_of("anchor.key")});

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            const struct dns_answer *answer =
                resolver_wait(rig->resolver, rows[i].name, rows[i].type, 0);
            bool fault = dnssec && rows[i].status == DNS_FAULT;
            enum dns_status status =
                fault || rows[i].status != DNS_FAULT ? rows[i].status : DNS_FOUND;

            if (answer->status != status || answer->secure != (dnssec && !fault) ||
                !strstr(answer->problem, fault ? rows[i].problem : ""))
                fail_msg("%s, dnssec %d: %s \"%s\" secure %d", rows[i].name, dnssec,
                         dns_status_name(answer->status), answer->problem, answer->secure);
            dns_answer_unref(answer);
        }
        resolver_rig_free(rig);
    }
    test_free(zone);
}

/* Zones of the site, which nobody can sign, under an anchor for the root. */
static void own_zones_stay_open(void **state)
{
    static const struct {
        const char *name;
        enum dns_type type;
    } rows[] = {{"a.test", DNS_A}, {"1.2.0.192.in-addr.arpa", DNS_PTR}, {"a.home.arpa", DNS_A}};

    (void)state;
    write_file("root.key",
               ". IN DS 1 8 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
    struct rig *rig = resolver_rig_new(
        nsd_start("a.test. A 192.0.2.1\na.home.arpa. A 192.0.2.1\n"
                  "1.2.0.192.in-addr.arpa. PTR a.test.\n",
                  0),
        &(struct resolver_options){
            .cache_bytes = 1 << 20, .dnssec = true, .trust_anchor = path_of("root.key")});

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct dns_answer *answer =
            resolver_wait(rig->resolver, rows[i].name, rows[i].type, 0);

        if (answer->status != DNS_FOUND || answer->secure)
            fail_msg("%s: %s %s", rows[i].name, dns_status_name(answer->status), answer->problem);
        dns_answer_unref(answer);
    }
    resolver_rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(accepts),
        cmocka_unit_test(validates),
        cmocka_unit_test(own_zones_stay_open),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
