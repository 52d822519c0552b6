/* SPDX-License-Identifier: MIT */
#include <postern/check.h>

#include <postern/arena.h>

#include "checks_private.h"

const struct check *const checks_all[] = {
#define CHECK(name) &check_##name,
#include "checks.def"
#undef CHECK
};

const size_t checks_count = sizeof(checks_all) / sizeof(checks_all[0]);

struct layout *checks_layout(struct arena *arena, slot_t *first_slot)
{
    struct fact_part parts[sizeof(checks_all) / sizeof(checks_all[0])];
    slot_t next = 0;
    size_t i;

    for (i = 0; i < checks_count; i++) {
        parts[i].rows = checks_all[i]->facts;
        parts[i].count = checks_all[i]->fact_count;
        first_slot[i] = next;
        next += (slot_t)checks_all[i]->fact_count;
    }
    return layout_new(arena, parts, checks_count);
}
