/* SPDX-License-Identifier: MIT */
#ifndef CHECKS_ARC_TRUST_H
#define CHECKS_ARC_TRUST_H

#include "arc_set.h"

struct table;

/*
 * What a chain is worth whose signatures are good (RFC 8617 7.2.1 and 9.4 leave that to local
 * knowledge): anybody can seal anything, so that only seals of those who are trusted count.
 */
enum arc_trust {
    ARC_TRUST_NO,
    ARC_TRUST_YES,
    ARC_TRUST_UNSURE, /* the table could not be asked */
};

/*
 * Whether a sealer whom we trust recorded that DMARC passed, while everybody who has had the
 * message since is trusted, too.  From the newest set down: as long as the sealers are in SEALERS
 * (NULL: nobody is), what each recorded is what it saw.  The first stranger may have put anything
 * in front of himself: an old seal says nothing of today's text.  CHAIN is ARC_WHOLE.  ARENA for
 * scratch.
 */
enum arc_trust arc_dmarc_passed(const struct arc_chain *chain, struct table *sealers,
                                struct arena *arena);

#endif
