/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/arena.h>

#include "../../src/checks/dmarc_walk.h"

#define LENGTH(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { ANSWERS_MAX = 6, TEXTS_MAX = 4 };

/* What is at a name: TXT records, or "!fault".  Where nothing is, the name does not exist. */
struct at {
    const char *name;
    const char *texts[TEXTS_MAX];
};

struct row {
    const char *domain;
    struct at at[ANSWERS_MAX];
    const char *asked; /* without the "_dmarc." */
    const char *organization;
    const char *policy; /* where it was found; "" for none */
};

/* clang-format off */
#define P "v=DMARC1; p=reject"
static const struct row rows[] = {
    /* The walk itself: all labels, at most eight questions. */
    {"example.com", {{0}}, "example.com com", "example.com", ""},
    {"com", {{0}}, "com", "com", ""},
    {"a.b", {{0}}, "a.b b", "a.b", ""},
    {"x.com", {{0}}, "x.com com", "x.com", ""},
    {"a.mail.example.com", {{0}},
     "a.mail.example.com mail.example.com example.com com", "a.mail.example.com", ""},
    {"a.b.c.d.e.f.example.com", {{0}},
     "a.b.c.d.e.f.example.com b.c.d.e.f.example.com c.d.e.f.example.com d.e.f.example.com "
     "e.f.example.com f.example.com example.com com",
     "a.b.c.d.e.f.example.com", ""},
    {"a.b.c.d.e.f.g.h.i.j.mail.example.com", {{0}},
     "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com h.i.j.mail.example.com "
     "i.j.mail.example.com j.mail.example.com mail.example.com example.com com",
     "a.b.c.d.e.f.g.h.i.j.mail.example.com", ""},
    {"a.b.c.d.e.example.com", {{0}},
     "a.b.c.d.e.example.com b.c.d.e.example.com c.d.e.example.com d.e.example.com "
     "e.example.com example.com com",
     "a.b.c.d.e.example.com", ""},

    /* Without psd, the shortest name with a record is the organization. */
    {"example.com", {{"example.com", {P}}}, "example.com com", "example.com", "example.com"},
    {"mail.example.com", {{"example.com", {P}}},
     "mail.example.com example.com com", "example.com", "example.com"},
    {"a.mail.example.com", {{"mail.example.com", {P}}, {"example.com", {P}}},
     "a.mail.example.com mail.example.com example.com com", "example.com", "example.com"},
    {"mail.example.com", {{"mail.example.com", {P}}, {"example.com", {P}}},
     "mail.example.com example.com com", "example.com", "mail.example.com"},
    {"example.com", {{"com", {P}}}, "example.com com", "com", "com"},
    {"a.b.c.d.e.f.g.example.com", {{"a.b.c.d.e.f.g.example.com", {P}}, {"example.com", {P}}},
     "a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com d.e.f.g.example.com e.f.g.example.com "
     "f.g.example.com g.example.com example.com com",
     "example.com", "a.b.c.d.e.f.g.example.com"},
    /* Of the names between the first and the seven labels nobody asks. */
    {"a.b.c.d.e.f.g.example.com", {{"b.c.d.e.f.g.example.com", {P}}},
     "a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com d.e.f.g.example.com e.f.g.example.com "
     "f.g.example.com g.example.com example.com com",
     "a.b.c.d.e.f.g.example.com", ""},

    /* psd=n ends the walk at the organization. */
    {"example.com", {{"example.com", {P "; psd=n"}}}, "example.com", "example.com", "example.com"},
    {"a.mail.example.com",
     {{"a.mail.example.com", {P}}, {"mail.example.com", {P "; psd=n"}}, {"example.com", {P}}},
     "a.mail.example.com mail.example.com", "mail.example.com", "a.mail.example.com"},
    {"a.mail.example.com", {{"mail.example.com", {P "; psd=n"}}, {"example.com", {P}}},
     "a.mail.example.com mail.example.com", "mail.example.com", "mail.example.com"},

    /* psd=y ends it above the organization. */
    {"example.com", {{"com", {P "; psd=y"}}}, "example.com com", "example.com", "com"},
    {"example.com", {{"example.com", {P}}, {"com", {P "; psd=y"}}},
     "example.com com", "example.com", "example.com"},
    {"a.mail.example.com", {{"com", {P "; psd=y"}}},
     "a.mail.example.com mail.example.com example.com com", "example.com", "com"},
    {"a.example.co.uk", {{"co.uk", {P "; psd=y"}}, {"uk", {P}}},
     "a.example.co.uk example.co.uk co.uk", "example.co.uk", "co.uk"},
    {"a.mail.example.com", {{"mail.example.com", {P}}, {"com", {P "; psd=y"}}},
     "a.mail.example.com mail.example.com example.com com", "example.com", "com"},
    {"com", {{"com", {P "; psd=y"}}}, "com", "com", "com"},
    {"co.uk", {{"co.uk", {P "; psd=y"}}, {"uk", {P}}}, "co.uk", "co.uk", "co.uk"},
    {"a.b.c.d.e.f.g.example.com", {{"c.d.e.f.g.example.com", {P "; psd=y"}}},
     "a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com", "b.c.d.e.f.g.example.com",
     "c.d.e.f.g.example.com"},
    {"aa.bb.com", {{"com", {P "; psd=y"}}}, "aa.bb.com bb.com com", "bb.com", "com"},

    /* One record at a name, or none. */
    {"example.com", {{"example.com", {P, P}}}, "example.com com", "example.com", ""},
    {"mail.example.com", {{"mail.example.com", {P "; psd=n", P "; psd=n"}}, {"example.com", {P}}},
     "mail.example.com example.com com", "example.com", "example.com"},
    {"example.com", {{"example.com", {"v=spf1 -all", P, "x"}}},
     "example.com com", "example.com", "example.com"},
    {"example.com", {{"example.com", {"v=spf1 -all", "v=DMARC2; p=none"}}},
     "example.com com", "example.com", ""},
    /* A record without a policy is one all the same. */
    {"mail.example.com", {{"example.com", {"v=DMARC1"}}},
     "mail.example.com example.com com", "example.com", "example.com"},

    /* What cannot be found out ends the walk; the author's own record holds. */
    {"example.com", {{"example.com", {"!fault"}}}, "example.com", "?", ""},
    {"mail.example.com", {{"example.com", {"!fault"}}}, "mail.example.com example.com", "?", ""},
    {"example.com", {{"example.com", {P}}, {"com", {"!fault"}}},
     "example.com com", "?", "example.com"},
    {"a.mail.example.com", {{"mail.example.com", {P}}, {"example.com", {"!fault"}}},
     "a.mail.example.com mail.example.com example.com", "?", ""},
};
/* clang-format on */

static const struct dns_answer *answer_to(const struct row *row, const char *name)
{
    struct dns_record records[TEXTS_MAX] = {{.name = ""}};
    struct dns_answer draft = {.status = DNS_NO_NAME, .type = DNS_TXT, .records = records};
    size_t i, j;

    for (i = 0; i < ANSWERS_MAX && row->at[i].name != NULL; i++) {
        if (strcmp(row->at[i].name, name) != 0)
            continue;
        draft.status = DNS_FOUND;
        for (j = 0; j < TEXTS_MAX && row->at[i].texts[j] != NULL; j++) {
            if (strcmp(row->at[i].texts[j], "!fault") == 0) {
                draft.status = DNS_FAULT;
                break;
            }
            records[j].text = row->at[i].texts[j];
            records[j].length = strlen(records[j].text);
            draft.count++;
        }
    }
    draft.name = name;
    return dns_answer_new(&draft);
}

static void walk_row(const struct row *row, size_t number)
{
    struct arena *arena = arena_new();
    struct dmarc_walk walk;
    const struct dmarc_found *policy;
    char name[DMARC_NAME_SIZE];
    const char *asked = "";
    unsigned count = 0;

    dmarc_walk_init(&walk, row->domain);
    while (dmarc_walk_next(&walk, name) != NULL) {
        const struct dns_answer *answer = answer_to(row, name + strlen("_dmarc."));
        struct dmarc_answer read = dmarc_answer_read(arena, answer);

        assert_memory_equal(name, "_dmarc.", 7);
        assert_true(++count <= DMARC_QUERIES_MAX);
        asked = arena_printf(arena, "%s%s%s", asked, count > 1 ? " " : "", name + 7);
        dmarc_walk_take(&walk, &read);
        dns_answer_unref(answer);
    }
    if (strcmp(asked, row->asked) != 0)
        print_error("row %zu\n", number);
    assert_string_equal(asked, row->asked);
    assert_string_equal(walk.fault ? "?" : dmarc_walk_organization(&walk), row->organization);
    policy = dmarc_walk_policy(&walk);
    assert_string_equal(policy != NULL ? policy->domain : "", row->policy);
    arena_free(arena);
}

static void test_walks(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < LENGTH(rows); i++) {
        walk_row(&rows[i], i);
    }
}

/* The longest name there can be, of as many labels as can be. */
static void test_longest(void **state)
{
    struct dmarc_answer none = {.status = DNS_NO_NAME, .text = ""};
    struct dmarc_walk walk;
    char domain[DOMAIN_SIZE];
    char name[DMARC_NAME_SIZE];
    unsigned count = 0;
    size_t i;

    (void)state;
    for (i = 0; i < DOMAIN_SIZE - 1; i++)
        domain[i] = i % 2 == 0 ? 'a' : '.';
    domain[DOMAIN_SIZE - 1] = '\0';
    dmarc_walk_init(&walk, domain);
    while (dmarc_walk_next(&walk, name) != NULL) {
        assert_int_equal(strlen(name),
                         strlen("_dmarc.") + (count == 0 ? DOMAIN_SIZE - 1 : 15 - 2 * count));
        dmarc_walk_take(&walk, &none);
        count++;
    }
    assert_int_equal(count, DMARC_QUERIES_MAX);
    assert_string_equal(dmarc_walk_organization(&walk), domain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
