/* SPDX-License-Identifier: MIT */
#include "arc_trust.h"

#include <postern/table.h>

#include "auth_results.h"

static enum table_status find_sealer(struct table *sealers, const char *domain, struct arena *arena)
{
    const struct table_key key = {
        .kind = TABLE_KEY_DOMAIN, .text = domain, .local = "", .domain = "", .delimiter = ""};

    return sealers == NULL ? TABLE_ABSENT : table_find(sealers, &key, arena).status;
}

static bool recorded_pass(const struct arc_set *set, struct arena *arena)
{
    struct auth_results results;

    return auth_results_read(arena, set->results, &results) && !results.cut &&
           auth_results_say(&results, "dmarc", "pass");
}

enum arc_trust arc_dmarc_passed(const struct arc_chain *chain, struct table *sealers,
                                struct arena *arena)
{
    enum arc_trust trust = ARC_TRUST_YES;
    unsigned i;

    for (i = chain->count; i-- > 0;) {
        enum table_status status = find_sealer(sealers, chain->sets[i].seal.domain, arena);

        if (status == TABLE_ABSENT)
            return ARC_TRUST_NO;
        if (status == TABLE_UNAVAILABLE)
            trust = ARC_TRUST_UNSURE;
        if (recorded_pass(&chain->sets[i], arena))
            return trust;
    }
    return ARC_TRUST_NO;
}
