/* SPDX-License-Identifier: MIT */
#include <postern/arena.h>
#include <postern/check.h>
#include <postern/clock.h>
#include <postern/config.h>
#include <postern/str.h>
#include <postern/table.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a folder with files ---- */

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const char *bytes, size_t length)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/postern-config-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static struct config_schema schema;
static struct arena *schema_arena;

static int setup_schema(void **state)
{
    (void)state;
    schema_arena = arena_new();
    slot_t *first = arena_alloc(schema_arena, checks_count * sizeof(first[0]));
    schema.layout = checks_layout(schema_arena, first);
    schema.first_slot = first;
    schema.checks = checks_all;
    schema.check_count = checks_count;
    return 0;
}

static int teardown_schema(void **state)
{
    (void)state;
    arena_free(schema_arena);
    return 0;
}

static struct config *load(struct diag *diag)
{
    return config_load(path_of("postern.conf"), &schema, diag);
}

static bool says(const struct diag *diag, const char *part)
{
    const char *line;
    for (unsigned i = 0; (line = diag_line(diag, i)) != NULL; i++)
        if (strstr(line, part) != NULL)
            return true;
    return false;
}

static void assert_says(const struct diag *diag, const char *text, const char *part)
{
    if (says(diag, part))
        return;
    diag_print(diag, stderr);
    fail_msg("no message says '%s' for: %s", part, text);
}

/* ---- what is wrong is said, with its place ---- */

#define LABEL "label-of-fifty-two-octets-which-is-not-too-long-alone."

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    {"hostnam mx.example.org;",
     ":1:1: error: unknown statement 'hostnam'; did you mean 'hostname'?"},
    {"hostname a.example; hostname b.example;", ":1:21: error: hostname is set twice"},
    {"hostname \"mx example.org\";",
     ":1:10: error: hostname 'mx example.org' is no host name; write"},
    {"hostname \"<mx.example.org>\";", ":1:10: error: hostname '<mx.example.org>' is no host name"},
    {"hostname \"mx.example.org\r\";", "control character 0x0d"},
    {"hostname 192.0.2.1;", "is no host name; write the name that this host has in the DNS"},
    {"hostname " LABEL LABEL LABEL LABEL LABEL "org;", "is no host name; write"},
    {"hostname \"\xc3\xa4.example.org\";", ":1:10: error: hostname must be in ASCII; write xn--"},
    {"help_url mx.example.org/x;",
     ":1:10: error: help_url 'mx.example.org/x' is no address of web pages; write it whole"},
    {"help_url https://;", ":1:10: error: help_url 'https://' is no address"},
    {"\nhelp_url \"https://x.example/a b\";", ":2:10: error: help_url holds a character that no"},
    {"help_url \"https://x.example/a b\";", "' '; write %20 for it"},
    {"help_url \"https://x.example/<x>\";", "'<'; write %3C for it"},
    {"\n\nspeak_at connect;", ":3:"},
    {"listen mx { socket unix:/x; }\nlisten mx { socket unix:/y; }",
     ":2:8: error: listen 'mx' stands already in line 1"},
    {"listen mx { perm 0660; }", "socket"},
    {"listen { socket unix:/x; }", "expected a name after listen"},
    {"resolver { timeout 3s; }\nresolver { timeout 4s; }", ":2:1: error: a second resolver block"},
    {"resolver { timeout 1ms; }", ":1:20: error"},
    {"resolver { timeot 3s; }", "did you mean 'timeout'?"},
    {"resolver { servers 192.0.2.1 192.0.2.53:53; }",
     ":1:30: error: server \"192.0.2.53:53\" is no"},
    {"resolver { servers localhost; }", "is no address (192.0.2.53, 127.0.0.1@5353, ::1)"},
    {"resolver { servers ::1; recursive yes; }", "it is one or the other"},
    {"resolver { servers 192.0.2.1, ::1; }", ":1:29: error: values of a list stand side by side"},
    {"mode observe;", ":1:1: error: 'mode' stands inside of a block: listen { mode ...; }"},
    {"audit { to printer; }", "unknown place for records 'printer'"},
    {"audit { to file:relative; }", "must be named from / on"},
    {"audit { to syslog syslog; }", "'syslog' is named twice"},
    {"include nothing.conf;", "cannot read"},
    {"include postern.conf;", "includes itself"},
    {"include;", "expected the name of a file"},
    {"table t { 192.0.2.0/24; }\ntable t { };",
     ":2:7: error: there is a table 't' already, in line 1 of "},
    {"table t {\n    192.0.2.1;\ntable u { }", ":1:7: error: table 't' has no closing '}'"},
    {"listen mx {\n    socket unix:/x;\nrule r { when true; accept; }",
     ":1:1: error: the block of this 'listen' has no closing '}'"},
    {"rule r { when dkim.signatures == \"x\"; accept; }",
     ":1:15: error: 'dkim.signatures' is a table for records and explain; no condition can test"},
    {"rule r { when not dkim.signatures; accept; }", "no condition can test it"},
    {"rule r { when dkim.signatures in { x }; accept; }", "no condition can test it"},
    {"rule r { when dkim.signatures in t; accept; } table t { }", "no condition can test it"},
    {"rule r { when dkim.signatures matches 'x'; accept; }", "no condition can test it"},
    {"rule r { when \"x\" in dkim.signatures; accept; }", "no condition can test it"},
    {"rule r { when lookup(t, dkim.signatures) == \"x\"; accept; } table t { }",
     "no condition can test it"},
    {"rule r { when true; accept; }\nobserve all;", ":2:9: error: there is no rule 'all'; 'mode"},
    {"state_dir lib/postern;", ":1:11: error: state_dir 'lib/postern' must be named from / on"},
    {"dmarc { }", ":1:1: error: unknown statement 'dmarc'; DMARC has no options; rules ask"},
    {"rule r { when recipient == \"a@b.example\"; accept; }", "did you mean 'rcpt'?"},
    {"rule r { when sasl_username != \"\"; accept; }", "did you mean 'auth.user'?"},
    {"rule r { when reverse_client_name == x; accept; }", "did you mean 'client.ptr'?"},
    {"rule r { when true; reply 550 5.7.1 \"%{client_address}\"; }", "did you mean 'client.ip'?"},
    {"table t { 192.0.2.0/33; }", ":1:11: error"},
    {"table t fiel:/x;", "'file"},
    {"table t { a.example b.example; }", "expected ';' behind the entry"},
    {"table t { a.example;", "has no closing '}'"},
    {"rule r { when client.ip in trsted; accept; }\ntable trusted { };", "did you mean 'trusted'?"},
    {"recipients { domains oars; }\ntable ours { };", "did you mean 'ours'?"},
    {"recipients {\n    known mailboxes;\n}",
     ":2:5: error: known names a table 'mailboxes', which there is not; define it: table mailboxes "
     "file:PATH;"},
    {"rule r { when spf.reslt == pass; accept; }", "unknown"},
    {"rule r { when true; reply 550 4.7.1 \"x\"; }", "4.7.1"},
    {"rule r { when true; reply 550 5.7.1 \"%{rcpt.statsu}\"; }", "did you mean 'rcpt.status'?"},
    {"rule r { when true; reply 550 5.7.1 \"%{message.size}\"; }",
     "which is known only from message on"},
    {"rule r { when true; header \"X Y: z\"; }", "with a name without blanks"},
    {"rule r { when true; reply 551 5.1.6 \"x\"; }", "551"},
    {"rule r { when true; header \"X: a\\nb\"; }", "only the text of a reply"},
    {"rule r { when true; quarantine \"a\\nb\"; }", "only the text of a reply"},
    {"rule r { when true; reject; }",
     ":1:21: error: 'reject' cannot stand in a rule; to refuse, write: reply 550"},
    {"rule r { when true; mode observe; accept; }", "'observe;' makes a rule only watch"},
    {"rule r { when true; discard; }", "nothing is discarded"},
    {"disable nobody;", "nobody"},
    {"observe;", "expected the name of a rule"},
    {"}", "expected a statement"},
    {"{", "expected a statement"},
    {"\"text\";", "expected a statement"},
    {"rule r { when true; accept;", ""},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct diag *diag = diag_new();
        write_text("postern.conf", wrong[i].text);
        assert_null(load(diag));
        assert_true(diag_errors(diag) > 0);
        assert_says(diag, wrong[i].text, wrong[i].message);
        assert_says(diag, wrong[i].text, folder);
        diag_free(diag);
    }
}

/* One run shows all of them, and what is right between them is not complained about. */
static void test_all_errors_in_one_run(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    write_text("postern.conf", "hostnam a.example;\n"
                               "table good { 192.0.2.1; }\n"
                               "resolver { timeot 3s; cache 1Q; }\n"
                               "rule r { when client.ip in god; accept; }\n"
                               "budget { mail 5s; }\n"
                               "rule s { when helo.kind == nam; accept; }\n");
    assert_null(load(diag));
    assert_int_equal(diag_errors(diag), 5);
    assert_says(diag, "", ":1:1:");
    assert_says(diag, "", ":3:12:");
    assert_says(diag, "", ":3:29:");
    assert_says(diag, "", ":4:");
    assert_says(diag, "", ":6:");
    diag_free(diag);
}

/* ---- hostile files ---- */

static void assert_error_only(const char *bytes, size_t length)
{
    struct diag *diag = diag_new();
    write_bytes("postern.conf", bytes, length);
    assert_null(load(diag));
    assert_true(diag_errors(diag) > 0);
    diag_free(diag);
}

static void test_hostile_files(void **state)
{
    struct str text = {0};
    (void)state;
    static const char nul[] = "hostname a\0b;";
    assert_error_only(nul, sizeof(nul) - 1);
    assert_error_only("\x7f"
                      "ELF\x01\xff\xfe\x00\x00rule",
                      14);
    assert_error_only("hostname \"a", 11);
    assert_error_only("rule r { when helo matches 'x", 29);
    /* Nested far too deep. */
    str_add(&text, "rule r { when ");
    for (int i = 0; i < 100000; i++)
        str_add(&text, "(");
    assert_error_only(text.data, text.length);
    str_clear(&text);
    str_add(&text, "rule r { when ");
    for (int i = 0; i < 100000; i++)
        str_add(&text, "not ");
    str_add(&text, "true; accept; }");
    assert_error_only(text.data, text.length);
    str_clear(&text);
    for (int i = 0; i < 100000; i++)
        str_add(&text, "resolver {");
    assert_error_only(text.data, text.length);
    /* One huge word, one huge string. */
    str_clear(&text);
    for (int i = 0; i < 1000000; i++)
        str_add(&text, "a");
    assert_error_only(text.data, text.length);
    str_clear(&text);
    str_add(&text, "hostname \"");
    for (int i = 0; i < 1000000; i++)
        str_add(&text, "a");
    str_add(&text, "\";");
    assert_error_only(text.data, text.length);
    /* Conditions that grow like the powers of two. */
    str_clear(&text);
    str_add(&text, "condition c0 { client.local }\n");
    for (int i = 1; i < 60; i++)
        str_add_format(&text, "condition c%d { c%d or c%d }\n", i, i - 1, i - 1);
    str_add(&text, "rule r { when c59; accept; }");
    assert_error_only(text.data, text.length);
    str_free(&text);
}

static void test_include_loops(void **state)
{
    (void)state;
    char line[64];
    write_text("postern.conf", "include a.conf;");
    write_text("a.conf", "include b.conf;");
    write_text("b.conf", "include a.conf;");
    struct diag *diag = diag_new();
    assert_null(load(diag));
    assert_says(diag, "", "includes itself");
    assert_says(diag, "", "b.conf:1:9");
    diag_free(diag);
    /* A long chain that is no loop. */
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d.conf", i);
        snprintf(line, sizeof(line), "include n%d.conf;", i + 1);
        write_text(name, line);
    }
    write_text("n40.conf", "");
    write_text("postern.conf", "include n0.conf;");
    diag = diag_new();
    assert_null(load(diag));
    assert_says(diag, "", "nested more than");
    diag_free(diag);
}

/* ---- what is right ---- */

static const char good[] =
    "hostname mx.example.org;   # comment\n"
    "help_url \"https://mx.example.org/postern?x=1\";\n"
    "speak_at mail;\n"
    "mixed_recipients strictest;\n"
    "listen mx { socket unix:/run/x.sock; group postfix; perm 0666; mode observe; };\n"
    "resolver { servers 127.0.0.1@5353 192.0.2.53; timeout 2s; cache 4M; dnssec yes; }\n"
    "budget { mail 5s; rcpt 6s; message 7s; }\n"
    "audit { to file:/var/log/x syslog; accepted no; }\n"
    "include conf.d/*.conf;\n"
    "table ours { example.org; .example.net };\n"
    "recipients { domains ours; }\n"
    "disable second;\n";

static void test_snapshot(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    mkdir(path_of("conf.d"), 0755);
    write_text("postern.conf", good);
    write_text("conf.d/20.conf", "rule second { when true; reply 550 5.7.1 \"two\"; }");
    write_text("conf.d/10.conf", "rule first { when helo in ours; accept; }");
    struct config *config = load(diag);
    if (config == NULL)
        diag_print(diag, stderr);
    assert_non_null(config);
    assert_string_equal(config->hostname, "mx.example.org");
    assert_string_equal(config->help_url, "https://mx.example.org/postern?x=1");
    assert_int_equal(config->policy->speak_at, STAGE_MAIL);
    assert_int_equal(config->policy->mixed, MIXED_STRICTEST);
    assert_string_equal(config->listens->head.name, "mx");
    assert_string_equal(config->listens->socket, "unix:/run/x.sock");
    assert_string_equal(config->listens->group, "postfix");
    assert_int_equal(config->listens->perm, 0666);
    assert_int_equal(config->listens->mode, LISTEN_OBSERVE);
    assert_int_equal(config->resolver->servers.count, 2);
    assert_string_equal(config->resolver->servers.items[0], "127.0.0.1@5353");
    assert_int_equal(config->resolver->timeout, 2000);
    assert_int_equal(config->resolver->cache, 4 * 1024 * 1024);
    assert_true(config->resolver->dnssec);
    assert_false(config->resolver->recursive);
    assert_int_equal(config->budget->message, 7000);
    assert_int_equal(config->audit->to.count, 2);
    assert_false(config->audit->accepted);
    assert_string_equal(config->state_dir, "/var/lib/postern");
    assert_non_null(config_table(config, "ours"));
    assert_null(config_table(config, "theirs"));
    assert_int_equal(config->table_count, 1);
    /* Sorted: 10 before 20. */
    assert_string_equal(config->policy->rules[0].name, "first");
    assert_null(config_blocks(config, "dnsbl"));
    assert_non_null(config_blocks(config, "recipients"));
    struct config *again = config_ref(config);
    config_unref(config);
    assert_string_equal(again->hostname, "mx.example.org");
    config_unref(again);
    diag_free(diag);
}

static void test_defaults(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    write_text("postern.conf", "");
    struct config *config = load(diag);
    assert_non_null(config);
    assert_string_equal(config->hostname, "");
    assert_int_equal(config->policy->speak_at, STAGE_RCPT);
    assert_int_equal(config->policy->mixed, MIXED_LATE);
    assert_int_equal(config->resolver->timeout, 3000);
    assert_int_equal(config->budget->rcpt, 8000);
    assert_int_equal(config->audit->to.count, 1);
    assert_string_equal(config->audit->to.items[0], "syslog");
    assert_true(config->audit->accepted);
    assert_null(config->listens);
    config_unref(config);
    diag_free(diag);
}

/* The version changes with any byte of any file, and only then. */
static void test_version(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    write_text("postern.conf", "include x.conf;");
    write_text("x.conf", "hostname a.example;");
    struct config *one = load(diag);
    struct config *two = load(diag);
    write_text("x.conf", "hostname b.example;");
    struct config *three = load(diag);
    assert_true(one->version == two->version);
    assert_true(one->version != three->version);
    config_unref(one);
    config_unref(two);
    config_unref(three);
    diag_free(diag);
}

/* Large but honest: all of it is there. (How fast it is, the bench tells.) */
static void test_large(void **state)
{
    struct str text = {0};
    (void)state;
    str_add(&text, "table big {\n");
    for (int i = 0; i < 100000; i++)
        str_add_format(&text, "u%d.example;\n", i);
    str_add(&text, "}\n");
    for (int i = 0; i < 10000; i++)
        str_add_format(&text, "rule r%d { when helo == h%d.example; reply 550 5.7.1 \"no %d\"; }\n",
                       i, i, i);
    write_bytes("postern.conf", text.data, text.length);
    struct diag *diag = diag_new();
    struct config *config = load(diag);
    assert_non_null(config);
    assert_int_equal(config->policy->rule_count, 10000);
    assert_int_equal(table_count(config_table(config, "big")), 100000);
    config_unref(config);
    diag_free(diag);
    str_free(&text);
}

/* ---- warnings ---- */

static const struct {
    const char *text;
    const char *message; /* NULL: no warning */
} doubtful[] = {
    {"rule r { when helo.kind == ours; reply 550 5.7.1 \"x\"; }", ":1:6: warning: rule 'r' asks"},
    {"listen mx { socket unix:/x; } rule r { when listener == mx; accept; }", NULL},
    {"listen mx { socket unix:/x; } rule r { when listener == my; accept; }",
     "rule 'r' asks for 'my', but there is no listen block of that name"},
    {"listen mx { socket unix:/x; }\n"
     "rule r { when client.local or not listener in { mx, my }; accept; }",
     "rule 'r' asks for 'my', but there is no listen block of that name"},
    {"rule r { when header(Subject) matches 'http://x/'; accept; }", NULL},
    {"rule r { when header(Subject) matches '/x/i'; accept; }", "the slashes of '/x/i' are part"},
    {"rule r { when sender == \"*@x.example\"; accept; }", "are sender.domain == \"x.example\""},
    {"rule r { when sender == \"*a@x.example\"; accept; }", NULL},
    {"help_url http://x; rule r { when client.local; reply 550 5.7.1 \"%{help}\"; }", NULL},
    {"rule r { when client.local; reply 550 5.7.1 \"%{help}\"; }", "but help_url is not set"},
    {"condition c { helo.kind in { bare, ours } }\n"
     "rule r { when not (c or client.local); reply 550 5.7.1 \"x\"; }",
     "add hostname NAME;"},
    {"hostname mx.example; rule r { when helo.kind == ours; reply 550 5.7.1 \"x\"; }", NULL},
    {"hostname mx.example.org.; help_url \"HTTPS://x/y?z=1&a#b\"; rule r { when client.local; "
     "accept; }",
     NULL},
    {"hostname \"\"; help_url \"\"; rule r { when client.local; accept; }", NULL},
    {"rule r { when helo.kind == bare; reply 550 5.7.1 \"x\"; }", NULL},
    {"dnsbl a { zone a.example; listed 127.0.0.2; } rule r { when dnsbl.score >= 3; accept; }",
     "rule 'r' waits for a dnsbl.score that is never reached: the lists that are asked about "
     "client.ip weigh 1 together"},
    {"dnsbl a { zone a.example; listed 127.0.0.2; weight 2; } dnsbl b { zone b.example; listed "
     "127.0.0.2; } dnsbl w { zone w.example; listed 127.0.0.2; weight -5; } rule r { when "
     "dnsbl.score >= 3; accept; }",
     NULL},
    {"dnsbl a { zone a.example; listed 127.0.0.2; weight 3; } rule r { when not dnsbl.score > 3; "
     "accept; }",
     "never reached"},
    {"dnsbl a { zone a.example; listed 127.0.0.2; ask helo; } rule r { when dnsbl.score >= 3; "
     "accept; }",
     NULL},
    {"dnsbl a { zone a.example; listed 127.0.0.2; ask helo; } rule r { when rhsbl.helo.score > 1; "
     "accept; }",
     "about helo weigh 1 together"},
    {"rule r { when dnsbl.score >= 3 or rhsbl.from.score == 1; accept; }", NULL},
    {"table t { a.example; b@c.example; } rule r { when client.ip in t; accept; }",
     "rule 'r' looks for 'client.ip' in table 't', which has names only"},
    {"table t { 192.0.2.0/24; ::1; 10.1; } rule r { when not (sender in t or client.local); "
     "accept; }",
     "rule 'r' looks for 'sender' in table 't', which has addresses and networks only"},
    {"table t { 192.0.2.1; } rule r { when lookup(t, rcpt.domain) == \"x\"; accept; }",
     "rule 'r' looks for 'rcpt.domain' in table 't'"},
    {"table t { 192.0.2.0/24; a.example; } rule r { when client.ip in t or client.name in t; "
     "accept; }",
     NULL},
    {"table t { } rule r { when client.ip in t or sender in t; accept; }", NULL},
    {"table t { 192.0.2.1; } rule r { when helo in t or client.ip in t; accept; }", NULL},
};

static void test_warnings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
        struct diag *diag = diag_new();
        write_text("postern.conf", doubtful[i].text);
        struct config *config = load(diag);
        assert_non_null(config);
        assert_int_equal(diag_warnings(diag), doubtful[i].message != NULL);
        if (doubtful[i].message != NULL)
            assert_says(diag, doubtful[i].text, doubtful[i].message);
        config_unref(config);
        diag_free(diag);
    }
}

/* ---- the version of the language ---- */

static const struct {
    const char *text;
    const char *message; /* NULL: the file is taken */
} versions[] = {
    {"config_version 1;\nspeak_at mail;", NULL},
    {"speak_at mail;\nconfig_version 1;", NULL},
    {"include part.inc;\nspeak_at mail;", NULL},
    {"config_version 1;\ninclude part.inc;", "set twice"},
    {"config_version 2;", ":1:16: error: "},
    {"# 1\n\nfuture { of x; };\n}\nconfig_version\n 99;\nnonsense;", ":6:2: error: "},
    {"rule r { config_version 2; }", "cannot stand in a rule"},
    {"config_version 0;", "out of range"},
    {"config_version two;", "expected a whole number"},
    {"config_version;", ""},
};

/* What a file from the future says is not complained about: what would be true today may not be
 * then. */
static void test_config_version(void **state)
{
    (void)state;
    write_text("part.inc", "config_version 1;");
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        struct diag *diag = diag_new();
        write_text("postern.conf", versions[i].text);
        struct config *config = load(diag);
        assert_int_equal(config != NULL, versions[i].message == NULL);
        if (versions[i].message != NULL)
            assert_says(diag, versions[i].text, versions[i].message);
        if (says(diag, "is written for config_version")) {
            assert_int_equal(diag_errors(diag), 1);
            assert_int_equal(diag_warnings(diag), 0);
            assert_says(diag, "", "upgrade postern");
        }
        config_unref(config);
        diag_free(diag);
    }
    struct diag *diag = diag_new();
    write_text("part.inc", "config_version 2;\nnonsense;");
    write_text("postern.conf", "include part.inc;");
    assert_null(load(diag));
    assert_int_equal(diag_errors(diag), 1);
    assert_says(diag, "", "part.inc:1:16: error: ");
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_errors_in_one_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_include_loops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_warnings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
    };
    return cmocka_run_group_tests(tests, setup_schema, teardown_schema);
}
