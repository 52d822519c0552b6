/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>
#include <postern/results.h>

#define WORDS "none pass fail softfail neutral temperror! permerror"

static const struct fact_row rows[] = {
    {"client.rdns", FACT_WORD, STAGE_CONNECT, SCOPE_CONNECTION, "pass fail none temperror!", ""},
    {"client.name", FACT_DOMAIN, STAGE_CONNECT, SCOPE_CONNECTION, NULL, ""},
    {"dnsbl.lists", FACT_SET, STAGE_CONNECT, SCOPE_CONNECTION, NULL, ""},
    {"dnsbl.answers", FACT_ROWS, STAGE_CONNECT, SCOPE_CONNECTION, "list code", ""},
    {"spf.result", FACT_WORD, STAGE_MAIL, SCOPE_TRANSACTION, WORDS, ""},
    {"spf.domain", FACT_DOMAIN, STAGE_MAIL, SCOPE_TRANSACTION, NULL, ""},
    {"spf.helo", FACT_WORD, STAGE_HELO, SCOPE_CONNECTION, WORDS, ""},
    {"spf.problem", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL, ""},
    {"spf.mechanism", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL, ""},
    {"dkim.result", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE, WORDS, ""},
    {"dkim.signatures", FACT_ROWS, STAGE_MESSAGE, SCOPE_MESSAGE,
     "domain selector algorithm bits result reason identity", ""},
    {"dmarc.result", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE, WORDS, ""},
    {"dmarc.policy", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE, "none quarantine reject", ""},
    {"from.domain", FACT_DOMAIN, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, ""},
    {"arc.result", FACT_WORD, STAGE_MESSAGE, SCOPE_MESSAGE, WORDS, ""},
    {"arc.oldest_pass", FACT_NUMBER, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, ""},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]), ALL = 63 };

/* Facts of one row: pairs of name and text, ended by NULL.  Sets and rows: cells with '|' between
 * them; "!" is in fault. */
struct row {
    const char *what;
    unsigned methods;
    const char *facts[16];
    const char *sender, *helo, *client;
    const char *field;
};

static const struct row table[] = {
    {"nothing to tell",
     RESULTS_SPF | RESULTS_DKIM,
     {0},
     .field = "mx.example.org;\n    spf=temperror;\n    dkim=temperror"},
    {"SPF passes",
     RESULTS_SPF,
     {"spf.result", "pass", "spf.domain", "example.com", "spf.helo", "none"},
     .field = "mx.example.org;\n    spf=pass smtp.mailfrom=example.com"},
    {"SPF of both names",
     RESULTS_SPF,
     {"spf.result", "fail", "spf.domain", "example.com", "spf.helo", "pass"},
     .field = "mx.example.org;\n    spf=fail smtp.mailfrom=example.com;\n    spf=pass "
              "smtp.helo=helo.example"},
    {"SPF of the null sender",
     RESULTS_SPF,
     {"spf.result", "softfail", "spf.domain", "helo.example", "spf.helo", "softfail"},
     .sender = "<>",
     .field = "mx.example.org;\n    spf=softfail smtp.helo=helo.example"},
    {"SPF with a problem",
     RESULTS_SPF,
     {"spf.result", "permerror", "spf.domain", "example.com", "spf.problem",
      "say \"no\"\\ to \x01\n\xc3\xa4"},
     .field = "mx.example.org;\n    spf=permerror reason=\"say \\\"no\\\"\\\\ to ????\" "
              "smtp.mailfrom=example.com"},
    {"SPF could not be found out",
     RESULTS_SPF,
     {"spf.result", "!", "spf.domain", "example.com"},
     .field = "mx.example.org;\n    spf=temperror smtp.mailfrom=example.com"},
    {"a HELO that would be more than a name",
     RESULTS_SPF,
     {"spf.result", "none", "spf.helo", "fail"},
     .helo = "x; dkim=pass\r\nX-Evil: 1",
     .field = "mx.example.org;\n    spf=none;\n    spf=fail smtp.helo=\"x; dkim=pass??X-Evil: 1\""},
    {"no signature",
     RESULTS_DKIM,
     {"dkim.result", "none", "dkim.signatures", ""},
     .field = "mx.example.org;\n    dkim=none"},
    {"no signature could be verified",
     RESULTS_DKIM,
     {"dkim.result", "!", "dkim.signatures", "!"},
     .field = "mx.example.org;\n    dkim=temperror"},
    {"two signatures",
     RESULTS_DKIM,
     {"dkim.result", "pass", "dkim.signatures",
      "example.com|s1|rsa-sha256|2048|pass|ignored|@example.com|example.net|s2|ed25519-sha256|256|"
      "fail|body hash|"},
     .field = "mx.example.org;\n    dkim=pass header.d=example.com header.s=s1 "
              "header.a=rsa-sha256\n    header.i=@example.com;\n    dkim=fail reason=\"body hash\" "
              "header.d=example.net header.s=s2\n    header.a=ed25519-sha256"},
    {"DMARC passes",
     RESULTS_DMARC,
     {"dmarc.result", "pass", "dmarc.policy", "reject", "from.domain", "example.com"},
     .field = "mx.example.org;\n    dmarc=pass header.from=example.com policy.dmarc=reject"},
    {"no DMARC",
     RESULTS_DMARC,
     {"dmarc.result", "none", "dmarc.policy", "none", "from.domain", "example.com"},
     .field = "mx.example.org;\n    dmarc=none header.from=example.com"},
    {"ARC",
     RESULTS_ARC,
     {"arc.result", "pass", "arc.oldest_pass", "2"},
     .field = "mx.example.org;\n    arc=pass smtp.remote-ip=192.0.2.1 header.oldest-pass=2"},
    {"no ARC", RESULTS_ARC, {"arc.result", "none"}, .field = "mx.example.org;\n    arc=none"},
    {"a name",
     RESULTS_IPREV,
     {"client.rdns", "pass", "client.name", "client.example"},
     .field = "mx.example.org;\n    iprev=pass policy.iprev=192.0.2.1 (client.example)"},
    {"no name, and IPv6",
     RESULTS_IPREV,
     {"client.rdns", "none", "client.name", ""},
     .client = "2001:db8::1",
     .field = "mx.example.org;\n    iprev=permerror policy.iprev=\"2001:db8::1\""},
    {"a hostile name",
     RESULTS_IPREV,
     {"client.rdns", "pass", "client.name", "a) b\\(c"},
     .field = "mx.example.org;\n    iprev=pass policy.iprev=192.0.2.1 (a??b??c)"},
    {"lists of good senders",
     RESULTS_DNSWL,
     {"dnsbl.lists", "bad|wl", "dnsbl.answers", "bad|127.0.0.2|wl|127.0.5.1"},
     .field = "mx.example.org;\n    dnswl=pass dns.zone=list.dnswl.org policy.ip=127.0.5.1;\n    "
              "dnswl=none dns.zone=other.example"},
    {"lists that are silent",
     RESULTS_DNSWL,
     {"dnsbl.lists", "!", "dnsbl.answers", "!"},
     .field = "mx.example.org;\n    dnswl=temperror dns.zone=list.dnswl.org;\n    dnswl=temperror "
              "dns.zone=other.example"},
    {"none is asked for", 0, {0}, .field = NULL},
};

static struct value read_value(struct arena *arena, const struct slot *slot, const char *text)
{
    const char **items = arena_alloc(arena, (strlen(text) + 2) * sizeof(char *));
    size_t count = 0;
    char *rest = arena_strdup(arena, text);

    if (strcmp(text, "!") == 0)
        return value_fault(slot);
    if (slot->type == FACT_WORD)
        return value_word(slot, (unsigned)slot_word(slot, text));
    if (slot->type == FACT_NUMBER)
        return value_number(atoi(text));
    if (slot->type != FACT_SET && slot->type != FACT_ROWS)
        return value_text(text);
    while (rest != NULL && text[0] != '\0')
        items[count++] = strsep(&rest, "|");
    return value_set(items, count);
}

/* Values of all scopes, open but for FACTS. */
static struct view make_view(struct arena *arena, const struct layout *layout,
                             const char *const *facts)
{
    struct view view = {0};
    struct value *values[SCOPE_COUNT];

    for (int i = 0; i < SCOPE_COUNT; i++)
        view.scope[i] = values[i] =
            arena_alloc(arena, (layout->scope_count[i] + 1) * sizeof(struct value));
    for (; facts[0] != NULL; facts += 2) {
        const struct slot *slot = &layout->slots[layout_find(layout, facts[0])];
        values[slot->scope][slot->index] = read_value(arena, slot, facts[1]);
    }
    return view;
}

static struct results_values make_values(struct arena *arena, const struct row *row,
                                         const struct view *view, struct mailbox *sender)
{
    struct results_values values = {.view = view,
                                    .id = "mx.example.org",
                                    .helo = row->helo != NULL ? row->helo : "helo.example",
                                    .sender = sender};

    *sender = mailbox_parse(arena, row->sender != NULL ? row->sender : "<a@example.com>");
    assert_true(addr_parse(row->client != NULL ? row->client : "192.0.2.1", &values.client));
    return values;
}

static void tells_what_was_found(void **state)
{
    static const struct results_list lists[] = {{"wl", "list.dnswl.org"},
                                                {"other", "other.example"}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct row *row = &table[i];
        struct arena *arena = arena_new();
        const struct fact_part part = {rows, ROWS};
        const struct layout *layout = layout_new(arena, &part, 1);
        struct results *results = results_new(arena, layout, row->methods, false, lists, 2);
        const struct view view = make_view(arena, layout, row->facts);
        struct mailbox sender;
        const struct results_values values = make_values(arena, row, &view, &sender);
        const char *field = results_field(arena, results, &values);

        print_message("row %zu: %s\n", i, row->what);
        if (row->field == NULL)
            assert_null(field);
        else
            assert_string_equal(field, row->field);
        assert_null(results_received_spf(arena, results, &values));
        arena_free(arena);
    }
}

/* What the program does not know is left out, and so is what nobody asked for. */
static void offers_what_there_is(void **state)
{
    struct arena *arena = arena_new();
    const struct fact_part part = {rows, 2};
    const struct layout *layout = layout_new(arena, &part, 1);
    const struct row row = {.facts = {"client.rdns", "pass", "client.name", ""}};
    const struct view view = make_view(arena, layout, row.facts);
    struct mailbox sender;
    const struct results_values values = make_values(arena, &row, &view, &sender);
    const slot_t *slots;

    (void)state;
    assert_int_equal(results_slots(results_new(arena, layout, ALL, true, NULL, 0), &slots), 2);
    assert_int_equal(results_slots(results_new(arena, layout, RESULTS_SPF, true, NULL, 0), &slots),
                     0);
    assert_string_equal(
        results_field(arena, results_new(arena, layout, ALL, true, NULL, 0), &values),
        "mx.example.org;\n    iprev=pass policy.iprev=192.0.2.1");
    assert_string_equal(
        results_field(arena, results_new(arena, layout, RESULTS_SPF, true, NULL, 0), &values),
        "mx.example.org; none");
    assert_null(
        results_received_spf(arena, results_new(arena, layout, ALL, true, NULL, 0), &values));
    arena_free(arena);
}

static void no_line_is_too_long(void **state)
{
    struct arena *arena = arena_new();
    const struct fact_part part = {rows, ROWS};
    const struct layout *layout = layout_new(arena, &part, 1);
    char long_name[400];
    const struct row row = {.facts = {"spf.result", "permerror", "spf.domain", long_name,
                                      "spf.helo", "pass", "spf.mechanism", "ip4:192.0.2.0/24",
                                      "spf.problem", "too many terms", NULL}};
    struct mailbox sender;

    (void)state;
    for (size_t length = 0; length < sizeof(long_name) - 1; length++) {
        struct results *results = results_new(arena, layout, ALL, true, NULL, 0);
        memset(long_name, 'a', length);
        long_name[length] = '\0';
        const struct view view = make_view(arena, layout, row.facts);
        const struct results_values values = make_values(arena, &row, &view, &sender);
        const char *texts[] = {results_field(arena, results, &values),
                               results_received_spf(arena, results, &values)};
        for (int i = 0; i < 2; i++) {
            size_t before = i == 0 ? strlen("Authentication-Results: ") : strlen("Received-SPF: ");
            for (const char *line = texts[i]; line != NULL; line = strchr(line, '\n')) {
                line += *line == '\n';
                size_t columns = before + strcspn(line, "\n");
                before = 0;
                /* One word of its own may be longer. */
                if (length < 50)
                    assert_in_range(columns, 1, 78);
                else
                    assert_in_range(columns, 1, 370);
            }
        }
    }
    arena_free(arena);
}

static void tells_spf_in_its_own_field(void **state)
{
    struct arena *arena = arena_new();
    const struct fact_part part = {rows, ROWS};
    const struct layout *layout = layout_new(arena, &part, 1);
    const struct row row = {.facts = {"spf.result", "pass", "spf.domain", "example.com",
                                      "spf.mechanism", "ip4:192.0.2.0/24"}};
    const struct view view = make_view(arena, layout, row.facts);
    struct mailbox sender;
    const struct results_values values = make_values(arena, &row, &view, &sender);
    struct results *results = results_new(arena, layout, 0, true, NULL, 0);
    const char *text = results_received_spf(arena, results, &values);

    (void)state;
    assert_null(results_field(arena, results, &values));
    assert_string_equal(text, "pass (example.com) receiver=mx.example.org; identity=mailfrom;\n    "
                              "envelope-from=a@example.com; helo=helo.example;\n    "
                              "mechanism=\"ip4:192.0.2.0/24\"; client-ip=192.0.2.1");
    assert_true(results_spf_claims(text, "MX.example.org"));
    assert_false(results_spf_claims(text, "mx.example.or"));
    assert_false(results_spf_claims(text, "example.org"));
    assert_true(results_spf_claims("pass (x) RECEIVER=\"mx.example.org\"", "mx.example.org"));
    assert_true(results_spf_claims("pass receiver=a; receiver=mx.example.org", "mx.example.org"));
    assert_false(results_spf_claims("", "mx.example.org"));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_was_found),
        cmocka_unit_test(offers_what_there_is),
        cmocka_unit_test(no_line_is_too_long),
        cmocka_unit_test(tells_spf_in_its_own_field),
    };

    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
