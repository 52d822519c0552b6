/* SPDX-License-Identifier: MIT */
#include <postern/addr.h>
#include <postern/arena.h>
#include <postern/audit.h>
#include <postern/check.h>
#include <postern/decide.h>
#include <postern/domain.h>
#include <postern/hash.h>
#include <postern/lexer.h>
#include <postern/mailbox.h>
#include <postern/reply.h>
#include <postern/str.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * What the pieces cost that run for every command of every client: nanoseconds a call, one JSON
 * object.  The policy is read by the real parser.
 */
enum { RULES = 100, CHECKS_MAX = 64, ROUNDS = 5, ROUND_NS = 40000000 };

struct bench {
    struct arena *arena; /* of the policy */
    struct arena *work;  /* reset at each call, as at each transaction */
    struct policy *policy;
    uint8_t *modes, *needed;
    struct view known, at_mail; /* all facts; those that are there at MAIL */
    const struct template *tmpl;
    struct template_values values;
};

/* ---- the policy ---- */

/* Rules of the kinds that policies are made of; none is true for what is known below. */
static void write_rule(struct str *text, unsigned i)
{
    str_add_format(text, "rule r%u { when ", i);
    switch (i % 5) {
    case 0:
        str_add_format(text, "sender.domain == \"d%u.example\" and rcpt.status == known", i);
        break;
    case 1:
        str_add_format(text, "dnsbl.score >= %u", 3 + i);
        break;
    case 2:
        str_add_format(text, "client.ip in { 203.0.113.0/24, 198.51.100.%u }", i);
        break;
    case 3:
        str_add_format(text, "helo matches '^dyn%u[.-]'", i);
        break;
    default:
        str_add_format(text,
                       "(rcpt.local in { postmaster, abuse%u } or auth.user == \"u%u\") "
                       "and not client.local",
                       i, i);
        break;
    }
    str_add(text, "; reply 550 5.7.1 \"no %{client.ip}\"; }\n");
}

static bool table_known(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return true;
}

static const char *table_nearest(void *arg, const char *name)
{
    (void)arg;
    return name;
}

static struct policy *policy_of(struct arena *arena, struct diag *diag)
{
    struct str text = {0};
    str_add(&text, "rule directory-down { when rcpt.status == unavailable; "
                   "reply 451 4.3.0 \"try again\"; }\n");
    for (unsigned i = 1; i < RULES; i++)
        write_rule(&text, i);
    slot_t *first = arena_alloc(arena, CHECKS_MAX * sizeof(*first));
    const struct layout *layout = checks_layout(arena, first);
    struct source *source = arena_alloc(arena, sizeof(*source));
    *source = (struct source){"bench", arena_strndup(arena, text.data, text.length), text.length};
    struct lexer *lexer = lexer_new(source, arena, diag);
    struct policy_builder *builder = policy_builder_new(arena, layout, diag);
    while (lexer_peek(lexer)->kind != TOKEN_END) {
        struct token head = lexer_next(lexer);
        policy_parse_rule(builder, lexer, &head);
    }
    lexer_free(lexer);
    str_free(&text);
    const struct policy_names names = {table_known, table_nearest, NULL};
    return policy_build(builder, &names, STAGE_RCPT, MIXED_LATE, 20260101);
}

/* ---- the facts ---- */

static void set_fact(struct bench *bench, struct value *values[SCOPE_COUNT], const char *name,
                     struct value value)
{
    const struct layout *layout = bench->policy->layout;
    slot_t slot = layout_find(layout, name);
    if (slot != SLOT_NONE)
        values[layout->slots[slot].scope][layout->slots[slot].index] = value;
}

static void fill_facts(struct bench *bench)
{
    const struct layout *layout = bench->policy->layout;
    struct value *values[SCOPE_COUNT];
    for (int scope = 0; scope < SCOPE_COUNT; scope++) {
        size_t count = layout->scope_count[scope];
        values[scope] = arena_alloc(bench->arena, (count + 1) * sizeof(*values[scope]));
        bench->known.scope[scope] = values[scope];
        if (scope == SCOPE_CONNECTION || scope == SCOPE_TRANSACTION)
            bench->at_mail.scope[scope] = values[scope];
    }
    for (size_t i = 0; i < layout->count; i++) {
        const struct slot *slot = &layout->slots[i];
        values[slot->scope][slot->index] = value_absent(slot);
    }
    struct addr client;
    addr_parse("198.18.7.9", &client);
    set_fact(bench, values, "client.ip", value_ip(client));
    set_fact(bench, values, "helo", value_text("mail.example.com"));
    set_fact(bench, values, "sender.domain", value_text("example.com"));
    set_fact(bench, values, "sender", value_text("alice@example.com"));
    set_fact(bench, values, "rcpt", value_text("bob@example.org"));
    set_fact(bench, values, "rcpt.local", value_text("bob"));
    set_fact(bench, values, "rcpt.domain", value_text("example.org"));
    set_fact(bench, values, "dnsbl.name", value_text("zen"));
    set_fact(bench, values, "dnsbl.reason", value_text("https://list.example/query/198.18.7.9"));
}

static struct bench bench_new(void)
{
    struct bench bench = {.arena = arena_new(), .work = arena_new()};
    struct diag *diag = diag_new();
    bench.policy = policy_of(bench.arena, diag);
    if (bench.policy == NULL) {
        diag_print(diag, stderr);
        exit(1);
    }
    fill_facts(&bench);
    bench.modes = arena_alloc(bench.arena, bench.policy->rule_count);
    bench.needed = arena_alloc(bench.arena, bench.policy->layout->count);
    memset(bench.modes, RULE_ENFORCES, bench.policy->rule_count);
    bench.tmpl = template_compile(bench.arena, bench.policy->layout,
                                  "Service unavailable; Client host [%{client.ip}] blocked using "
                                  "%{dnsbl.name}; %{dnsbl.reason}",
                                  NULL, diag);
    bench.values = (struct template_values){.layout = bench.policy->layout,
                                            .view = &bench.known,
                                            .id = "k7f2qp",
                                            .hostname = "mx.example.org",
                                            .help = "https://mx.example.org/help",
                                            .rule = "listed"};
    diag_free(diag);
    return bench;
}

/* ---- what is measured: each returns something that depends on its work ---- */

static uint64_t run_decide(struct bench *bench)
{
    struct verdict verdict =
        decide(bench->policy, &bench->known, bench->modes, STAGE_RCPT, SPEAK_REPLIES);
    return (uint64_t)verdict.kind + verdict.certain;
}

static uint64_t run_decide_message(struct bench *bench)
{
    return (uint64_t)decide(bench->policy, &bench->known, bench->modes, STAGE_MESSAGE, SPEAK_ALL)
        .kind;
}

static uint64_t run_needs(struct bench *bench)
{
    memset(bench->needed, 0, bench->policy->layout->count);
    decide_needs(bench->policy, &bench->at_mail, bench->modes, STAGE_MAIL, true, bench->needed);
    return bench->needed[0];
}

static uint64_t run_marks(struct bench *bench)
{
    uint8_t fired[RULES] = {0};
    decide_marks(bench->policy, &bench->known, bench->modes, STAGE_RCPT, fired, NULL);
    return fired[0];
}

static uint64_t run_modes(struct bench *bench)
{
    struct mode_inputs inputs = {.today = 20260101, .sender_domain = "example.com"};
    addr_parse("198.18.7.9", &inputs.client);
    policy_modes(bench->policy, &inputs, bench->modes);
    return bench->modes[0];
}

static uint64_t run_reply(struct bench *bench)
{
    static const int enhanced[3] = {5, 7, 1};
    const char *text = template_expand(bench->work, bench->tmpl, &bench->values);
    struct reply *reply = reply_new(bench->work, 554, enhanced, text, "k7f2qp");
    return (uint64_t)reply->line_count;
}

static uint64_t run_audit(struct bench *bench)
{
    static const struct audit_field fields[] = {
        {"id", "k7f2qp"},
        {"verdict", "reject"},
        {"stage", "rcpt"},
        {"rule", "listed (40-lists.conf:4)"},
        {"reply", "554 5.7.1 Service unavailable; Client host [198.18.7.9] blocked using zen; "
                  "https://list.example/query/198.18.7.9 (ref k7f2qp)"},
        {"client", "198.18.7.9"},
        {"name", "mail.example.com"},
        {"helo", "mail.example.com"},
        {"sender", "alice@example.com"},
        {"rcpt", "bob@example.org"},
        {"qid", "4XyZ1234567"},
        {"client.rdns", "pass"},
        {"client.name", "mail.example.com"},
        {"helo.kind", "name"},
        {"sender.domain", "example.com"},
        {"sender.domain_status", "exists"},
        {"rcpt.status", "known"},
        {"rcpt.count", "0"},
        {"dnsbl.score", "3"},
        {"dnsbl.name", "zen"},
        {"dnsbl.reason", "https://list.example/query/198.18.7.9"},
        {"dnsbl.lists", "zen"},
        {"dnsbl.faults", "0"},
        {"time.dnsbl", "0.8"},
    };
    return (uint64_t)audit_line(bench->work, fields, sizeof(fields) / sizeof(fields[0]))[0];
}

static uint64_t run_mailbox(struct bench *bench)
{
    return mailbox_parse(bench->work, "<Alice.Example@Mail.Example.COM>").well_formed;
}

static uint64_t run_mailbox_hard(struct bench *bench)
{
    return mailbox_parse(bench->work, "<@relay.example:\"a\\\"b c\"@B\xc3\xbc"
                                      "cher.example>")
        .null;
}

static uint64_t run_domain(struct bench *bench)
{
    char out[DOMAIN_SIZE];
    (void)bench;
    return domain_canonical("Mail.Example.COM.", 17, out) ? (uint64_t)out[0] : 0;
}

static uint64_t run_domain_idn(struct bench *bench)
{
    char out[DOMAIN_SIZE];
    (void)bench;
    return domain_canonical("b\xc3\xbc"
                            "cher.example",
                            15, out)
               ? (uint64_t)out[0]
               : 0;
}

static uint64_t run_addr(struct bench *bench)
{
    struct addr addr;
    (void)bench;
    return addr_parse("198.51.100.234", &addr) ? addr.bytes[3] : 0U;
}

static uint64_t run_addr6(struct bench *bench)
{
    struct addr addr;
    (void)bench;
    return addr_parse("2001:db8:85a3::8a2e:370:7334", &addr) ? addr.bytes[3] : 0U;
}

static uint64_t run_reverse(struct bench *bench)
{
    static const struct addr addr = {.family = ADDR_IPV6, .bytes = {0x20, 1, 0xd, 0xb8}};
    char text[ADDR_REVERSE_SIZE];
    (void)bench;
    return (uint64_t)addr_reverse(&addr, text)[0];
}

static uint64_t run_hash(struct bench *bench)
{
    (void)bench;
    return hash_secret("user12345@example.org", 21);
}

/* ---- time ---- */

static const struct {
    const char *name;
    uint64_t (*run)(struct bench *bench);
} rows[] = {
    {"decide_100_rules", run_decide},         {"decide_100_rules_message", run_decide_message},
    {"decide_needs_100_rules", run_needs},    {"decide_marks_100_rules", run_marks},
    {"policy_modes_100_rules", run_modes},    {"template_expand_reply_new", run_reply},
    {"audit_line_24_fields", run_audit},      {"mailbox_parse", run_mailbox},
    {"mailbox_parse_hard", run_mailbox_hard}, {"domain_canonical", run_domain},
    {"domain_canonical_idn", run_domain_idn}, {"addr_parse", run_addr},
    {"addr_parse_ipv6", run_addr6},           {"addr_reverse_ipv6", run_reverse},
    {"hash_secret_21_bytes", run_hash},
};

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t round_of(struct bench *bench, size_t row, uint64_t calls)
{
    static volatile uint64_t sink; /* so that nothing is optimised away */
    int64_t start = cpu_ns();
    for (uint64_t i = 0; i < calls; i++) {
        sink = sink + rows[row].run(bench);
        arena_reset(bench->work);
    }
    return cpu_ns() - start;
}

/* Nanoseconds a call, the best of some rounds: what the work costs, without what disturbs it. */
static double measure(struct bench *bench, size_t row)
{
    uint64_t calls = 16;
    int64_t spent;
    while ((spent = round_of(bench, row, calls)) < ROUND_NS / 4 && calls < UINT64_C(1) << 32)
        calls *= 2;
    double best = (double)spent / (double)calls;
    calls *= 4;
    for (int i = 0; i < ROUNDS; i++) {
        double each = (double)round_of(bench, row, calls) / (double)calls;
        best = each < best ? each : best;
    }
    return best;
}

/* For an instruction counter: calls of one row, and nothing else. */
static int run_row(struct bench *bench, const char *name, const char *calls)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            round_of(bench, i, strtoull(calls, NULL, 10));
            return 0;
        }
    }
    fputs("usage: bench_decide [ROW CALLS]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct bench bench = bench_new();
    int status = 0;

    if (argc == 3) {
        status = run_row(&bench, argv[1], argv[2]);
    } else {
        printf("{");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            printf("%s\n \"%s\": %.1f", i > 0 ? "," : "", rows[i].name, measure(&bench, i));
        printf("\n}\n");
    }
    policy_fini(bench.policy);
    arena_free(bench.work);
    arena_free(bench.arena);
    return status;
}
