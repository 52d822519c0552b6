/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <postern/arena.h>
#include <postern/reply.h>

static const struct fact_row rows[] = {
    {"client.ip", FACT_IP, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "a"},
    {"helo", FACT_DOMAIN, STAGE_HELO, SCOPE_TRANSACTION, NULL, "b"},
    {"sender", FACT_ADDRESS, STAGE_MAIL, SCOPE_TRANSACTION, NULL, "c"},
    {"spf.explanation", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL, "d"},
    {"dnsbl.score", FACT_NUMBER, STAGE_CONNECT, SCOPE_CONNECTION, NULL, "e"},
    {"rcpt", FACT_ADDRESS, STAGE_RCPT, SCOPE_RECIPIENT, NULL, "f"},
    {"rcpt.status", FACT_WORD, STAGE_RCPT, SCOPE_RECIPIENT, "known unknown unavailable!", "g"},
    {"dkim.domains", FACT_SET, STAGE_MESSAGE, SCOPE_MESSAGE, NULL, "h"},
};

enum { IP, HELO, SENDER, EXPLANATION, SCORE, RCPT, STATUS, DOMAINS, ROW_COUNT };

struct fixture {
    struct arena *arena;
    struct diag *diag;
    struct layout *layout;
    struct value values[SCOPE_COUNT][ROW_COUNT];
    struct view view;
};

static struct fixture open_fixture(void)
{
    const struct fact_part part = {rows, ROW_COUNT};
    struct fixture f = {.arena = arena_new(), .diag = diag_new()};

    f.layout = layout_extend(f.arena, layout_new(f.arena, &part, 1), 1);
    layout_add(f.layout, "client.ip in trusted", FACT_BOOL, STAGE_CONNECT, SCOPE_CONNECTION);
    return f;
}

static void close_fixture(struct fixture *f)
{
    diag_free(f->diag);
    arena_free(f->arena);
}

static void set(struct fixture *f, slot_t slot, struct value value)
{
    const struct slot *s = &f->layout->slots[slot];
    f->values[s->scope][s->index] = value;
}

static const char *expand(struct fixture *f, const char *text)
{
    const struct template *tmpl = template_compile(f->arena, f->layout, text, NULL, f->diag);
    for (size_t i = 0; i < SCOPE_COUNT; i++)
        f->view.scope[i] = f->values[i];
    const struct template_values values = {
        .layout = f->layout,
        .view = &f->view,
        .id = "AB12",
        .hostname = "mx.example.org",
        .help = NULL,
        .rule = "unknown-mailbox",
    };
    if (tmpl == NULL)
        fail_msg("%s: %s", text, diag_line(f->diag, 0));
    return template_expand(f->arena, tmpl, &values);
}

static const struct {
    const char *text, *wanted;
} texts[] = {
    {"", ""},
    {"plain", "plain"},
    {"100%% sure", "100% sure"},
    {"%%{rcpt}", "%{rcpt}"},
    {"%%%%%{id}%%", "%%AB12%"},
    {"<%{rcpt}>: Recipient address rejected: User unknown",
     "<Bob@Example.org>: Recipient address rejected: User unknown"},
    {"Client host [%{client.ip}] blocked", "Client host [2001:db8::1] blocked"},
    {"%{helo}%{helo}", "mail.example.netmail.example.net"},
    {"%{id} %{hostname} [%{help}] %{rule}", "AB12 mx.example.org [] unknown-mailbox"},
    {"score %{dnsbl.score}, %{rcpt.status}", "score 3, unknown"},
    {"signed by %{dkim.domains}.", "signed by a.example, b.example."},
    {"one\\ntwo %{id}\\n", "one\ntwo AB12\n"},
    {"a\\b \\ {x} }", "a\\b \\ {x} }"},
    /* What is not known yet is shown as nothing. */
    {"from <%{sender}>", "from <>"},
    /* And takes the semicolon before it along, but no other sign, nor one that a value brought. */
    {"by zen; %{sender}", "by zen"},
    {"by zen; %{sender}.\\nmore; %{sender}; %{id}; %{sender}", "by zen.\nmore; AB12"},
    {"; %{sender}", ""},
    {"a;%{sender} b, %{sender}; c: %{sender}", "a; b, ; c: "},
    {"%{helo}; %{sender}%{sender}; x", "mail.example.net; x"},
};

static void test_expand(void **state)
{
    static const char *const domains[] = {"a.example", "b.example"};
    struct fixture f = open_fixture();
    struct value rcpt = value_text("bob@example.org");
    struct addr ip;

    (void)state;
    assert_true(addr_parse("2001:db8::1", &ip));
    rcpt.shown = "Bob@Example.org";
    set(&f, IP, value_ip(ip));
    set(&f, HELO, value_text("mail.example.net"));
    set(&f, SCORE, value_number(3));
    set(&f, RCPT, rcpt);
    set(&f, STATUS, value_word(&f.layout->slots[STATUS], 1));
    set(&f, DOMAINS, value_set(domains, 2));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_string_equal(expand(&f, texts[i].text), texts[i].wanted);
    assert_int_equal(diag_errors(f.diag), 0);
    close_fixture(&f);
}

/* Where %{help} leads. */
static const struct {
    const char *help, *rule, *wanted;
} helps[] = {
    {NULL, "dmarc", "see ."},
    {"", "dmarc", "see ."},
    {"https://mx.example/p", "dmarc", "see https://mx.example/p#dmarc."},
    {"https://mx.example/p?x=1", "spf-fail", "see https://mx.example/p?x=1#spf-fail."},
    {"https://mx.example/p#", "dmarc", "see https://mx.example/p#dmarc."},
    {"https://mx.example/p#rule-", "dmarc", "see https://mx.example/p#rule-dmarc."},
    {"https://mx.example/p", NULL, "see https://mx.example/p."},
    {"https://mx.example/p", "", "see https://mx.example/p."},
    {"https://mx.example/\xc3\xbc\r\n", "x", "see https://mx.example/????#x."},
};

static void test_help(void **state)
{
    struct fixture f = open_fixture();
    const struct template *tmpl = template_compile(f.arena, f.layout, "see %{help}.", NULL, f.diag);

    (void)state;
    assert_non_null(tmpl);
    for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++) {
        const struct template_values values = {
            .layout = f.layout, .view = &f.view, .help = helps[i].help, .rule = helps[i].rule};
        assert_string_equal(template_expand(f.arena, tmpl, &values), helps[i].wanted);
    }
    close_fixture(&f);
}

/* What a stranger wrote, and what becomes of it. */
static const struct {
    const char *value, *wanted;
} foreign[] = {
    {"a b", "a b"},
    {"a    b ", "a b "},
    {"a\r\nb", "a??b"},
    {"a\tb\x7f"
     "c",
     "a?b?c"},
    {"a\x1b[2J", "a?[2J"},
    {"J\xc3\xbcrgen", "J??rgen"},
    {"100% %{id} %n", "100% %{id} %n"},
    {"one\\ntwo", "one\\ntwo"},
};

static void test_foreign(void **state)
{
    struct fixture f = open_fixture();

    (void)state;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        set(&f, EXPLANATION, value_text(foreign[i].value));
        assert_string_equal(expand(&f, "%{spf.explanation}"), foreign[i].wanted);
    }
    close_fixture(&f);
}

static void test_cut(void **state)
{
    static const struct {
        slot_t slot;
        const char *text;
        size_t limit;
    } cuts[] = {
        {EXPLANATION, "%{spf.explanation}", 128}, {RCPT, "%{rcpt}", 320}, {HELO, "%{helo}", 320}};
    struct fixture f = open_fixture();
    char value[1000];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t length = cuts[i].limit - 1; length <= cuts[i].limit + 1; length++) {
            memset(value, 'x', length);
            value[length] = '\0';
            set(&f, cuts[i].slot, value_text(value));
            const char *text = expand(&f, cuts[i].text);
            bool cut = length > cuts[i].limit;
            assert_int_equal(strlen(text), cut ? cuts[i].limit : length);
            assert_int_equal(strcmp(text + strlen(text) - 3, "...") == 0, cut);
        }
    }
    close_fixture(&f);
}

static void test_slots(void **state)
{
    struct fixture f = open_fixture();
    const slot_t *slots;

    (void)state;
    const struct template *tmpl =
        template_compile(f.arena, f.layout, "%{rcpt} %{helo} %{rcpt} %{hostname}", NULL, f.diag);
    assert_int_equal(template_slots(tmpl, &slots), 2);
    assert_int_equal(slots[0], RCPT);
    assert_int_equal(slots[1], HELO);
    assert_false(template_shows_id(tmpl));
    tmpl = template_compile(f.arena, f.layout, "%%{id} x", NULL, f.diag);
    assert_int_equal(template_slots(tmpl, &slots), 0);
    assert_false(template_shows_id(tmpl));
    assert_true(template_shows_id(template_compile(f.arena, f.layout, "see %{id}", NULL, f.diag)));
    close_fixture(&f);
}

/* Written as a string whose opening quote stands in column 10. */
static const struct {
    const char *text;
    unsigned escapes; /* bytes by which it was longer in the file */
    const char *error;
} wrong[] = {
    {"100% sure", 0, "f:1:14: error: lone %; a fact is %{name}, the character itself %%"},
    {"%", 0, "f:1:11: error: lone %; a fact is %{name}, the character itself %%"},
    {"a %{rcpt", 0, "f:1:13: error: %{ without its }"},
    {"%{", 0, "f:1:11: error: %{ without its }"},
    {"<%{rctp}>", 0, "f:1:14: error: unknown fact 'rctp' in the text; did you mean 'rcpt'?"},
    {"<%{rctp}>", 2, "f:1:10: error: unknown fact 'rctp' in the text; did you mean 'rcpt'?"},
    {"%{hostnam}", 0,
     "f:1:13: error: unknown fact 'hostnam' in the text; did you mean 'hostname'?"},
    {"%{}", 0, "f:1:13: error: unknown fact '' in the text; postern-policy(7) lists the facts"},
    {"%{qqqqqqq}", 0,
     "f:1:13: error: unknown fact 'qqqqqqq' in the text; postern-policy(7) lists the facts"},
    {"%{client.ip in trusted}", 0,
     "f:1:13: error: unknown fact 'client.ip in trusted' in the text; postern-policy(7) lists "
     "the facts"},
    {"a\tb", 0, "f:1:12: error: the text may hold printable ASCII only"},
    {"na\xc3\xafve", 0, "f:1:13: error: the text may hold printable ASCII only"},
};

static void test_wrong(void **state)
{
    static const struct source source = {.path = "f", .text = "", .length = 0};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct fixture f = open_fixture();
        struct place at = {&source, 1, 10, (uint32_t)strlen(wrong[i].text) + 2 + wrong[i].escapes};
        assert_null(template_compile(f.arena, f.layout, wrong[i].text, &at, f.diag));
        assert_int_equal(diag_errors(f.diag), 1);
        assert_string_equal(diag_line(f.diag, 0), wrong[i].error);
        close_fixture(&f);
    }
}

/* Postfix writes its own texts so. */
static void test_doubt(void **state)
{
    static const struct source source = {.path = "f", .text = "", .length = 0};
    struct fixture f = open_fixture();
    struct place at = {&source, 1, 10, 14};

    (void)state;
    assert_non_null(template_compile(f.arena, f.layout, "$1 ${client}", &at, f.diag));
    assert_int_equal(diag_errors(f.diag), 0);
    assert_string_equal(diag_line(f.diag, 0),
                        "f:1:14: warning: '${' stands for itself; a fact is %{name}");
    assert_null(diag_line(f.diag, 1));
    close_fixture(&f);
}

/* All errors of a text are reported at once. */
static void test_many_errors(void **state)
{
    struct fixture f = open_fixture();

    (void)state;
    assert_null(template_compile(f.arena, f.layout, "%{x} % \xff %{y} %{", NULL, f.diag));
    assert_int_equal(diag_errors(f.diag), 5);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),      cmocka_unit_test(test_help),
        cmocka_unit_test(test_foreign),     cmocka_unit_test(test_cut),
        cmocka_unit_test(test_slots),       cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_many_errors), cmocka_unit_test(test_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
