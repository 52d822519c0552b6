/* SPDX-License-Identifier: MIT */
#include "arc_set.h"

#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/domain.h>

#include "auth_results.h"
#include "tag_list.h"

enum {
    SELECTOR_SHOWN_MAX = 100, /* octets of a selector that a record has use for */
    LENGTH_DIGITS = 18,
};

static const char *const part_names[ARC_PARTS] = {
    [ARC_RESULTS] = "ARC-Authentication-Results",
    [ARC_SIGNATURE] = "ARC-Message-Signature",
    [ARC_SEAL] = "ARC-Seal",
};

/* ---- signatures and seals ---- */

/* The selector for people: what is not printable, or too long, is left out. */
static const char *printable(const char *text, struct arena *arena)
{
    char *out = arena_alloc(arena, SELECTOR_SHOWN_MAX + 1);
    size_t length = 0;

    for (; *text != '\0' && length < SELECTOR_SHOWN_MAX; text++)
        if (*text > ' ' && *text < 0x7f)
            out[length++] = *text;
    return out;
}

/* d= and s=, and the name under which their key is (RFC 6376 3.6.2.1). */
static const char *read_signer(struct arc_signature *signature, const struct tag_list *tags,
                               struct arena *arena)
{
    const char *domain = tag_text(tag_find(tags, "d"), arena);
    const char *selector = tag_text(tag_find(tags, "s"), arena);
    const char *name;
    char canonical[DOMAIN_SIZE];

    signature->selector = printable(selector, arena);
    if (!domain_canonical(domain, strlen(domain), canonical))
        return "bad d=";
    signature->domain = arena_strdup(arena, canonical);
    if (strlen(selector) >= DOMAIN_SIZE || selector[0] == '\0')
        return "bad s=";
    name = arena_printf(arena, "%s._domainkey.%s", selector, signature->domain);
    if (!domain_canonical(name, strlen(name), canonical))
        return "bad s=";
    signature->key_name = arena_strdup(arena, canonical);
    return NULL;
}

static const char *read_algorithm(struct arc_signature *signature, const struct tag_list *tags)
{
    const struct tag *algorithm = tag_find(tags, "a");

    if (tag_is(algorithm, "rsa-sha256"))
        signature->algorithm = ARC_RSA_SHA256;
    else if (tag_is(algorithm, "ed25519-sha256"))
        signature->algorithm = ARC_ED25519_SHA256;
    else if (tag_is(algorithm, "rsa-sha1"))
        return "rsa-sha1 is not secure"; /* RFC 8301 3.1 */
    else
        return "unknown a=";
    return NULL;
}

/* What seals and message signatures have in common. */
static const char *read_common(struct arc_signature *signature, const struct tag_list *tags,
                               struct arena *arena)
{
    const struct tag *b = tag_find(tags, "b");
    const char *problem = read_signer(signature, tags, arena);

    if (problem == NULL)
        problem = read_algorithm(signature, tags);
    if (problem != NULL)
        return problem;
    if (!tag_base64(b, arena, &signature->bytes, &signature->length) || signature->length == 0)
        return "bad b=";
    signature->b = b->raw;
    signature->b_length = b->raw_length;
    return NULL;
}

static const char *read_seal_tags(struct arc_signature *seal, const struct tag_list *tags,
                                  struct arena *arena)
{
    const struct tag *cv = tag_find(tags, "cv");

    /* RFC 8617 4.1.3: a seal covers a fixed set of fields; h= in it is an error. */
    if (tag_find(tags, "h") != NULL)
        return "h= in a seal";
    if (tag_is(cv, "none"))
        seal->cv = ARC_CV_NONE;
    else if (tag_is(cv, "pass"))
        seal->cv = ARC_CV_PASS;
    else if (tag_is(cv, "fail"))
        seal->cv = ARC_CV_FAIL;
    else
        return "bad cv=";
    return read_common(seal, tags, arena);
}

static const char *read_signature_tags(struct arc_signature *signature, const struct tag_list *tags,
                                       struct arena *arena)
{
    const struct tag *fields = tag_find(tags, "h");
    const char *problem = read_common(signature, tags, arena);
    size_t length;

    if (problem != NULL)
        return problem;
    if (!canon_read(tag_text(tag_find(tags, "c"), arena), &signature->header_canon,
                    &signature->body_canon))
        return "unknown c=";
    if (!tag_base64(tag_find(tags, "bh"), arena, &signature->body_hash, &length) ||
        length != BODY_HASH_SIZE)
        return "bad bh=";
    if (tag_find(tags, "l") != NULL) {
        signature->body_limit = tag_number(tag_find(tags, "l"), LENGTH_DIGITS);
        if (signature->body_limit < 0)
            return "bad l=";
    }
    if (!tag_lists(fields, "from")) /* RFC 6376 5.4 */
        return "From is not signed";
    if (tag_lists(fields, part_names[ARC_SEAL])) /* RFC 8617 4.1.2 */
        return "ARC-Seal is signed";
    signature->fields = tag_text(fields, arena);
    return NULL;
}

static void read_signature(struct arc_signature *signature, const struct header_field *field,
                           enum arc_part part, struct arena *arena)
{
    struct tag_list tags;

    *signature = (struct arc_signature){
        .field = field, .domain = "", .selector = "", .key_name = "", .body_limit = -1};
    if (!tag_list_read(&tags, field->value, field->length))
        signature->problem = "bad list of tags";
    else if (part == ARC_SEAL)
        signature->problem = read_seal_tags(signature, &tags, arena);
    else
        signature->problem = read_signature_tags(signature, &tags, arena);
}

/* ---- the chain ---- */

static void broken(struct arc_chain *chain, const char *reason)
{
    chain->shape = ARC_BROKEN;
    chain->reason = reason;
}

static bool part_of(const struct header_field *field, enum arc_part *part)
{
    unsigned i;

    for (i = 0; i < ARC_PARTS; i++) {
        *part = i;
        if (header_is(field, part_names[i]))
            return true;
    }
    return false;
}

bool arc_is_field(const char *name)
{
    const struct header_field field = {.name = name, .name_length = header_name_length(name)};
    enum arc_part part;

    return strncasecmp(name, "ARC-", 4) == 0 && part_of(&field, &part);
}

/* Position of the field in the chain, 1 and up; 0 when it tells none. */
static unsigned instance_of(const struct header_field *field, enum arc_part part,
                            const char **results)
{
    struct tag_list tags;
    int64_t instance;

    if (part == ARC_RESULTS)
        return auth_results_instance(field->value, results);
    if (!tag_list_read(&tags, field->value, field->length))
        return 0;
    instance = tag_number(tag_find(&tags, "i"), 2);
    return instance > 0 ? (unsigned)instance : 0;
}

/* Puts one field in its place.  False, with the reason in CHAIN, when it has none. */
static bool collect(struct arc_chain *chain, const struct header_field *field, enum arc_part part,
                    unsigned max_sets, struct arena *arena)
{
    const char *results = "";
    unsigned instance = instance_of(field, part, &results);
    struct arc_set *set;

    if (instance == 0) {
        broken(chain, arena_printf(arena, "%s without a valid i=", part_names[part]));
        return false;
    }
    if (instance > max_sets) {
        broken(chain, arena_printf(arena, "more than %u sets", max_sets));
        return false;
    }
    set = &chain->sets[instance - 1];
    if (set->part[part] != NULL) {
        broken(chain, arena_printf(arena, "two fields %s i=%u", part_names[part], instance));
        return false;
    }
    set->part[part] = field;
    if (part == ARC_RESULTS)
        set->results = results;
    if (instance > chain->count)
        chain->count = instance;
    return true;
}

/* RFC 8617 5.2, step 3 A: each set is whole, and none is missing. */
static bool check_parts(struct arc_chain *chain, struct arena *arena)
{
    unsigned i, part;

    for (i = chain->count; i-- > 0;)
        for (part = 0; part < ARC_PARTS; part++)
            if (chain->sets[i].part[part] == NULL) {
                broken(chain, arena_printf(arena, "no %s i=%u", part_names[part], i + 1));
                return false;
            }
    return true;
}

/* Step 3 C: the first seal found no chain, the others a good one. */
static void check_seals(struct arc_chain *chain, struct arena *arena)
{
    unsigned i;

    for (i = chain->count; i-- > 0;) {
        const struct arc_signature *seal = &chain->sets[i].seal;

        if (seal->problem != NULL) {
            broken(chain, arena_printf(arena, "ARC-Seal i=%u: %s", i + 1, seal->problem));
            return;
        }
        if (seal->cv != (i == 0 ? ARC_CV_NONE : ARC_CV_PASS)) {
            broken(chain,
                   arena_printf(arena, "ARC-Seal i=%u of %s: wrong cv=", i + 1, seal->domain));
            return;
        }
    }
    chain->shape = ARC_WHOLE;
}

void arc_chain_read(struct arc_chain *chain, const struct header_list *header, bool seen,
                    unsigned max_sets, struct arena *arena)
{
    size_t i;

    *chain = (struct arc_chain){.shape = ARC_ABSENT, .reason = ""};
    if (!seen)
        return;
    if (header->cut) {
        broken(chain, "the header is too large");
        return;
    }
    chain->sets = arena_alloc(arena, ARC_SETS_MAX * sizeof(chain->sets[0]));
    for (i = 0; i < header->count; i++) {
        enum arc_part part;

        if (part_of(&header->fields[i], &part) &&
            !collect(chain, &header->fields[i], part, max_sets, arena))
            return;
    }
    if (chain->count == 0 || !check_parts(chain, arena))
        return;
    for (i = 0; i < chain->count; i++) {
        struct arc_set *set = &chain->sets[i];

        read_signature(&set->seal, set->part[ARC_SEAL], ARC_SEAL, arena);
        read_signature(&set->signature, set->part[ARC_SIGNATURE], ARC_SIGNATURE, arena);
    }
    /* Step 2: what the newest sealer found broken stays so. */
    if (chain->sets[chain->count - 1].seal.problem == NULL &&
        chain->sets[chain->count - 1].seal.cv == ARC_CV_FAIL)
        broken(chain, arena_printf(arena, "%s found the chain broken",
                                   chain->sets[chain->count - 1].seal.domain));
    else
        check_seals(chain, arena);
}
