/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>
#include <yaml.h>

#include <postern/arena.h>

#include "../../src/checks/checks_private.h"
#include "probe_bench.h"

/*
 * The openspf test suite for RFC 7208, as Debian's golang-blitiri-go-spf-dev installs it.  Its own
 * "skip" remarks are about another implementation: every case is run here.
 */
static const char suite_path[] =
    "/usr/share/gocode/src/blitiri.com.ar/go/spf/testdata/rfc7208-tests.yml";
enum { SUITE_CASES = 203, DATA_MAX = 64, CNAMES_MAX = 8 };

/* One document of the suite. */
struct scenario {
    yaml_document_t document;
    yaml_node_t *zone;
    struct arena *arena;
};

/* ---- YAML ---- */

static yaml_node_t *node(struct scenario *scenario, int number)
{
    return yaml_document_get_node(&scenario->document, number);
}

static const char *text_of(const yaml_node_t *scalar)
{
    assert_int_equal(scalar->type, YAML_SCALAR_NODE);
    return (const char *)scalar->data.scalar.value;
}

static yaml_node_t *member(struct scenario *scenario, yaml_node_t *mapping, const char *key)
{
    yaml_node_pair_t *pair;

    assert_int_equal(mapping->type, YAML_MAPPING_NODE);
    for (pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++)
        if (strcasecmp(text_of(node(scenario, pair->key)), key) == 0)
            return node(scenario, pair->value);
    return NULL;
}

static const char *member_text(struct scenario *scenario, yaml_node_t *mapping, const char *key)
{
    yaml_node_t *found = member(scenario, mapping, key);

    return found != NULL ? text_of(found) : "";
}

/* ---- the zone data as a DNS ---- */

/* Records of a name, of which each is a mapping with one key, its type. */
struct rows {
    yaml_node_t *items[DATA_MAX];
    size_t count;
    bool named;   /* there was a row of the type, even "NONE" */
    bool timeout; /* what is not there is not answered in time */
};

static void find_rows(struct scenario *scenario, yaml_node_t *list, const char *type,
                      struct rows *rows)
{
    yaml_node_item_t *item;

    for (item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
        yaml_node_pair_t *pair = node(scenario, *item)->data.mapping.pairs.start;
        const char *key = text_of(node(scenario, pair->key));
        yaml_node_t *value = node(scenario, pair->value);

        if (strcmp(key, "TIMEOUT") == 0 || strcmp(key, "CNAMELOOP") == 0)
            rows->timeout = true;
        if (strcmp(key, type) != 0)
            continue;
        rows->named = true;
        if (value->type == YAML_SCALAR_NODE && strcmp(text_of(value), "NONE") == 0)
            continue;
        assert_true(rows->count < DATA_MAX);
        rows->items[rows->count++] = value;
    }
}

/* A TXT record is a string, or a list of them that are joined. */
static void read_txt(struct scenario *scenario, yaml_node_t *value, struct dns_record *record)
{
    char *text = arena_alloc(scenario->arena, 4096);
    yaml_node_item_t *item;

    record->text = text;
    if (value->type == YAML_SCALAR_NODE) {
        record->length = value->data.scalar.length;
        assert_true(record->length < 4096);
        memcpy(text, value->data.scalar.value, record->length);
        return;
    }
    for (item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++)
        strcat(text, text_of(node(scenario, *item)));
    record->length = strlen(text);
}

static const char *without_dot(struct scenario *scenario, const char *name)
{
    size_t length = strlen(name);

    return arena_strndup(scenario->arena, name,
                         length > 0 && name[length - 1] == '.' ? length - 1 : length);
}

static void read_record(struct scenario *scenario, enum dns_type type, yaml_node_t *value,
                        struct dns_record *record)
{
    yaml_node_item_t *items;

    *record = (struct dns_record){.name = "", .text = ""};
    switch (type) {
    case DNS_TXT:
        read_txt(scenario, value, record);
        break;
    case DNS_A:
    case DNS_AAAA:
        assert_true(addr_parse(text_of(value), &record->addr));
        break;
    case DNS_MX:
        items = value->data.sequence.items.start;
        record->preference = (uint16_t)atoi(text_of(node(scenario, items[0])));
        record->name = without_dot(scenario, text_of(node(scenario, items[1])));
        break;
    default:
        record->name = without_dot(scenario, text_of(value));
    }
}

/* The suite writes SPF where it means both SPF and TXT, unless there is TXT as well. */
static void find_type(struct scenario *scenario, yaml_node_t *list, enum dns_type type,
                      struct rows *rows)
{
    find_rows(scenario, list, dns_type_name(type), rows);
    if (type == DNS_TXT && !rows->named)
        find_rows(scenario, list, "SPF", rows);
}

static const struct dns_answer *answer(void *arg, const char *name, enum dns_type type)
{
    struct scenario *scenario = arg;
    struct dns_record records[DATA_MAX];
    struct dns_answer draft = {.name = name, .type = type, .records = records};
    struct rows rows = {.count = 0};
    yaml_node_t *list = NULL;
    unsigned hop;

    for (hop = 0; hop < CNAMES_MAX; hop++) {
        struct rows alias = {.count = 0};

        list = member(scenario, scenario->zone, without_dot(scenario, name));
        if (list == NULL)
            break;
        find_rows(scenario, list, "CNAME", &alias);
        if (alias.count == 0)
            break;
        name = text_of(alias.items[0]);
    }
    if (list == NULL) {
        draft.status = DNS_NO_NAME;
        return dns_answer_new(&draft);
    }
    find_type(scenario, list, type, &rows);
    for (; draft.count < rows.count; draft.count++)
        read_record(scenario, type, rows.items[draft.count], &records[draft.count]);
    draft.status = draft.count > 0 ? DNS_FOUND : rows.timeout ? DNS_FAULT : DNS_NO_DATA;
    draft.problem = draft.status == DNS_FAULT ? "time-out" : "";
    return dns_answer_new(&draft);
}

/* ---- cases ---- */

/* RESULT of the suite is one word or a list of words. */
static bool is_among(struct scenario *scenario, yaml_node_t *result, const char *found)
{
    yaml_node_item_t *item;

    if (result->type == YAML_SCALAR_NODE)
        return strcmp(text_of(result), found) == 0;
    for (item = result->data.sequence.items.start; item < result->data.sequence.items.top; item++)
        if (strcmp(text_of(node(scenario, *item)), found) == 0)
            return true;
    return false;
}

static bool run_case(struct scenario *scenario, struct bench *bench, const char *name,
                     yaml_node_t *test, bool last_first, bool at_once)
{
    yaml_node_t *explanation = member(scenario, test, "explanation");
    struct inputs inputs = bench_inputs();
    const char *facts, *found, *wanted;
    bool good;

    inputs.helo = member_text(scenario, test, "helo");
    assert_true(addr_parse(member_text(scenario, test, "host"), &inputs.client));
    inputs.sender =
        mailbox_parse(scenario->arena, arena_printf(scenario->arena, "<%s>",
                                                    member_text(scenario, test, "mailfrom")));
    bench_dns_at_once(bench, at_once);
    facts = bench_run(bench, "spf", &inputs, last_first);
    found = bench_fact(bench, "spf.result");
    good = is_among(scenario, member(scenario, test, "result"), found + (found[0] == '~'));
    if (explanation != NULL) {
        wanted = text_of(explanation);
        if (strcmp(wanted, "DEFAULT") == 0)
            wanted = "";
        good = good && strcmp(bench_fact(bench, "spf.explanation"), wanted) == 0;
    }
    if (!good)
        print_error("%s: %s\n", name, facts);
    return good;
}

/* Runs all cases of one document; each passes whenever and in whichever order the answers come. */
static void run_scenario(struct scenario *scenario, unsigned *run, unsigned *passed)
{
    struct bench *bench = bench_new(&check_spf, NULL, "hostname receiver.example.org;", NULL);
    yaml_node_t *root = yaml_document_get_root_node(&scenario->document);
    yaml_node_t *tests = member(scenario, root, "tests");
    yaml_node_pair_t *pair;

    scenario->zone = member(scenario, root, "zonedata");
    bench_dns_by(bench, answer, scenario);
    for (pair = tests->data.mapping.pairs.start; pair < tests->data.mapping.pairs.top; pair++) {
        const char *name = text_of(node(scenario, pair->key));
        yaml_node_t *test = node(scenario, pair->value);

        ++*run;
        if (run_case(scenario, bench, name, test, false, false) &&
            run_case(scenario, bench, name, test, true, false) &&
            run_case(scenario, bench, name, test, false, true))
            ++*passed;
    }
    bench_free(bench);
}

static void test_suite(void **state)
{
    FILE *file = fopen(suite_path, "r");
    unsigned run = 0, passed = 0;
    yaml_parser_t parser;
    bool more = true;

    (void)state;
    if (file == NULL)
        fail_msg("%s is missing: install golang-blitiri-go-spf-dev", suite_path);
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_file(&parser, file);
    while (more) {
        struct scenario scenario = {.arena = arena_new()};

        if (!yaml_parser_load(&parser, &scenario.document))
            fail_msg("%s: %s in line %zu", suite_path, parser.problem, parser.problem_mark.line);
        more = yaml_document_get_root_node(&scenario.document) != NULL;
        if (more)
            run_scenario(&scenario, &run, &passed);
        yaml_document_delete(&scenario.document);
        arena_free(scenario.arena);
    }
    yaml_parser_delete(&parser);
    fclose(file);
    print_message("%u of %u cases\n", passed, run);
    assert_int_equal(run, SUITE_CASES);
    assert_int_equal(passed, SUITE_CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
