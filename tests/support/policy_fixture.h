/* SPDX-License-Identifier: MIT */
#ifndef POLICY_FIXTURE_H
#define POLICY_FIXTURE_H

#include <postern/arena.h>
#include <postern/decide.h>

/*
 * A policy read from text over a small registry of its own, and the values that it is decided on.
 */
struct fixture {
    struct arena *arena;
    struct diag *diag;
    struct source source;
    struct layout *facts;  /* the registry */
    struct policy *policy; /* NULL: the text has errors */
    char *messages;        /* all of them, as diag_print() writes them */
    struct value *values[SCOPE_COUNT];
    struct view view;
    uint8_t *modes;
};

/* Tables that a text may name: trusted, ours, users, forwarders, forwarder_domains. */
struct fixture *fixture_new(const char *text);
struct fixture *fixture_new_at(const char *text, enum stage speak_at, int32_t today);
void fixture_free(struct fixture *fixture);

/* Sets facts: "client.ip=192.0.2.1 spf.result=fail dkim.domains=a.example,b.example".  A value of
 * "?" is open, of "!" in fault, "1..3" a number in fault.  A derived fact's name has '_' for its
 * blanks: "client.ip_in_trusted=yes". */
void fixture_set(struct fixture *fixture, const char *assignments);

/* One such value, for SLOT of the policy's layout.  TEXT lives as long as the fixture. */
struct value fixture_value(struct fixture *fixture, const struct slot *slot, const char *text);

/* All values open again. */
void fixture_clear(struct fixture *fixture);

/* Makes all rules what they are for TODAY, a client and sender of no account, and no local
 * submission. */
void fixture_modes(struct fixture *fixture, bool local);

/* The index of a rule; asserts that it is there. */
int fixture_rule(const struct fixture *fixture, const char *name);

/* "none", "open", "accept NAME", "reply NAME", "fault NAME by NAME", or "wait"; in the arena. */
const char *fixture_verdict(struct fixture *fixture, const struct verdict *verdict);

#endif
