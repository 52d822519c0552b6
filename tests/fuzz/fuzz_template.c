/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/reply.h>

/*
 * The first line of the input is a reply's text as an administrator writes it, the rest is what
 * strangers sent: whatever they are, the reply is one that an MTA takes as it is.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fact_row rows[] = {
    {"rcpt", FACT_ADDRESS, STAGE_RCPT, SCOPE_RECIPIENT, NULL, ""},
    {"spf.explanation", FACT_TEXT, STAGE_MAIL, SCOPE_TRANSACTION, NULL, ""},
    {"dnsbl.score", FACT_NUMBER, STAGE_CONNECT, SCOPE_CONNECTION, NULL, ""},
};

static void check_reply(struct arena *arena, const char *text, const char *id)
{
    static const int enhanced[3] = {5, 7, 1};
    const struct reply *reply = reply_new(arena, 550, enhanced, text, id);
    const char *wire = reply_format(arena, reply);

    assert(reply_valid(reply) && strlen(wire) < 16384);
    assert(strchr(reply_oneline(arena, reply), '\n') == NULL);
    for (size_t i = 0; i < reply->line_count; i++) {
        const char *line = reply_line_doubled(arena, reply, i);
        assert(strlen(line) <= 980);
        /* Each % has its twin. */
        for (; (line = strchr(line, '%')) != NULL; line += 2)
            assert(line[1] == '%');
    }
    (void)wire;
}

static void expand(struct arena *arena, const struct layout *layout, const struct template *tmpl,
                   const char *foreign)
{
    struct value scopes[SCOPE_COUNT][3] = {0};
    struct view view = {0};

    for (size_t i = 0; i < SCOPE_COUNT; i++)
        view.scope[i] = scopes[i];
    scopes[SCOPE_RECIPIENT][0] = value_text(foreign);
    scopes[SCOPE_TRANSACTION][0] = value_text(foreign);
    scopes[SCOPE_CONNECTION][0] = value_number((int64_t)strlen(foreign));
    const struct template_values values = {
        .layout = layout, .view = &view, .id = foreign, .hostname = foreign, .rule = "r"};
    const char *text = template_expand(arena, tmpl, &values);
    for (const char *c = text; *c != '\0'; c++)
        assert(*c == '\n' || (*c >= ' ' && *c <= '~'));
    check_reply(arena, text, NULL);
    check_reply(arena, text, foreign);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct diag *diag = diag_new();
    char *text = arena_strndup(arena, (const char *)data, size);
    char *foreign = strchr(text, '\n');
    const struct fact_part part = {rows, 3};
    const struct layout *layout = layout_new(arena, &part, 1);
    const struct source source = {.path = "fuzz", .text = text, .length = strlen(text)};
    const struct place at = {&source, 1, 1, (uint32_t)strlen(text) + 2};

    if (foreign != NULL)
        *foreign++ = '\0';
    const struct template *tmpl = template_compile(arena, layout, text, &at, diag);
    assert((tmpl == NULL) == (diag_errors(diag) > 0));
    if (tmpl != NULL)
        expand(arena, layout, tmpl, foreign != NULL ? foreign : "");
    check_reply(arena, text, foreign);
    int numbers[3];
    if (reply_parse_enhanced(text, numbers)) {
        char *again = arena_printf(arena, "%d.%d.%d", numbers[0], numbers[1], numbers[2]);
        assert(strcmp(again, text) == 0);
        (void)again;
    }
    diag_free(diag);
    arena_free(arena);
    return 0;
}
