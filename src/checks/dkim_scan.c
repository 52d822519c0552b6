/* SPDX-License-Identifier: MIT */
#include "dkim_scan.h"

#include <string.h>
#include <strings.h>

#include <postern/arena.h>
#include <postern/dns.h>
#include <postern/domain.h>

#include "tag_list.h"

enum { DIGITS_MAX = 12, LENGTH_DIGITS_MAX = 18 }; /* of t= and x= (RFC 6376 3.5); of l= */

static const char label[] = "._domainkey.";

struct scan {
    struct dkim_signature *signature;
    const struct header_field *field;
    struct arena *arena;
    struct tag_list tags;
    int64_t now;
};

/* ---- where the key is ---- */

/* A selector may be all digits, which no domain name is: it is made canonical together with what
 * stands behind it. */
static bool read_selector(struct scan *scan, const char *text)
{
    struct dkim_signature *signature = scan->signature;
    const char *whole = arena_join(scan->arena, text, label, signature->domain);
    char name[DOMAIN_SIZE];

    if (strlen(text) > DKIM_FIELD_MAX || !domain_canonical(whole, strlen(whole), name))
        return false;
    signature->key_name = arena_strdup(scan->arena, name);
    signature->selector =
        arena_strndup(scan->arena, name, strlen(name) - strlen(label) - strlen(signature->domain));
    return true;
}

static const char *read_names(struct scan *scan)
{
    const struct tag *d = tag_find(&scan->tags, "d");
    const struct tag *s = tag_find(&scan->tags, "s");
    char name[DOMAIN_SIZE];

    if (d == NULL || !domain_canonical(d->value, d->value_length, name))
        return d == NULL ? "has no d=" : "has a d= that is no domain name";
    scan->signature->domain = arena_strdup(scan->arena, name);
    scan->signature->identity = arena_join(scan->arena, "@", name, "");
    if (s == NULL || s->value_length == 0)
        return "has no s=";
    if (!read_selector(scan, arena_strndup(scan->arena, s->value, s->value_length)))
        return "has an s= that is no selector";
    return NULL;
}

/* ---- i= ---- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* RFC 6376 2.11: '=' stands only before two digits, in upper case. */
static bool quoted_well(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '=' && (!is_hex(text[1]) || !is_hex(text[2])))
            return false;
    return true;
}

static const char *printable(struct arena *arena, const char *text)
{
    char *out = arena_strdup(arena, text);
    char *c;

    for (c = out; *c != '\0'; c++)
        if (*c <= ' ' || *c >= 0x7f)
            *c = '?';
    return out;
}

static const char *read_identity(struct scan *scan)
{
    struct dkim_signature *signature = scan->signature;
    const char *text = tag_text(tag_find(&scan->tags, "i"), scan->arena);
    const char *at = strrchr(text, '@');
    char name[DOMAIN_SIZE];

    signature->exact = true;
    if (tag_find(&scan->tags, "i") == NULL)
        return NULL;
    if (strlen(text) > DKIM_IDENTITY_MAX)
        return "has an i= that is too long";
    if (!quoted_well(text))
        return "has an i= that is not well quoted";
    if (at == NULL || !domain_canonical(at + 1, strlen(at + 1), name))
        return "has an i= without a domain";
    signature->identity = printable(scan->arena, text);
    signature->exact = strcmp(name, signature->domain) == 0;
    if (!domain_within(name, signature->domain))
        return "has an i= that is not of its domain";
    return NULL;
}

/* ---- the other tags ---- */

/* RFC 6376 5.4: the From field must be signed. */
static const char *read_fields(struct scan *scan)
{
    const struct tag *h = tag_find(&scan->tags, "h");
    size_t count = 1;
    const char *c;

    if (h == NULL || h->value_length == 0)
        return "has no h=";
    if (!tag_lists(h, "from"))
        return "does not sign the From field";
    scan->signature->names = tag_text(h, scan->arena);
    for (c = scan->signature->names; *c != '\0'; c++)
        count += *c == ':';
    return count > DKIM_NAMES_MAX ? "names too many fields in h=" : NULL;
}

static const char *read_times(struct scan *scan)
{
    const struct tag *t = tag_find(&scan->tags, "t");
    const struct tag *x = tag_find(&scan->tags, "x");
    int64_t signed_at = tag_number(t, DIGITS_MAX);
    int64_t expires = tag_number(x, DIGITS_MAX);

    if ((t != NULL && signed_at < 0) || (x != NULL && expires < 0))
        return "has a t= or x= that is no time";
    if (t != NULL && x != NULL && expires <= signed_at)
        return "expires before it was made";
    /* libopendkim takes times that are smaller than the drift it allows for future ones. */
    if (t != NULL && signed_at < 2 * DKIM_FUTURE_MAX)
        scan->signature->plain = false;
    return NULL;
}

static const char *read_numbers(struct scan *scan)
{
    const struct tag *l = tag_find(&scan->tags, "l");
    const struct tag *q = tag_find(&scan->tags, "q");

    scan->signature->body_limit = tag_number(l, LENGTH_DIGITS_MAX);
    if (l != NULL && scan->signature->body_limit < 0)
        return "has an l= that is no length";
    if (q != NULL && !tag_lists(q, "dns/txt"))
        return "has its key elsewhere than in the DNS";
    return read_times(scan);
}

static const char *read_hashes(struct scan *scan)
{
    struct dkim_signature *signature = scan->signature;
    const struct tag *b = tag_find(&scan->tags, "b");
    const char *canon = tag_text(tag_find(&scan->tags, "c"), scan->arena);
    size_t length;

    if (!canon_read(canon, &signature->header_canon, &signature->body_canon))
        return "has an unknown canonicalization";
    if (!tag_base64(b, scan->arena, &signature->bytes, &signature->length) ||
        signature->length == 0)
        return b == NULL ? "has no b=" : "has a b= that is no base64";
    signature->b_start = (size_t)(b->raw - scan->field->value);
    signature->b_length = b->raw_length;
    if (!tag_base64(tag_find(&scan->tags, "bh"), scan->arena, &signature->body_hash, &length) ||
        length != BODY_HASH_SIZE)
        return "has no bh= that is a SHA-256";
    return NULL;
}

/* RFC 8301 3.1: rsa-sha1 is not to be taken for a signature any more. */
static bool read_algorithm(struct scan *scan)
{
    struct dkim_signature *signature = scan->signature;
    const struct tag *a = tag_find(&scan->tags, "a");

    if (tag_is(a, "rsa-sha256")) {
        signature->algorithm_name = "rsa-sha256";
        signature->key_type = KEY_RSA;
    } else if (tag_is(a, "ed25519-sha256")) {
        signature->algorithm_name = "ed25519-sha256";
        signature->key_type = KEY_ED25519;
    } else if (tag_is(a, "rsa-sha1")) {
        signature->algorithm_name = "rsa-sha1";
        signature->result = RESULT_FAIL;
        signature->reason = "is made with SHA-1, which does not count any more";
        return false;
    } else {
        signature->result = RESULT_NEUTRAL;
        signature->reason = a == NULL ? "has no a=" : "is of an unknown algorithm";
        return false;
    }
    return true;
}

/* ---- whether libopendkim sees the field as we do ---- */

/* It finds b= by the letter before the first '=' of a tag, and tells names of tags apart without
 * case. */
static bool tag_is_plain(const struct tag *tag)
{
    size_t i;

    for (i = 0; i < tag->name_length; i++)
        if (tag->name[i] >= 'A' && tag->name[i] <= 'Z')
            return false;
    if (tag->name[tag->name_length - 1] != 'b')
        return true;
    return tag->name_length == 1 && tag->raw == tag->name + 2;
}

static bool text_is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x7f)
            return false;
    return true;
}

/* It cuts h= at 4,095 octets, decodes i= past its end, and is not shown the signatures that are not
 * tried: what signs other signatures is not for it. */
static bool is_plain(const struct scan *scan)
{
    enum { NAMES_LENGTH_MAX = 4000 };
    const struct tag *i = tag_find(&scan->tags, "i");
    size_t number;

    if (!text_is_plain(scan->field->value))
        return false;
    for (number = 0; number < scan->tags.count; number++)
        if (!tag_is_plain(&scan->tags.tags[number]))
            return false;
    if (i != NULL &&
        (memchr(i->value, '=', i->value_length) != NULL ||
         memchr(i->value, '@', i->value_length) != memrchr(i->value, '@', i->value_length)))
        return false;
    return strlen(scan->signature->names) <= NAMES_LENGTH_MAX &&
           strcasestr(scan->signature->names, "dkim-signature") == NULL;
}

/* ---- a signature ---- */

/* What is wrong with the field by RFC 6376 6.1.1, or NULL. */
static const char *read_field(struct scan *scan)
{
    const struct header_field *field = scan->field;
    const char *problem;

    if (field->length > DKIM_FIELD_MAX)
        return "is too long";
    if (!tag_list_read(&scan->tags, field->value, field->length))
        return "is no list of tags";
    scan->signature->b_text =
        printable(scan->arena, tag_text(tag_find(&scan->tags, "b"), scan->arena));
    problem = read_names(scan);
    if (problem != NULL)
        return problem;
    if (!tag_is(tag_find(&scan->tags, "v"), "1"))
        return "is of an unknown version";
    problem = read_identity(scan);
    if (problem != NULL || !read_algorithm(scan))
        return problem;
    scan->signature->plain = true;
    problem = read_fields(scan);
    if (problem == NULL)
        problem = read_numbers(scan);
    return problem != NULL ? problem : read_hashes(scan);
}

/* RFC 6376 3.5 leaves it to us what becomes of the old and the future. */
static void judge_times(struct scan *scan)
{
    int64_t expires = tag_number(tag_find(&scan->tags, "x"), DIGITS_MAX);
    int64_t signed_at = tag_number(tag_find(&scan->tags, "t"), DIGITS_MAX);

    if (expires >= 0 && scan->now > expires + DKIM_EXPIRED_MAX)
        scan->signature->reason = "has expired";
    else if (signed_at > scan->now + DKIM_FUTURE_MAX)
        scan->signature->reason = "is dated in the future";
    else
        return;
    scan->signature->result = RESULT_POLICY;
}

void dkim_signature_read(struct dkim_signature *signature, const struct header_list *header,
                         size_t number, int64_t now, struct arena *arena)
{
    struct scan scan = {
        .signature = signature, .field = &header->fields[number], .arena = arena, .now = now};
    const char *problem;

    *signature = (struct dkim_signature){.field = number,
                                         .reason = "",
                                         .domain = "",
                                         .selector = "",
                                         .identity = "",
                                         .key_name = "",
                                         .algorithm_name = "unknown",
                                         .names = "",
                                         .b_text = "",
                                         .body_limit = -1};
    problem = read_field(&scan);
    if (problem != NULL) {
        signature->result = RESULT_NEUTRAL;
        signature->reason = problem;
    } else if (signature->result == RESULT_NONE) {
        signature->plain = signature->plain && is_plain(&scan);
        judge_times(&scan);
    }
}

bool dkim_signature_asks(const struct dkim_signature *signature)
{
    return signature->result == RESULT_NONE ||
           ((signature->result == RESULT_FAIL || signature->result == RESULT_POLICY) &&
            signature->key_name[0] != '\0');
}

/* ---- a key record ---- */

void dkim_key_read(struct dkim_key *key, const char *text, size_t length, struct arena *arena)
{
    struct tag_list tags;
    const struct tag *v, *k, *s, *h, *p;

    *key = (struct dkim_key){.problem = NULL};
    if (!tag_list_read(&tags, text, length)) {
        key->problem = "is no key record";
        return;
    }
    v = tag_find(&tags, "v");
    k = tag_find(&tags, "k");
    s = tag_find(&tags, "s");
    h = tag_find(&tags, "h");
    p = tag_find(&tags, "p");
    key->testing = tag_lists(tag_find(&tags, "t"), "y");
    key->exact = tag_lists(tag_find(&tags, "t"), "s");
    key->type = tag_is(k, "ed25519") ? KEY_ED25519 : KEY_RSA;
    /* RFC 6376 3.6.1: v= is the first tag, and records of another version are discarded. */
    if (v != NULL && (v != tags.tags || v->value_length != strlen("DKIM1") ||
                      memcmp(v->value, "DKIM1", v->value_length) != 0))
        key->problem = "is of an unknown version";
    else if (p == NULL)
        key->problem = "is no key record";
    else if (p->value_length == 0)
        key->problem = "is revoked";
    else if (k != NULL && !tag_is(k, "rsa") && !tag_is(k, "ed25519"))
        key->problem = "is of an unknown type";
    else if (s != NULL && !tag_lists(s, "*") && !tag_lists(s, "email"))
        key->problem = "is not for e-mail";
    else if (h != NULL && !tag_lists(h, "sha256"))
        key->problem = "is not for SHA-256";
    else if (!tag_base64(p, arena, &key->bytes, &key->length) || key->length == 0)
        key->problem = "is no base64";
}
