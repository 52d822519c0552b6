/* SPDX-License-Identifier: MIT */
#include <postern/results.h>

#include <string.h>
#include <strings.h>

#include <postern/arena.h>

#include "words.h"

enum { METHODS = 6, ROWS_MAX = 50 };

enum fact {
    SPF_RESULT,
    SPF_DOMAIN,
    SPF_HELO,
    SPF_PROBLEM,
    SPF_MECHANISM,
    DKIM_RESULT,
    DKIM_SIGNATURES,
    DMARC_RESULT,
    DMARC_POLICY,
    FROM_DOMAIN,
    ARC_RESULT,
    ARC_OLDEST,
    CLIENT_RDNS,
    CLIENT_NAME,
    DNSBL_LISTS,
    DNSBL_ANSWERS,
    FACT_COUNT,
};

static const struct {
    const char *name;
    unsigned method;
} facts[FACT_COUNT] = {
    [SPF_RESULT] = {"spf.result", RESULTS_SPF},
    [SPF_DOMAIN] = {"spf.domain", RESULTS_SPF},
    [SPF_HELO] = {"spf.helo", RESULTS_SPF},
    [SPF_PROBLEM] = {"spf.problem", RESULTS_SPF},
    [SPF_MECHANISM] = {"spf.mechanism", RESULTS_SPF},
    [DKIM_RESULT] = {"dkim.result", RESULTS_DKIM},
    [DKIM_SIGNATURES] = {"dkim.signatures", RESULTS_DKIM},
    [DMARC_RESULT] = {"dmarc.result", RESULTS_DMARC},
    [DMARC_POLICY] = {"dmarc.policy", RESULTS_DMARC},
    [FROM_DOMAIN] = {"from.domain", RESULTS_DMARC},
    [ARC_RESULT] = {"arc.result", RESULTS_ARC},
    [ARC_OLDEST] = {"arc.oldest_pass", RESULTS_ARC},
    [CLIENT_RDNS] = {"client.rdns", RESULTS_IPREV},
    [CLIENT_NAME] = {"client.name", RESULTS_IPREV},
    [DNSBL_LISTS] = {"dnsbl.lists", RESULTS_DNSWL},
    [DNSBL_ANSWERS] = {"dnsbl.answers", RESULTS_DNSWL},
};

struct results {
    const struct layout *layout;
    unsigned methods;
    bool received_spf;
    const struct results_list *lists;
    size_t list_count;
    slot_t of[FACT_COUNT]; /* SLOT_NONE: the program has no such fact */
    slot_t slots[FACT_COUNT];
    size_t slot_count;
};

const char *results_word(unsigned i)
{
    static const char *const words[METHODS] = {"spf", "dkim", "dmarc", "arc", "iprev", "dnswl"};

    return i < METHODS ? words[i] : NULL;
}

struct results *results_new(struct arena *arena, const struct layout *layout, unsigned methods,
                            bool received_spf, const struct results_list *lists, size_t list_count)
{
    struct results *results = arena_alloc(arena, sizeof(*results));
    unsigned shown = methods | (received_spf ? RESULTS_SPF : 0);

    *results = (struct results){.layout = layout,
                                .methods = methods,
                                .received_spf = received_spf,
                                .lists = lists,
                                .list_count = list_count};
    for (int i = 0; i < FACT_COUNT; i++) {
        results->of[i] = SLOT_NONE;
        if ((shown & facts[i].method) != 0)
            results->of[i] = layout_find(layout, facts[i].name);
        if (results->of[i] != SLOT_NONE)
            results->slots[results->slot_count++] = results->of[i];
    }
    return results;
}

size_t results_slots(const struct results *results, const slot_t **slots)
{
    *slots = results->slots;
    return results->slot_count;
}

/* ---- facts as they are ---- */

struct writer {
    struct arena *arena;
    const struct results *results;
    const struct results_values *values;
    struct folded folded;
    bool first; /* no method yet */
};

static bool has(const struct writer *writer, enum fact fact)
{
    return writer->results->of[fact] != SLOT_NONE;
}

static const struct slot *slot_of(const struct writer *writer, enum fact fact)
{
    return &writer->results->layout->slots[writer->results->of[fact]];
}

static const struct value *value_of(const struct writer *writer, enum fact fact)
{
    return view_value(writer->results->layout, writer->values->view, writer->results->of[fact]);
}

/* The fact as a text; "" where it is not known. */
static const char *text_of(const struct writer *writer, enum fact fact)
{
    const struct slot *slot;
    const struct value *value;

    if (!has(writer, fact))
        return "";
    slot = slot_of(writer, fact);
    value = value_of(writer, fact);
    if (slot->type == FACT_WORD && value->state == VALUE_FAULT)
        return "temperror";
    if (value->state != VALUE_KNOWN)
        return "";
    return slot->type == FACT_DOMAIN ? value->text : value_show(writer->arena, slot, value);
}

/* A result word; what could not be found out, or has no word, is a temporary error. */
static const char *word_of(const struct writer *writer, enum fact fact)
{
    const char *word = text_of(writer, fact);

    return word[0] != '\0' ? word : "temperror";
}

/* The column of a row, "" where there is no such column. */
static const char *cell(const struct slot *slot, const char *const *row, const char *column)
{
    int number = slot_word(slot, column);

    return number >= 0 ? row[number] : "";
}

/* ---- one method ---- */

static void begin(struct writer *writer, unsigned method, const char *result)
{
    const char *word = results_word(method);

    /* The ';' before a method stands at the end of the line above. */
    str_add_char(&writer->folded.text, ';');
    folded_break(&writer->folded);
    folded_word(&writer->folded, arena_join(writer->arena, word, "=", result));
    writer->first = false;
}

static void add(struct writer *writer, const char *key, const char *value)
{
    if (value[0] != '\0')
        folded_pair(&writer->folded, key, value, "");
}

static void put_spf(struct writer *writer)
{
    const char *result = word_of(writer, SPF_RESULT);
    const char *helo = text_of(writer, SPF_HELO);
    bool null = writer->values->sender->null;

    begin(writer, 0, result);
    add(writer, "reason", text_of(writer, SPF_PROBLEM));
    add(writer, null ? "smtp.helo" : "smtp.mailfrom", text_of(writer, SPF_DOMAIN));
    /* A name in HELO without a record is the rule, and no news. */
    if (null || helo[0] == '\0' || strcmp(helo, "none") == 0)
        return;
    begin(writer, 0, helo);
    add(writer, "smtp.helo", writer->values->helo);
}

static void put_signature(struct writer *writer, const struct slot *slot, const char *const *row)
{
    static const struct {
        const char *key, *column;
    } properties[] = {{"header.d", "domain"},
                      {"header.s", "selector"},
                      {"header.a", "algorithm"},
                      {"header.i", "identity"},
                      {"header.b", "b"}};
    const char *result = cell(slot, row, "result");

    begin(writer, 1, result[0] != '\0' ? result : "neutral");
    if (strcmp(result, "pass") != 0)
        add(writer, "reason", cell(slot, row, "reason"));
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
        add(writer, properties[i].key, cell(slot, row, properties[i].column));
}

static void put_dkim(struct writer *writer)
{
    const struct slot *slot =
        has(writer, DKIM_SIGNATURES) ? slot_of(writer, DKIM_SIGNATURES) : NULL;
    size_t rows = 0;

    if (slot != NULL && slot->type == FACT_ROWS) {
        const struct text_set *cells = &value_of(writer, DKIM_SIGNATURES)->set;
        for (; rows < cells->count / slot->word_count && rows < ROWS_MAX; rows++)
            put_signature(writer, slot, &cells->items[rows * slot->word_count]);
    }
    if (rows == 0)
        begin(writer, 1, word_of(writer, DKIM_RESULT));
}

static void put_dmarc(struct writer *writer)
{
    const char *result = word_of(writer, DMARC_RESULT);

    begin(writer, 2, result);
    add(writer, "header.from", text_of(writer, FROM_DOMAIN));
    if (strcmp(result, "pass") == 0 || strcmp(result, "fail") == 0)
        add(writer, "policy.dmarc", text_of(writer, DMARC_POLICY));
}

static void put_arc(struct writer *writer)
{
    const char *result = word_of(writer, ARC_RESULT);
    char ip[ADDR_TEXT_SIZE];

    begin(writer, 3, result);
    if (strcmp(result, "none") == 0)
        return;
    if (writer->values->client.family != ADDR_NONE)
        add(writer, "smtp.remote-ip", addr_format(&writer->values->client, ip));
    if (strcmp(result, "pass") == 0)
        add(writer, "header.oldest-pass", text_of(writer, ARC_OLDEST));
}

static void put_iprev(struct writer *writer)
{
    const char *result = word_of(writer, CLIENT_RDNS);
    const char *name = text_of(writer, CLIENT_NAME);
    char ip[ADDR_TEXT_SIZE];

    if (writer->values->client.family == ADDR_NONE)
        return;
    /* RFC 8601 2.7.3: an address without a name is a permanent error. */
    begin(writer, 4, strcmp(result, "none") == 0 ? "permerror" : result);
    add(writer, "policy.iprev", addr_format(&writer->values->client, ip));
    if (name[0] != '\0')
        folded_comment(&writer->folded, name);
}

/* The list's answer among the rows of (list, code); "" when it is not told. */
static const char *code_of(const struct writer *writer, const char *list)
{
    const struct slot *slot = has(writer, DNSBL_ANSWERS) ? slot_of(writer, DNSBL_ANSWERS) : NULL;

    if (slot != NULL && slot->type == FACT_ROWS) {
        const struct text_set *cells = &value_of(writer, DNSBL_ANSWERS)->set;
        for (size_t i = 0; i + slot->word_count <= cells->count; i += slot->word_count)
            if (strcmp(cell(slot, &cells->items[i], "list"), list) == 0)
                return cell(slot, &cells->items[i], "code");
    }
    return "";
}

static void put_dnswl(struct writer *writer)
{
    const struct value *listed = value_of(writer, DNSBL_LISTS);

    for (size_t i = 0; i < writer->results->list_count; i++) {
        const struct results_list *list = &writer->results->lists[i];
        size_t j = 0;
        while (j < listed->set.count && strcmp(listed->set.items[j], list->name) != 0)
            j++;
        if (j < listed->set.count)
            begin(writer, 5, "pass");
        else
            begin(writer, 5, listed->state == VALUE_KNOWN ? "none" : "temperror");
        add(writer, "dns.zone", list->zone);
        if (j < listed->set.count)
            add(writer, "policy.ip", code_of(writer, list->name));
    }
}

/* ---- fields ---- */

static const char *finish(struct writer *writer)
{
    const char *text = arena_strdup(writer->arena, str_text(&writer->folded.text));

    str_free(&writer->folded.text);
    return text;
}

const char *results_field(struct arena *arena, const struct results *results,
                          const struct results_values *values)
{
    static const struct {
        enum fact result;
        void (*put)(struct writer *writer);
    } methods[METHODS] = {{SPF_RESULT, put_spf},     {DKIM_RESULT, put_dkim},
                          {DMARC_RESULT, put_dmarc}, {ARC_RESULT, put_arc},
                          {CLIENT_RDNS, put_iprev},  {DNSBL_LISTS, put_dnswl}};
    struct writer writer = {.arena = arena, .results = results, .values = values, .first = true};

    if (results->methods == 0)
        return NULL;
    folded_start(&writer.folded, strlen("Authentication-Results: "));
    folded_pair(&writer.folded, "", values->id, "");
    for (unsigned i = 0; i < METHODS; i++)
        if ((results->methods & 1U << i) != 0 && has(&writer, methods[i].result))
            methods[i].put(&writer);
    if (writer.first) {
        str_add_char(&writer.folded.text, ';');
        folded_word(&writer.folded, "none");
    }
    return finish(&writer);
}

/* RFC 7208 9.1: what the comment says is for people, what the pairs say for programs. */
const char *results_received_spf(struct arena *arena, const struct results *results,
                                 const struct results_values *values)
{
    struct writer writer = {.arena = arena, .results = results, .values = values};
    struct folded *folded = &writer.folded;
    char ip[ADDR_TEXT_SIZE];
    const char *domain, *mechanism, *problem;

    if (!results->received_spf || !has(&writer, SPF_RESULT))
        return NULL;
    domain = text_of(&writer, SPF_DOMAIN);
    mechanism = text_of(&writer, SPF_MECHANISM);
    problem = text_of(&writer, SPF_PROBLEM);
    folded_start(folded, strlen("Received-SPF: "));
    folded_word(folded, word_of(&writer, SPF_RESULT));
    if (domain[0] != '\0')
        folded_comment(folded, domain);
    folded_pair(folded, "receiver", values->id, ";");
    folded_pair(folded, "identity", values->sender->null ? "helo" : "mailfrom", ";");
    folded_pair(folded, "envelope-from", values->sender->address, ";");
    folded_pair(folded, "helo", values->helo, ";");
    if (mechanism[0] != '\0')
        folded_pair(folded, "mechanism", mechanism, ";");
    if (problem[0] != '\0')
        folded_pair(folded, "problem", problem, ";");
    folded_pair(folded, "client-ip", addr_format(&values->client, ip), "");
    return finish(&writer);
}

bool results_spf_claims(const char *value, const char *id)
{
    static const char key[] = "receiver=";
    size_t length = strlen(id);

    for (; (value = strcasestr(value, key)) != NULL; value++) {
        const char *name = value + sizeof(key) - 1;
        name += *name == '"';
        if (strncasecmp(name, id, length) == 0 && strchr("\"; \t\r\n", name[length]) != NULL)
            return true;
    }
    return false;
}
