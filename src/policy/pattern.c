/* SPDX-License-Identifier: MIT */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "policy_private.h"

#include <string.h>

#include <pcre2.h>

/* What a pattern may cost on one text, so that a clumsy one cannot hold up mail: far more than sane
 * patterns need, and still only milliseconds. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 1024 };

struct pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
};

/* Texts from outside may hold any bytes, so patterns work on bytes, not on UTF-8. */
struct pattern *pattern_new(struct arena *arena, const char *text, bool caseless,
                            const char **problem, size_t *offset)
{
    uint32_t options = PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C;
    struct pattern *pattern = arena_alloc(arena, sizeof(*pattern));
    PCRE2_UCHAR message[256];
    int error;

    if (caseless)
        options |= PCRE2_CASELESS;
    pattern->code = pcre2_compile((PCRE2_SPTR)text, strlen(text), options, &error, offset, NULL);
    if (pattern->code == NULL) {
        pcre2_get_error_message(error, message, sizeof(message));
        *problem = arena_strdup(arena, (const char *)message);
        return NULL;
    }
    pattern->limits = pcre2_match_context_create(NULL);
    if (pattern->limits == NULL) {
        pcre2_code_free(pattern->code);
        *problem = "out of memory";
        return NULL;
    }
    pcre2_set_match_limit(pattern->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(pattern->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(pattern->limits, HEAP_LIMIT_KIB);
    return pattern;
}

void pattern_free(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_match_context_free(pattern->limits);
    pcre2_code_free(pattern->code);
}

int pattern_match(const struct pattern *pattern, const char *text)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int result;

    if (data == NULL)
        return -1;
    result =
        pcre2_match(pattern->code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, pattern->limits);
    pcre2_match_data_free(data);
    if (result >= 0)
        return 1;
    return result == PCRE2_ERROR_NOMATCH ? 0 : -1;
}
