/* SPDX-License-Identifier: MIT */
#include "explain.h"
#include "term.h"

#include <postern/arena.h>

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* ---- the step that stands for the whole ---- */

/* The message's outcome where it came to that; else a recipient that is taken, else the first
 * refusal. */
static const struct explained_step *summary(const struct explained *explained)
{
    const struct explained_step *last = &explained->steps[explained->step_count - 1];
    if (last->stage != STAGE_RCPT)
        return last;
    for (size_t i = 1; i < explained->step_count; i++)
        if (explained->steps[i].reply == NULL)
            return &explained->steps[i];
    return &explained->steps[1];
}

static const struct rule *rule_named(const struct explained *explained, const char *name)
{
    const struct policy *policy = explained->config->policy;
    for (size_t i = 0; i < policy->rule_count; i++)
        if (strcmp(policy->rules[i].name, name) == 0)
            return &policy->rules[i];
    return NULL;
}

/* ---- text ---- */

/* The columns of a table stand in line unless a cell is longer than this. */
enum { COLUMN_MAX = 40 };

static int cell_width(const char *cell)
{
    size_t length = cell[0] != '\0' ? strlen(cell) : 1;
    return length < COLUMN_MAX ? (int)length : COLUMN_MAX;
}

static void print_row(const char *const *cells, const int *widths, size_t count, FILE *out)
{
    fputs("   ", out);
    for (size_t i = 0; i < count; i++) {
        const char *cell = cells[i][0] != '\0' ? cells[i] : "-";
        fputc(' ', out);
        cli_put_clean(cell, out);
        if (i + 1 < count)
            fprintf(out, "%*s", widths[i] - cell_width(cell) + 1, "");
    }
    fputc('\n', out);
}

static void put_part(const char *text, size_t length, FILE *out)
{
    char part[65] = {0};
    memcpy(part, text, length < sizeof(part) ? length : sizeof(part) - 1);
    cli_put_clean(part, out);
}

/* A long text without blanks, such as a key, says little to a person: its middle is left out. */
static void print_shortened(const char *text, FILE *out)
{
    enum { WORD_MAX = 64, HEAD = 24, TAIL = 12 };
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (length > WORD_MAX) {
            put_part(text, HEAD, out);
            fputs("...", out);
            put_part(text + length - TAIL, TAIL, out);
        } else {
            put_part(text, length, out);
        }
        text += length;
        for (; *text == ' '; text++)
            fputc(' ', out);
    }
}

/* The columns that are too long for a line stand below the row. */
static void print_rest(const struct slot *slot, const char *const *cells, FILE *out)
{
    for (size_t i = slot->brief_count; i < slot->word_count; i++) {
        if (cells[i][0] == '\0')
            continue;
        fprintf(out, "        %s ", slot->words[i]);
        print_shortened(cells[i], out);
        fputc('\n', out);
    }
}

/* A line for the names of the columns, and one a row; "-" stands where there is nothing. */
static void print_rows(const struct explained *explained, const struct slot *slot,
                       const struct text_set *cells, FILE *out)
{
    size_t columns = slot->word_count, shown = slot->brief_count;
    if (columns == 0)
        return;
    int *widths = arena_alloc(explained->arena, columns * sizeof(widths[0]));
    for (size_t i = 0; i < columns; i++)
        widths[i] = cell_width(slot->words[i]);
    for (size_t i = 0; i < cells->count; i++)
        if (cell_width(cells->items[i]) > widths[i % columns])
            widths[i % columns] = cell_width(cells->items[i]);
    fprintf(out, "  %s\n", slot->name);
    print_row(slot->words, widths, shown, out);
    for (size_t i = 0; i + columns <= cells->count; i += columns) {
        print_row(&cells->items[i], widths, shown, out);
        print_rest(slot, &cells->items[i], out);
    }
}

static void print_fact(const struct explained *explained, const struct slot *slot,
                       const struct value *value, FILE *out)
{
    if (value->state == VALUE_OPEN)
        return;
    if (slot->type == FACT_ROWS && value->set.count > 0) {
        print_rows(explained, slot, &value->set, out);
        return;
    }
    const char *text = value_show(explained->arena, slot, value);
    const char *quote = text[0] == '\0' || strchr(text, ' ') != NULL ? "\"" : "";
    fprintf(out, "  %-22s %s", slot->name, quote);
    cli_put_clean(text, out);
    fprintf(out, "%s%s\n", quote, value->state == VALUE_FAULT ? "   (could not be found out)" : "");
}

static void print_facts(const struct explained *explained, const struct value *values, FILE *out)
{
    for (slot_t i = 0; i < explained->layout->count; i++)
        if (explained->layout->slots[i].row != NULL)
            print_fact(explained, &explained->layout->slots[i], &values[i], out);
}

static void print_reply(const char *reply, const char *before, FILE *out)
{
    const char *line = reply;
    while (line != NULL && *line != '\0') {
        const char *end = strstr(line, "\r\n");
        int length = end != NULL ? (int)(end - line) : (int)strlen(line);
        fprintf(out, "%s%.*s\n", before, length, line);
        line = end != NULL ? end + 2 : NULL;
    }
}

static const char *verdict_style(const char *verdict, FILE *out)
{
    return term_style(out, strcmp(verdict, "reject") == 0   ? TERM_BAD
                           : strcmp(verdict, "accept") == 0 ? TERM_GOOD
                                                            : TERM_DOUBT);
}

static void print_heading(const char *text, FILE *out)
{
    fprintf(out, "%s%s%s\n", term_style(out, TERM_STRONG), text, term_style(out, TERM_PLAIN));
}

static void print_step(const struct explained *explained, const struct explained_step *step,
                       FILE *out)
{
    const struct rule *rule = rule_named(explained, step->rule);
    fputs("  > ", out);
    cli_put_clean(step->what, out);
    fputc('\n', out);
    if (step->refused)
        print_reply(step->reply, "  < ", out);
    else
        fprintf(out, "  < %s\n", step->stage == STAGE_MESSAGE ? "250 taken" : "250 goes on");
    const char *style = verdict_style(step->verdict, out), *plain = term_style(out, TERM_PLAIN);
    if (rule != NULL)
        fprintf(out, "    %s%s%s by rule %s (%s:%u)\n", style, step->verdict, plain, rule->name,
                rule->file, rule->line);
    else if (step->rule[0] != '\0')
        fprintf(out, "    %s%s%s by %s\n", style, step->verdict, plain, step->rule);
    if (step->observed && step->reply == NULL)
        fprintf(out, "    listen %s only observes: the message stays as it is\n",
                explained->listener);
    if (step->observed && step->reply != NULL) {
        fprintf(out, "    listen %s only observes; with mode enforce:\n", explained->listener);
        print_reply(step->reply, "      < ", out);
    }
    if (step->reason != NULL)
        fprintf(out, "    held: %s\n", step->reason);
    for (size_t i = 0; step->fired != NULL && step->fired[i] != NULL; i++)
        fprintf(out, "    %sobserved%s: rule %s (%s:%u) is true\n", term_style(out, TERM_DOUBT),
                plain, step->fired[i]->name, step->fired[i]->file, step->fired[i]->line);
    for (size_t i = 0; i < step->header_count; i++)
        fprintf(out, "    header added: %s\n", step->headers[i]);
}

static void print_all_facts(const struct explained *explained, FILE *out)
{
    print_heading("facts", out);
    print_facts(explained, explained->facts, out);
    for (size_t i = 0; i < explained->step_count; i++) {
        const struct explained_step *step = &explained->steps[i];
        if (step->facts == NULL)
            continue;
        fputs("facts of recipient <", out);
        cli_put_clean(step->recipient, out);
        fputs(">\n", out);
        print_facts(explained, step->facts, out);
    }
}

void explain_print_text(const struct explained *explained, bool brief, FILE *out)
{
    if (!brief) {
        print_all_facts(explained, out);
        print_heading("why", out);
        explain_print_why(explained, out);
        print_heading("dialogue", out);
    }
    for (size_t i = 0; i < explained->step_count; i++)
        print_step(explained, &explained->steps[i], out);
    if (!explained->message_given && summary(explained)->reply == NULL)
        fputs("  > DATA\n  < 354 (no --message was given: rules of the message were not tried)\n",
              out);
}

/* ---- JSON ---- */

static json_t *json_text(const char *text)
{
    json_t *string = json_string(text);
    /* Bytes that are no UTF-8 are no JSON either. */
    return string != NULL ? string : json_string("?");
}

/* An object a row, without the cells that are empty. */
static json_t *json_of_rows(const struct slot *slot, const struct text_set *cells)
{
    json_t *array = json_array();
    json_t *row = NULL;
    for (size_t i = 0; i < cells->count; i++) {
        if (i % slot->word_count == 0) {
            row = json_object();
            json_array_append_new(array, row);
        }
        if (cells->items[i][0] != '\0')
            json_object_set_new(row, slot->words[i % slot->word_count], json_text(cells->items[i]));
    }
    return array;
}

static json_t *json_of(const struct explained *explained, const struct slot *slot,
                       const struct value *value)
{
    bool known = value->state == VALUE_KNOWN;
    switch ((enum fact_type)slot->type) {
    case FACT_WORD:
        /* A fact in fault need not have a word for that. */
        if (value->state != VALUE_OPEN && value->word < slot->word_count)
            return json_string(slot->words[value->word]);
        break;
    case FACT_BOOL:
        if (known)
            return json_boolean(value->low != 0);
        break;
    case FACT_NUMBER:
        if (known)
            return json_integer(value->low);
        break;
    case FACT_SET:
        if (known) {
            json_t *array = json_array();
            for (size_t i = 0; i < value->set.count; i++)
                json_array_append_new(array, json_text(value->set.items[i]));
            return array;
        }
        break;
    case FACT_ROWS:
        if (known)
            return json_of_rows(slot, &value->set);
        break;
    case FACT_TEXT:
    case FACT_DOMAIN:
    case FACT_LOCAL_PART:
    case FACT_ADDRESS:
    case FACT_IP:
        if (known)
            return json_text(value_show(explained->arena, slot, value));
        break;
    }
    return json_null();
}

static void add_facts(const struct explained *explained, const struct value *values, json_t *object)
{
    for (slot_t i = 0; i < explained->layout->count; i++)
        if (explained->layout->slots[i].row != NULL && values[i].state != VALUE_OPEN)
            json_object_set_new(object, explained->layout->slots[i].name,
                                json_of(explained, &explained->layout->slots[i], &values[i]));
}

static void add_outcome(json_t *object, const struct explained_step *step)
{
    json_object_set_new(object, "verdict", json_string(step->verdict));
    json_object_set_new(object, "rule",
                        step->rule[0] != '\0' ? json_string(step->rule) : json_null());
    json_t *observed = json_array();
    for (size_t i = 0; step->fired != NULL && step->fired[i] != NULL; i++)
        json_array_append_new(observed, json_string(step->fired[i]->name));
    json_object_set_new(object, "observed", observed);
    json_object_set_new(object, "stage", json_string(stage_name(step->stage)));
    json_object_set_new(object, "reply",
                        step->reply != NULL ? json_string(step->reply) : json_null());
}

void explain_print_json(const struct explained *explained, FILE *out)
{
    json_t *root = json_object();
    json_t *facts = json_object();
    json_t *recipients = json_array();
    add_facts(explained, explained->facts, facts);
    bool first = true;
    for (size_t i = 0; i < explained->step_count; i++) {
        const struct explained_step *step = &explained->steps[i];
        if (step->recipient == NULL)
            continue;
        json_t *recipient = json_object();
        json_t *own = json_object();
        json_object_set_new(recipient, "rcpt", json_text(step->recipient));
        add_outcome(recipient, step);
        add_facts(explained, step->facts, own);
        json_object_set_new(recipient, "facts", own);
        json_array_append_new(recipients, recipient);
        if (first)
            add_facts(explained, step->facts, facts);
        first = false;
    }
    json_object_set_new(root, "facts", facts);
    add_outcome(root, summary(explained));
    json_object_set_new(root, "recipients", recipients);
    json_dumpf(root, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(root);
}
