/* SPDX-License-Identifier: MIT */
#include "auth_results.h"

#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/domain.h>

/* The text under the eye of the reader.  Once it is broken, nothing more is read. */
struct reader {
    struct arena *arena;
    const char *at;
    bool broken;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 5322 3.2.2: comments nest. */
static void skip_comment(struct reader *reader)
{
    unsigned long depth = 0;

    do {
        switch (*reader->at) {
        case '\0':
            reader->broken = true;
            return;
        case '\\':
            if (reader->at[1] != '\0')
                reader->at++;
            break;
        case '(':
            depth++;
            break;
        case ')':
            depth--;
            break;
        default:
            break;
        }
        reader->at++;
    } while (depth > 0);
}

/* Passes over white space and comments. */
static void skip_space(struct reader *reader)
{
    while (!reader->broken) {
        if (is_space(*reader->at))
            reader->at++;
        else if (*reader->at == '(')
            skip_comment(reader);
        else
            return;
    }
}

/* Whether a value goes on with C.  Stricter is only what a name may hold. */
static bool in_value(char c)
{
    return c != '\0' && !is_space(c) && strchr(";(\"", c) == NULL;
}

static bool in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* RFC 2045 5.1, and what RFC 6532 adds to it. */
static bool in_token(char c)
{
    return ((unsigned char)c > ' ' && c != 0x7f) && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static const char *lower(struct arena *arena, const char *text, size_t length)
{
    char *out = arena_strndup(arena, text, length);
    char *c;

    for (c = out; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return out;
}

/* A name in lower case; "" where none begins. */
static const char *read_name(struct reader *reader)
{
    const char *start = reader->at;

    while (in_name(*reader->at))
        reader->at++;
    return lower(reader->arena, start, (size_t)(reader->at - start));
}

/* Takes the text between quotes, without the backslashes; OUT may be NULL. */
static size_t read_quoted(struct reader *reader, char *out)
{
    size_t length = 0;

    for (reader->at++; *reader->at != '"'; reader->at++) {
        if (*reader->at == '\\' && reader->at[1] != '\0')
            reader->at++;
        if (*reader->at == '\0') {
            reader->broken = true;
            return length;
        }
        if (out != NULL && *reader->at != '\r' && *reader->at != '\n')
            out[length++] = *reader->at;
    }
    reader->at++;
    return length;
}

/* A value: everything up to white space, a comment or ';', with what stands in quotes as it is. */
static const char *read_value(struct reader *reader)
{
    const char *end = reader->at;
    const char *start;
    size_t length = 0;
    char *out;

    /* No longer than what it is read from, which is found first, so that each byte is looked at
     * twice and no more. */
    while (in_value(*end) || *end == '"') {
        if (*end++ != '"')
            continue;
        while (*end != '\0' && *end != '"')
            end += *end == '\\' && end[1] != '\0' ? 2 : 1;
        if (*end != '\0')
            end++;
    }
    out = arena_alloc(reader->arena, (size_t)(end - reader->at) + 1);
    while (!reader->broken) {
        if (*reader->at == '"') {
            length += read_quoted(reader, out + length);
            continue;
        }
        start = reader->at;
        while (in_value(*reader->at))
            reader->at++;
        if (reader->at == start)
            break;
        memcpy(out + length, start, (size_t)(reader->at - start));
        length += (size_t)(reader->at - start);
    }
    out[length] = '\0';
    return out;
}

/* Goes to the next ';' that stands in no comment and no quotes, or to the end. */
static void skip_result(struct reader *reader)
{
    while (!reader->broken && *reader->at != '\0' && *reader->at != ';') {
        if (*reader->at == '"')
            read_quoted(reader, NULL);
        else if (*reader->at == '(')
            skip_comment(reader);
        else
            reader->at++;
    }
}

/* Passes over C and the white space and comments around it. */
static bool take(struct reader *reader, char c)
{
    skip_space(reader);
    if (reader->broken || *reader->at != c)
        return false;
    reader->at++;
    skip_space(reader);
    return !reader->broken;
}

/* ---- the parts of a field ---- */

/* What stands where the authserv-id should.  "" where the results begin at once, as some write it:
 * then nothing is taken. */
static const char *read_id(struct reader *reader)
{
    const char *start;
    const char *id;

    skip_space(reader);
    start = reader->at;
    if (reader->broken)
        return "";
    if (*start == '"') {
        id = read_value(reader);
    } else {
        while (in_token(*reader->at))
            reader->at++;
        id = arena_strndup(reader->arena, start, (size_t)(reader->at - start));
    }
    skip_space(reader);
    if (!reader->broken && *reader->at == '=' && *start != '"') {
        reader->at = start;
        return "";
    }
    return id;
}

/* RFC 8601 2.2: methodspec. */
static bool read_method(struct reader *reader, struct auth_result *result)
{
    result->method = read_name(reader);
    if (result->method[0] == '\0')
        return false;
    if (take(reader, '/'))
        while (*reader->at >= '0' && *reader->at <= '9')
            reader->at++;
    if (!take(reader, '='))
        return false;
    result->result = read_name(reader);
    return result->result[0] != '\0' && !in_value(*reader->at) && *reader->at != '"';
}

/* reasonspec or propspec.  False where neither begins. */
static bool read_property(struct reader *reader, struct auth_result *result, bool *cut)
{
    const char *type = "";
    const char *name = read_name(reader);
    const char *value;

    if (name[0] == '\0')
        return false;
    if (take(reader, '.')) {
        type = name;
        name = read_name(reader);
    }
    if (!take(reader, '='))
        return false;
    value = read_value(reader);
    if (type[0] == '\0' && strcmp(name, "reason") == 0)
        result->reason = value;
    else if (result->property_count < AUTH_PROPERTIES_MAX)
        result->properties[result->property_count++] =
            (struct auth_property){.type = type, .name = name, .value = value};
    else
        *cut = true;
    skip_space(reader);
    return true;
}

static void add_result(struct arena *arena, struct auth_results *out,
                       const struct auth_result *result)
{
    if ((out->count & (out->count - 1)) == 0) { /* there is room up to the next power of two */
        size_t room = out->count != 0 ? 2 * out->count : 1;
        struct auth_result *results = arena_alloc(arena, room * sizeof(*results));

        if (out->count != 0)
            memcpy(results, out->results, out->count * sizeof(*results));
        out->results = results;
    }
    out->results[out->count++] = *result;
}

static void read_result(struct reader *reader, struct auth_results *out)
{
    struct auth_result result = {.reason = ""};
    bool good;

    skip_space(reader);
    good = !reader->broken && read_method(reader, &result);
    if (good) {
        skip_space(reader);
        while (!reader->broken && read_property(reader, &result, &out->cut)) {
        }
    }
    skip_result(reader);
    if (!good || reader->broken)
        return;
    if (out->count == AUTH_RESULTS_MAX)
        out->cut = true;
    else
        add_result(reader->arena, out, &result);
}

bool auth_results_read(struct arena *arena, const char *text, struct auth_results *out)
{
    struct reader reader = {.arena = arena, .at = text};

    *out = (struct auth_results){.id = ""};
    out->id = read_id(&reader);
    if (out->id[0] == '\0')
        read_result(&reader, out);
    else
        skip_result(&reader); /* a version, or what does not belong there */
    while (!reader.broken && *reader.at == ';') {
        reader.at++;
        read_result(&reader, out);
    }
    return !reader.broken;
}

bool auth_results_say(const struct auth_results *results, const char *method, const char *result)
{
    bool said = false;
    size_t i;

    for (i = 0; i < results->count; i++) {
        if (strcmp(results->results[i].method, method) != 0)
            continue;
        if (strcmp(results->results[i].result, result) != 0)
            return false;
        said = true;
    }
    return said;
}

bool auth_results_claim(const char *text, const char *id)
{
    struct arena *arena = arena_new();
    struct reader reader = {.arena = arena, .at = text};
    char said[DOMAIN_SIZE];
    char ours[DOMAIN_SIZE];
    const char *claimed = read_id(&reader);
    bool same = claimed[0] != '\0' && strcasecmp(claimed, id) == 0;

    if (!same && domain_canonical(claimed, strlen(claimed), said) &&
        domain_canonical(id, strlen(id), ours))
        same = strcmp(said, ours) == 0;
    arena_free(arena);
    return same;
}

unsigned auth_results_instance(const char *text, const char **rest)
{
    struct reader reader = {.at = text};
    unsigned instance = 0;
    unsigned digits = 0;

    skip_space(&reader);
    if (reader.broken || *reader.at != 'i')
        return 0;
    reader.at++;
    if (!take(&reader, '='))
        return 0;
    for (; *reader.at >= '0' && *reader.at <= '9' && digits < 3; digits++)
        instance = instance * 10 + (unsigned)(*reader.at++ - '0');
    if (digits == 0 || digits > 2 || !take(&reader, ';'))
        return 0;
    *rest = reader.at;
    return instance;
}
