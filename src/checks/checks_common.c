/* SPDX-License-Identifier: MIT */
#include "checks_private.h"

void probe_finish_absent(struct probe_run *run)
{
    const struct probe *probe = run->probe;
    unsigned i;

    for (i = probe->first; i < probe->first + probe->count; i++)
        probe_set(run, i, value_absent(probe_slot(run, i)));
    probe_finish(run);
}
