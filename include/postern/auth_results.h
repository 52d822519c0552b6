/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_AUTH_RESULTS_H
#define POSTERN_AUTH_RESULTS_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/*
 * Reading Authentication-Results (RFC 8601) and ARC-Authentication-Results (RFC 8617 4.1.1) as they
 * are found in the field: comments anywhere, values that should have been quoted, properties
 * without a type, no authserv-id at all.  What stands in comments and quotes is never taken for a
 * result.  Pure; the time taken grows with the length of the text and no faster.
 */
enum { AUTH_RESULTS_MAX = 64, AUTH_PROPERTIES_MAX = 16 };

struct auth_property {
    const char *type; /* "header", in lower case; "" where there is none */
    const char *name; /* "from", in lower case */
    const char *value;
};

struct auth_result {
    const char *method; /* "dkim", in lower case, without its version */
    const char *result; /* "pass", in lower case */
    const char *reason; /* "" */
    size_t property_count;
    struct auth_property properties[AUTH_PROPERTIES_MAX];
};

struct auth_results {
    const char *id; /* authserv-id as written, without quotes; "" where there is none */
    bool cut;       /* there was more than the limits allow */
    size_t count;
    struct auth_result *results;
};

/* Reads the field's value.  False when it is beyond repair: a comment or a quoted string without an
 * end.  What was read up to there is in *out all the same.  Everything lives in ARENA. */
bool auth_results_read(struct arena *arena, const char *text, struct auth_results *out);

/* Whether the field claims to come from ID, the authserv-id of this host: as written, without case,
 * or when both are the same domain (RFC 8601 5).  True, too, where ID is only the beginning of
 * what is no right authserv-id, up to a character that none may hold. */
bool auth_results_claim(const char *text, const char *id);

/* The instance of an ARC-Authentication-Results field, 1 to 99, and in *rest what follows, which is
 * for auth_results_read(); 0 when there is none. */
unsigned auth_results_instance(const char *text, const char **rest);

/* Whether METHOD stands in the results, with this result and no other. */
bool auth_results_say(const struct auth_results *results, const char *method, const char *result);

#endif
