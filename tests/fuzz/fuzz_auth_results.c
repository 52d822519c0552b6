/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <postern/arena.h>

#include "../../src/checks/auth_results.h"

/*
 * The value of an Authentication-Results field, as far as a NUL: whatever it is, what is read of it
 * is well formed and bounded, and what it claims is what it was read to claim.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
    assert(*name != '\0');
    for (; *name != '\0'; name++)
        assert(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", *name) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    const char *text = arena_strndup(arena, (const char *)data, size);
    size_t before = arena_used(arena);
    struct auth_results results;
    const char *rest = text;
    unsigned instance = auth_results_instance(text, &rest);

    assert(instance < 100 && rest >= text && rest <= text + strlen(text));
    auth_results_read(arena, rest, &results);
    assert(results.count <= AUTH_RESULTS_MAX);
    /* Each text takes some octets more than it has itself, and fields are short. */
    assert(arena_used(arena) - before <=
           64 * size + 2 * (AUTH_RESULTS_MAX + 1) * sizeof(*results.results));
    for (size_t i = 0; i < results.count; i++) {
        const struct auth_result *result = &results.results[i];

        check_name(result->method);
        check_name(result->result);
        assert(result->property_count <= AUTH_PROPERTIES_MAX);
        for (size_t j = 0; j < result->property_count; j++)
            assert(strlen(result->properties[j].value) <= size);
    }
    if (results.id[0] != '\0')
        assert(auth_results_claim(rest, results.id));
    auth_results_say(&results, "dmarc", "pass");
    arena_free(arena);
    return 0;
}
