/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <postern/clock.h>
#include <postern/words.h>

/* A rule while it is read. */
struct rule_parse {
    struct policy_builder *builder;
    struct lexer *lexer;
    struct rule_entry *entry;
    struct token statement;
};

/* Takes what follows the statement's name, without the ';'; false when that was not possible
 * (reported). */
typedef bool parse_function(struct rule_parse *parse);

struct statement {
    const char *name;
    parse_function *parse;
    bool is_outcome;
};

static bool parse_when(struct rule_parse *parse)
{
    return parse_condition(parse->builder, parse->lexer, &parse->entry->cond);
}

static bool parse_accept(struct rule_parse *parse)
{
    parse->entry->rule.outcome = OUTCOME_ACCEPT;
    return true;
}

/* One string, or several that are put together. */
static bool parse_text(struct rule_parse *parse, const char *what, const char **text,
                       struct place *at)
{
    struct lexer *lexer = parse->lexer;
    struct token token;

    if (lexer_peek(lexer)->kind != TOKEN_STRING && lexer_peek(lexer)->kind != TOKEN_RAW) {
        lexer_expect(lexer, TOKEN_STRING, what);
        return false;
    }
    token = lexer_next(lexer);
    *text = token.text;
    if (at != NULL)
        *at = token.at;
    while (lexer_peek(lexer)->kind == TOKEN_STRING || lexer_peek(lexer)->kind == TOKEN_RAW) {
        token = lexer_next(lexer);
        *text = arena_printf(parse->builder->arena, "%s%s", *text, token.text);
    }
    return true;
}

static bool read_code(const char *text, int *code)
{
    if (strspn(text, "0123456789") != 3 || text[3] != '\0')
        return false;
    *code = (int)strtol(text, NULL, 10);
    return *code >= 400 && *code <= 599;
}

/* "5.1.1" (RFC 3463 2): a class and two numbers of at most three digits, without leading zeros. */
static bool read_enhanced(const char *text, int enhanced[3])
{
    size_t i;

    for (i = 0; i < 3; i++) {
        size_t digits = strspn(text, "0123456789");

        if (digits < 1 || digits > 3 || (digits > 1 && text[0] == '0'))
            return false;
        enhanced[i] = (int)strtol(text, NULL, 10);
        text += digits;
        if (*text++ != (i < 2 ? '.' : '\0'))
            return false;
    }
    return enhanced[0] == 4 || enhanced[0] == 5;
}

static bool parse_reply(struct rule_parse *parse)
{
    struct rule *rule = &parse->entry->rule;
    struct policy_builder *builder = parse->builder;
    struct token token;

    rule->outcome = OUTCOME_REPLY;
    if (!take_text(builder, parse->lexer, false, "a reply code such as 550", &token))
        return false;
    if (!read_code(token.text, &rule->code)) {
        builder_error(builder, &token.at,
                      "'%s' is no reply code; 4xx defers and 5xx refuses the mail", token.text);
        return false;
    }
    if (!take_text(builder, parse->lexer, false, "an enhanced status code such as 5.1.1", &token))
        return false;
    if (!read_enhanced(token.text, rule->enhanced)) {
        builder_error(builder, &token.at,
                      "'%s' is no enhanced status code; write one such as %d.7.1", token.text,
                      rule->code / 100);
        return false;
    }
    return parse_text(parse, "the reply's text in quotes", &rule->text, &rule->text_at);
}

static bool parse_quarantine(struct rule_parse *parse)
{
    struct rule *rule = &parse->entry->rule;

    rule->outcome = OUTCOME_QUARANTINE;
    return parse_text(parse, "the reason in quotes", &rule->text, &rule->text_at);
}

static bool parse_header_outcome(struct rule_parse *parse)
{
    struct rule *rule = &parse->entry->rule;

    rule->outcome = OUTCOME_HEADER;
    return parse_text(parse, "\"Name: value\"", &rule->text, &rule->text_at);
}

static bool parse_observe(struct rule_parse *parse)
{
    parse->entry->rule.observe = true;
    return true;
}

static bool parse_share(struct rule_parse *parse)
{
    struct token token;
    char *end;
    long share;

    if (!take_text(parse->builder, parse->lexer, false, "a percentage such as 10%", &token))
        return false;
    share = strtol(token.text, &end, 10);
    if (end == token.text || strcmp(end, "%") != 0 || share < 1 || share > 100) {
        builder_error(parse->builder, &token.at,
                      "'%s' is no share; write 1%% to 100%%, or 'observe;' for none", token.text);
        return false;
    }
    parse->entry->rule.share = (unsigned)share;
    return true;
}

static bool parse_until(struct rule_parse *parse)
{
    struct token token;

    if (!take_text(parse->builder, parse->lexer, false, "a date such as 2026-12-31", &token))
        return false;
    parse->entry->rule.until = clock_parse_day(token.text);
    if (parse->entry->rule.until < 0) {
        builder_error(parse->builder, &token.at, "'%s' is no date; write one such as 2026-12-31",
                      token.text);
        return false;
    }
    return true;
}

static bool parse_on_fault(struct rule_parse *parse)
{
    struct token token;

    if (!take_text(parse->builder, parse->lexer, false, "'defer'", &token))
        return false;
    if (!token_is(&token, "defer")) {
        builder_error(parse->builder, &token.at, "on_fault can only be 'defer', not '%s'",
                      token.text);
        return false;
    }
    parse->entry->rule.on_fault_defer = true;
    return true;
}

static bool parse_late(struct rule_parse *parse)
{
    parse->entry->rule.late = true;
    return true;
}

static bool parse_local(struct rule_parse *parse)
{
    parse->entry->rule.local = true;
    return true;
}

static bool parse_owner(struct rule_parse *parse)
{
    return parse_text(parse, "the owner in quotes", &parse->entry->rule.owner, NULL);
}

static bool parse_note(struct rule_parse *parse)
{
    return parse_text(parse, "the note in quotes", &parse->entry->rule.note, NULL);
}

static const struct statement statements[] = {
    {"when", parse_when, false},
    {"accept", parse_accept, true},
    {"reply", parse_reply, true},
    {"quarantine", parse_quarantine, true},
    {"header", parse_header_outcome, true},
    {"observe", parse_observe, false},
    {"share", parse_share, false},
    {"until", parse_until, false},
    {"on_fault", parse_on_fault, false},
    {"late", parse_late, false},
    {"local", parse_local, false},
    {"owner", parse_owner, false},
    {"note", parse_note, false},
};

enum { STATEMENTS = sizeof(statements) / sizeof(statements[0]) };

/* What people write who come from other languages. */
static const struct {
    const char *word, *advice;
} advices[] = {
    {"reject", "to refuse, write: reply 550 5.7.1 \"why\";"},
    {"deny", "to refuse, write: reply 550 5.7.1 \"why\";"},
    {"refuse", "to refuse, write: reply 550 5.7.1 \"why\";"},
    {"defer", "to defer, write: reply 451 4.7.1 \"why\";"},
    {"tempfail", "to defer, write: reply 451 4.7.1 \"why\";"},
    {"discard", "nothing is discarded in silence; write reply, or quarantine \"why\";"},
    {"drop", "nothing is discarded in silence; write reply, or quarantine \"why\";"},
    {"hold", "to hold mail, write: quarantine \"why\";"},
    {"allow", "to exempt from the rules below, write: accept;"},
    {"permit", "to exempt from the rules below, write: accept;"},
    {"pass", "to exempt from the rules below, write: accept;"},
    {"mode", "'observe;' makes a rule only watch; 'mode' is said in the listen block, for all of "
             "them"},
    {"if", "the condition is written: when ...;"},
    {"log", "every verdict is recorded; a rule that only records says 'observe;'"},
    {"warn", "every verdict is recorded; a rule that only records says 'observe;'"},
    {"prepend", "to mark mail, write: header \"Name: value\";"},
    {"tag", "to mark mail, write: header \"Name: value\";"},
};

static const char *advice_for(const struct token *word)
{
    size_t i;

    for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        if (strcasecmp(word->text, advices[i].word) == 0)
            return advices[i].advice;
    return NULL;
}

static const struct statement *find_statement(struct rule_parse *parse)
{
    const char *names[STATEMENTS];
    const char *advice = advice_for(&parse->statement);
    const char *nearest;
    size_t i;

    for (i = 0; i < STATEMENTS; i++) {
        if (token_is(&parse->statement, statements[i].name))
            return &statements[i];
        names[i] = statements[i].name;
    }
    nearest = words_nearest(parse->statement.text, names, STATEMENTS);
    if (advice != NULL)
        builder_error(parse->builder, &parse->statement.at, "'%s' cannot stand in a rule; %s",
                      parse->statement.text, advice);
    else if (nearest != NULL)
        builder_error(parse->builder, &parse->statement.at,
                      "'%s' cannot stand in a rule; did you mean '%s'?", parse->statement.text,
                      nearest);
    else
        builder_error(parse->builder, &parse->statement.at, "'%s' cannot stand in a rule",
                      parse->statement.text);
    return NULL;
}

/* Whether the statement may still come; SEEN has one bit for each that came. */
static bool first_of_its_kind(struct rule_parse *parse, const struct statement *found,
                              unsigned *seen)
{
    unsigned bit = 1U << (found - statements);
    const char *name = parse->entry->rule.name;
    size_t i;

    if (*seen & bit) {
        builder_error(parse->builder, &parse->statement.at, "rule '%s' has '%s' twice", name,
                      found->name);
        return false;
    }
    for (i = 0; i < STATEMENTS && found->is_outcome; i++) {
        if (statements[i].is_outcome && *seen & 1U << i) {
            builder_error(parse->builder, &parse->statement.at,
                          "rule '%s' has two outcomes, '%s' and '%s'; make two rules of it", name,
                          statements[i].name, found->name);
            return false;
        }
    }
    *seen |= bit;
    return true;
}

/* One statement with its ';'.  False after an error. */
static bool parse_statement(struct rule_parse *parse, unsigned *seen)
{
    const struct statement *found;

    if (!take_text(parse->builder, parse->lexer, false, "a statement or '}'", &parse->statement)) {
        lexer_skip_statement(parse->lexer);
        return false;
    }
    found = find_statement(parse);
    if (found == NULL || !first_of_its_kind(parse, found, seen) || !found->parse(parse) ||
        !lexer_expect(parse->lexer, TOKEN_SEMICOLON, "';'")) {
        lexer_skip_statement(parse->lexer);
        return false;
    }
    return true;
}

static void check_whole(struct rule_parse *parse, unsigned seen)
{
    struct rule *rule = &parse->entry->rule;
    bool outcome = false;
    size_t i;

    for (i = 0; i < STATEMENTS; i++)
        outcome = outcome || (statements[i].is_outcome && seen & 1U << i);
    if (!outcome)
        builder_error(parse->builder, &rule->at,
                      "rule '%s' has no outcome: accept, reply, quarantine or header", rule->name);
    if (!(seen & 1U))
        builder_error(parse->builder, &rule->at,
                      "rule '%s' has no condition; write 'when true;' if it is meant for all mail",
                      rule->name);
    if (rule->outcome == OUTCOME_HEADER && rule->on_fault_defer)
        builder_error(parse->builder, &rule->at,
                      "rule '%s' only adds a header, so 'on_fault defer' has no place in it",
                      rule->name);
    parse->entry->complete = outcome && (seen & 1U);
}

static bool name_rule(struct policy_builder *builder, const struct token *name)
{
    const struct rule_entry *entries = builder->rules.items;
    uint32_t number = (uint32_t)builder->rules.count;

    if (!good_name(name->text)) {
        builder_error(builder, &name->at,
                      "'%s' cannot be the name of a rule; it may have letters, digits and . _ -",
                      name->text);
        return false;
    }
    if (!name_index_add(builder->rule_names, name->text, number)) {
        number = name_index_find(builder->rule_names, name->text);
        builder_error(builder, &name->at, "there is a rule '%s' already, at %s", name->text,
                      place_text(builder->arena, &entries[number].rule.at));
        return false;
    }
    return true;
}

static const char *file_name(const struct place *at)
{
    const char *slash = at->source != NULL ? strrchr(at->source->path, '/') : NULL;

    if (slash != NULL)
        return slash + 1;
    return at->source != NULL ? at->source->path : "";
}

/* Takes the '}'.  Behind an error in the rule, such as a string that has swallowed it, it is not
 * missed. */
static bool close_rule(struct rule_parse *parse, bool good)
{
    if (lexer_accept(parse->lexer, TOKEN_CLOSE))
        return true;
    if (good)
        builder_error(parse->builder, &parse->entry->rule.at, "rule '%s' has no closing '}'",
                      parse->entry->rule.name);
    return false;
}

void policy_parse_rule(struct policy_builder *builder, struct lexer *lexer,
                       const struct token *head)
{
    struct rule_parse parse = {.builder = builder, .lexer = lexer};
    unsigned seen = 0;
    bool good = true;
    struct token name;
    struct rule *rule;

    (void)head;
    if (!take_text(builder, lexer, false, "the name of the rule", &name) ||
        !name_rule(builder, &name)) {
        builder->rule_lost = true;
        lexer_skip_statement(lexer);
        return;
    }
    parse.entry = list_add(builder->arena, &builder->rules, sizeof(*parse.entry));
    rule = &parse.entry->rule;
    rule->name = name.text;
    rule->at = name.at;
    rule->file = file_name(&name.at);
    rule->line = name.at.line;
    rule->share = 100;
    if (!lexer_expect(lexer, TOKEN_OPEN, "'{'")) {
        builder->failed = builder->rule_lost = true;
        lexer_skip_statement(lexer);
        return;
    }
    while (lexer_peek(lexer)->kind != TOKEN_CLOSE && lexer_peek(lexer)->kind != TOKEN_END &&
           !lexer_at_statement(lexer))
        good = parse_statement(&parse, &seen) && good;
    if (!close_rule(&parse, good))
        good = false;
    if (good)
        check_whole(&parse, seen);
    if (!good || !parse.entry->complete)
        builder->failed = builder->rule_lost = true;
}
