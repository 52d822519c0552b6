/* SPDX-License-Identifier: MIT */
#include <postern/reply.h>

#include <assert.h>
#include <string.h>

#include <postern/arena.h>
#include <postern/str.h>
#include <postern/words.h>

enum {
    VALUE_MAX = 128,     /* bytes of one value in a text */
    NAME_VALUE_MAX = 320 /* of an address (64 + 1 + 255 octets, RFC 5321 4.5.3.1) or a domain */
};

enum part_kind { PART_TEXT, PART_FACT, PART_ID, PART_HOSTNAME, PART_HELP, PART_RULE };

struct part {
    enum part_kind kind;
    slot_t slot;      /* PART_FACT */
    const char *text; /* PART_TEXT; a line break is a '\n' here */
};

struct template
{
    const struct part *parts;
    size_t part_count;
    const slot_t *slots; /* each once */
    size_t slot_count;
    bool shows_id;
};

static const struct {
    const char *name;
    enum part_kind kind;
} specials[] = {
    {"id", PART_ID}, {"hostname", PART_HOSTNAME}, {"help", PART_HELP}, {"rule", PART_RULE}};

enum { SPECIAL_COUNT = sizeof(specials) / sizeof(specials[0]) };

/* ---- compiling ---- */

struct compiler {
    struct arena *arena;
    const struct layout *layout;
    const char *text;
    const struct place *at;
    struct diag *diag;
    struct part *parts;
    size_t part_count;
    struct str literal; /* the text since the last %{...} */
    bool bad;
};

/* The place of LENGTH bytes at offset POS of the text.  Where the string was written with escapes
 * the offsets do not fit and the whole string is the place. */
static struct place place_of(const struct compiler *compiler, size_t pos, size_t length)
{
    struct place place = {0};

    if (compiler->at == NULL)
        return place;
    place = *compiler->at;
    if (place.width == strlen(compiler->text) + 2) {
        place.column += 1 + (uint32_t)pos;
        place.width = (uint32_t)length;
    }
    return place;
}

static void flush_literal(struct compiler *compiler)
{
    if (compiler->literal.length == 0)
        return;
    compiler->parts[compiler->part_count++] = (struct part){
        .kind = PART_TEXT, .text = arena_strdup(compiler->arena, str_text(&compiler->literal))};
    str_clear(&compiler->literal);
}

/* Derived facts stand in the layout too, but their names are whole conditions. */
static slot_t find_fact(const struct layout *layout, const char *name)
{
    slot_t slot = layout_find(layout, name);

    return slot != SLOT_NONE && layout->slots[slot].row != NULL ? slot : SLOT_NONE;
}

static void report_unknown(struct compiler *compiler, const char *name, size_t pos)
{
    const struct layout *layout = compiler->layout;
    const char **names =
        arena_alloc(compiler->arena, (layout->count + SPECIAL_COUNT) * sizeof(*names));
    struct place place = place_of(compiler, pos, strlen(name));

    for (size_t i = 0; i < layout->count; i++)
        names[i] = layout->slots[i].row != NULL ? layout->slots[i].name : NULL;
    for (size_t i = 0; i < SPECIAL_COUNT; i++)
        names[layout->count + i] = specials[i].name;
    const char *nearest = fact_called(name);
    if (nearest == NULL || find_fact(layout, nearest) == SLOT_NONE)
        nearest = words_nearest(name, names, layout->count + SPECIAL_COUNT);
    if (nearest != NULL)
        diag_error(compiler->diag, &place, "unknown fact '%s' in the text; did you mean '%s'?",
                   name, nearest);
    else
        diag_error(compiler->diag, &place,
                   "unknown fact '%s' in the text; postern-policy(7) lists the facts", name);
    compiler->bad = true;
}

/* Takes "%{name}", "%%" or reports a lone % at POS; returns how many bytes that were. */
static size_t take_percent(struct compiler *compiler, size_t pos)
{
    const char *text = compiler->text + pos;
    struct part part = {.kind = PART_FACT, .slot = SLOT_NONE};

    if (text[1] == '%') {
        str_add_char(&compiler->literal, '%');
        return 2;
    }
    const char *end = text[1] == '{' ? strchr(text, '}') : NULL;
    if (end == NULL) {
        struct place place = place_of(compiler, pos, text[1] == '{' ? 2 : 1);
        diag_error(compiler->diag, &place, "%s",
                   text[1] == '{' ? "%{ without its }"
                                  : "lone %; a fact is %{name}, the character itself %%");
        compiler->bad = true;
        return 1;
    }
    size_t length = (size_t)(end - text) - 2;
    const char *name = arena_strndup(compiler->arena, text + 2, length);
    for (size_t i = 0; i < SPECIAL_COUNT; i++) {
        if (strcmp(name, specials[i].name) == 0)
            part.kind = specials[i].kind;
    }
    if (part.kind == PART_FACT) {
        part.slot = find_fact(compiler->layout, name);
        if (part.slot == SLOT_NONE)
            report_unknown(compiler, name, pos + 2);
    }
    flush_literal(compiler);
    compiler->parts[compiler->part_count++] = part;
    return length + 3;
}

/* Takes plain text at POS; returns how many bytes that was. */
static size_t take_literal(struct compiler *compiler, size_t pos)
{
    const char *text = compiler->text + pos;
    size_t length = 1;

    if (text[0] == '\\' && text[1] == 'n') {
        str_add_char(&compiler->literal, '\n');
        return 2;
    }
    if (text[0] == '$' && text[1] == '{') {
        struct place place = place_of(compiler, pos, 2);
        diag_warning(compiler->diag, &place, "'${' stands for itself; a fact is %%{name}");
    }
    if (text[0] >= ' ' && text[0] <= '~') {
        str_add_char(&compiler->literal, text[0]);
        return 1;
    }
    /* RFC 5321 4.2: replies are ASCII; Sendmail strips the eighth bit, Postfix sends what it gets.
     */
    while (text[length] != '\0' && (text[length] < ' ' || text[length] > '~'))
        length++;
    struct place place = place_of(compiler, pos, length);
    diag_error(compiler->diag, &place, "the text may hold printable ASCII only");
    compiler->bad = true;
    return length;
}

/* An upper bound of the parts: each %{} one, and one text before each and at the end. */
static size_t count_parts(const char *text)
{
    size_t count = 1;

    for (; *text != '\0'; text++) {
        if (*text == '%')
            count += 2;
    }
    return count;
}

static void collect_slots(struct arena *arena, struct template *tmpl)
{
    slot_t *slots = arena_alloc(arena, (tmpl->part_count + 1) * sizeof(*slots));

    for (size_t i = 0; i < tmpl->part_count; i++) {
        const struct part *part = &tmpl->parts[i];
        size_t j = 0;
        if (part->kind == PART_ID)
            tmpl->shows_id = true;
        if (part->kind != PART_FACT)
            continue;
        while (j < tmpl->slot_count && slots[j] != part->slot)
            j++;
        if (j == tmpl->slot_count)
            slots[tmpl->slot_count++] = part->slot;
    }
    tmpl->slots = slots;
}

const struct template *template_compile(struct arena *arena, const struct layout *layout,
                                        const char *text, const struct place *at, struct diag *diag)
{
    struct compiler compiler = {
        .arena = arena, .layout = layout, .text = text, .at = at, .diag = diag};

    compiler.parts = arena_alloc(arena, count_parts(text) * sizeof(*compiler.parts));
    for (size_t pos = 0; text[pos] != '\0';)
        pos += text[pos] == '%' ? take_percent(&compiler, pos) : take_literal(&compiler, pos);
    flush_literal(&compiler);
    str_free(&compiler.literal);
    if (compiler.bad)
        return NULL;
    struct template *tmpl = arena_alloc(arena, sizeof(*tmpl));
    tmpl->parts = compiler.parts;
    tmpl->part_count = compiler.part_count;
    collect_slots(arena, tmpl);
    return tmpl;
}

size_t template_slots(const struct template *tmpl, const slot_t **slots)
{
    *slots = tmpl->slots;
    return tmpl->slot_count;
}

bool template_shows_id(const struct template *tmpl)
{
    return tmpl->shows_id;
}

/* ---- expanding ---- */

/* Adds what may come from outside: it can neither break the line nor fill it. */
static void add_value(struct str *out, const char *value, size_t limit)
{
    size_t start = out->length;
    char before = '\0';

    for (; value != NULL && *value != '\0'; value++) {
        char c = *value >= ' ' && *value <= '~' ? *value : '?';
        if (c == ' ' && before == ' ')
            continue;
        if (out->length - start == limit) {
            out->length = start + limit - 3;
            str_add(out, "...");
            return;
        }
        str_add_char(out, c);
        before = c;
    }
}

static void add_fact(struct arena *arena, struct str *out, const struct template_values *values,
                     slot_t number)
{
    const struct slot *slot = &values->layout->slots[number];
    const struct value *value = view_value(values->layout, values->view, number);
    bool name = slot->type == FACT_ADDRESS || slot->type == FACT_DOMAIN;

    add_value(out, value_show(arena, slot, value), name ? NAME_VALUE_MAX : VALUE_MAX);
}

/* The address of the page, with the rule's anchor on it.  A site whose page has other anchors
 * writes the beginning of them into help_url ("https://mx.example.org/refused#rule-"). */
static void add_help(struct str *out, const struct template_values *values)
{
    if (values->help == NULL || values->help[0] == '\0')
        return;
    add_value(out, values->help, NAME_VALUE_MAX);
    if (values->rule == NULL || values->rule[0] == '\0')
        return;
    if (strchr(values->help, '#') == NULL)
        str_add_char(out, '#');
    add_value(out, values->rule, VALUE_MAX);
}

static void add_part(struct arena *arena, struct str *out, const struct template_values *values,
                     const struct part *part)
{
    switch (part->kind) {
    case PART_TEXT:
        str_add(out, part->text);
        break;
    case PART_FACT:
        add_fact(arena, out, values, part->slot);
        break;
    case PART_ID:
        add_value(out, values->id, VALUE_MAX);
        break;
    case PART_HOSTNAME:
        add_value(out, values->hostname, NAME_VALUE_MAX);
        break;
    case PART_HELP:
        add_help(out, values);
        break;
    case PART_RULE:
        add_value(out, values->rule, VALUE_MAX);
        break;
    }
}

/* The length of what is added so far without a "; " at its end, behind which there is nothing. */
static size_t without_semicolon(const struct str *out)
{
    size_t length = out->length;

    return length >= 2 && memcmp(out->data + length - 2, "; ", 2) == 0 ? length - 2 : length;
}

const char *template_expand(struct arena *arena, const struct template *tmpl,
                            const struct template_values *values)
{
    struct str out = {0};

    for (size_t i = 0; i < tmpl->part_count; i++) {
        size_t before = out.length;

        add_part(arena, &out, values, &tmpl->parts[i]);
        if (out.length > before || i == 0 || tmpl->parts[i - 1].kind != PART_TEXT)
            continue;
        out.length = without_semicolon(&out);
        str_add(&out, "");
    }
    const char *text = arena_strdup(arena, str_text(&out));
    str_free(&out);
    return text;
}
