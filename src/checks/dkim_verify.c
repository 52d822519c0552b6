/* SPDX-License-Identifier: MIT */
#include "dkim_verify.h"

#include <stdlib.h>
#include <string.h>

#include <opendkim/dkim.h>
#include <openssl/evp.h>

#include <postern/arena.h>
#include <postern/str.h>

struct dkim_verifier {
    DKIM_LIB *library;
};

/* ---- by libopendkim ---- */

/* The hashes are all that is wanted: no key is fetched for a signature that is ignored. */
static DKIM_CBSTAT ignore_all(DKIM *message, DKIM_SIGINFO **signatures, int count)
{
    int i;

    (void)message;
    for (i = 0; i < count; i++)
        dkim_sig_ignore(signatures[i]);
    return DKIM_CBSTAT_CONTINUE;
}

static void set_option(DKIM_LIB *library, dkim_opts_t option, void *value, size_t size)
{
    if (dkim_options(library, DKIM_OP_SETOPT, option, value, size) != DKIM_STAT_OK)
        abort(); /* an option that it has */
}

struct dkim_verifier *dkim_verifier_new(void)
{
    struct dkim_verifier *verifier = xcalloc(1, sizeof(*verifier));
    /* Signatures that it cannot read keep their place in its list, and no key is wanted before the
     * end of the message. */
    unsigned flags = DKIM_LIBFLAGS_BADSIGHANDLES | DKIM_LIBFLAGS_DELAYSIGPROC;
    /* Times were judged already. */
    uint64_t drift = DKIM_FUTURE_MAX + DKIM_FUTURE_MAX / 2;

    verifier->library = dkim_init(NULL, NULL);
    if (verifier->library == NULL)
        abort(); /* no memory */
    set_option(verifier->library, DKIM_OPTS_FLAGS, &flags, sizeof(flags));
    set_option(verifier->library, DKIM_OPTS_CLOCKDRIFT, &drift, sizeof(drift));
    dkim_set_final(verifier->library, ignore_all);
    return verifier;
}

void dkim_verifier_free(struct dkim_verifier *verifier)
{
    if (verifier == NULL)
        return;
    dkim_close(verifier->library);
    free(verifier);
}

/* Gives it one field, folded with CRLF.  A field that it refuses (a semicolon in its name, say) is
 * none that h= could name. */
static void give(DKIM *message, const struct header_field *field, struct str *text)
{
    str_clear(text);
    canon_header(text, CANON_SIMPLE, field->name, field->value, field->length);
    (void)dkim_header(message, (unsigned char *)text->data, text->length);
}

/* The signatures that are for it, and the fields that they name: it copies all that it is given. */
static void give_header(DKIM *message, const struct header_list *header,
                        const struct dkim_signature *signatures, size_t count, const bool *named)
{
    /* It writes one place past its list of fields when h= takes every field and names one more.
     * This field no h= can take, because it reads names there without their blanks. */
    static unsigned char spare[] = "no field: -";
    struct str text = {0};
    size_t next = 0;
    size_t i;

    (void)dkim_header(message, spare, sizeof(spare) - 1);
    for (i = 0; i < header->count; i++) {
        bool given = named[i] && !header_is(&header->fields[i], DKIM_SIGNHEADER);

        while (next < count && signatures[next].field < i)
            next++;
        if (next < count && signatures[next].field == i)
            given = signatures[next].result == RESULT_NONE && signatures[next].plain;
        if (given)
            give(message, &header->fields[i], &text);
    }
    str_free(&text);
}

/* It takes these for white space in values, RFC 6376 2.8 does not; and no tab behind a name. */
static bool has_odd_space(const struct header_list *header)
{
    size_t i;

    for (i = 0; i < header->count; i++)
        if (strpbrk(header->fields[i].value, "\v\f\r") != NULL ||
            strchr(header->fields[i].name, '\t') != NULL)
            return true;
    return false;
}

/* Its own opinion of the signatures, before the end of the message, which it has without a body. */
static bool has_error(DKIM_SIGINFO *signature)
{
    return dkim_sig_geterror(signature) != DKIM_SIGERROR_UNKNOWN;
}

static void take_digests(DKIM *message, const struct dkim_signature *signatures, size_t count,
                         unsigned char (*digests)[HEADER_HASH_SIZE], bool *taken)
{
    DKIM_SIGINFO **list = NULL;
    int listed = 0;
    int next = 0;
    size_t i;

    if (dkim_getsiglist(message, &list, &listed) != DKIM_STAT_OK)
        return;
    for (i = 0; i < count && next < listed; i++) {
        if (signatures[i].result != RESULT_NONE || !signatures[i].plain)
            continue;
        taken[i] = !has_error(list[next++]);
    }
    (void)dkim_eom(message, NULL);
    next = 0;
    for (i = 0; i < count && next < listed; i++) {
        void *header, *body;
        size_t header_length, body_length;

        if (signatures[i].result != RESULT_NONE || !signatures[i].plain)
            continue;
        if (taken[i])
            taken[i] = dkim_sig_gethashes(list[next], &header, &header_length, &body,
                                          &body_length) == DKIM_STAT_OK &&
                       header_length == HEADER_HASH_SIZE;
        if (taken[i])
            memcpy(digests[i], header, HEADER_HASH_SIZE);
        next++;
    }
}

void dkim_header_digests_library(struct dkim_verifier *verifier, const struct header_list *header,
                                 const struct dkim_signature *signatures, size_t count,
                                 unsigned char (*digests)[HEADER_HASH_SIZE], bool *taken,
                                 struct arena *arena)
{
    bool *named = arena_alloc(arena, header->count * sizeof(*named));
    DKIM_STAT status;
    DKIM *message;
    bool any = false;
    size_t i;

    for (i = 0; i < count; i++) {
        taken[i] = false;
        if (signatures[i].result != RESULT_NONE || !signatures[i].plain)
            continue;
        any = true;
        header_list_mark(header, signatures[i].names, named);
    }
    if (!any || has_odd_space(header))
        return;
    message = dkim_verify(verifier->library, (const unsigned char *)"", NULL, &status);
    if (message == NULL)
        abort(); /* no memory */
    give_header(message, header, signatures, count, named);
    if (dkim_eoh(message) == DKIM_STAT_OK)
        take_digests(message, signatures, count, digests, taken);
    (void)dkim_free(message);
}

/* ---- by ourselves ---- */

static void update(EVP_MD_CTX *context, const struct str *text)
{
    if (EVP_DigestUpdate(context, text->data, text->length) != 1)
        abort(); /* SHA-256 cannot fail */
}

static void add_field(EVP_MD_CTX *context, struct str *text, enum canon canon,
                      const struct header_field *field)
{
    str_clear(text);
    canon_header(text, canon, field->name, field->value, field->length);
    str_add(text, "\r\n");
    update(context, text);
}

/* RFC 6376 3.7: the signature itself comes last, without what b= holds and without CRLF. */
static void add_signature(EVP_MD_CTX *context, struct str *text,
                          const struct dkim_signature *signature, const struct header_field *field)
{
    struct str value = {0};
    size_t behind = signature->b_start + signature->b_length;

    str_add_bytes(&value, field->value, signature->b_start);
    str_add_bytes(&value, field->value + behind, field->length - behind);
    str_clear(text);
    canon_header(text, signature->header_canon, field->name, value.data, value.length);
    update(context, text);
    str_free(&value);
}

void dkim_header_digest_own(const struct header_list *header,
                            const struct dkim_signature *signature,
                            unsigned char digest[HEADER_HASH_SIZE], struct arena *arena)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool *used = arena_alloc(arena, header->count * sizeof(*used));
    const char *name = signature->names;
    struct str text = {0};

    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        abort(); /* no memory */
    /* RFC 6376 3.5: h= may name other signatures, and never means the one that it stands in. */
    used[signature->field] = true;
    while (*name != '\0') {
        size_t length = strcspn(name, ":");
        const struct header_field *field =
            length > 0 ? header_list_take(header, used, name, length) : NULL;

        if (field != NULL)
            add_field(context, &text, signature->header_canon, field);
        name += length + (name[length] == ':');
    }
    add_signature(context, &text, signature, &header->fields[signature->field]);
    if (EVP_DigestFinal_ex(context, digest, NULL) != 1)
        abort();
    EVP_MD_CTX_free(context);
    str_free(&text);
}

void dkim_header_digests(struct dkim_verifier *verifier, const struct header_list *header,
                         const struct dkim_signature *signatures, size_t count,
                         unsigned char (*digests)[HEADER_HASH_SIZE], struct arena *arena)
{
    bool *taken = arena_alloc(arena, count * sizeof(*taken));
    size_t i;

    dkim_header_digests_library(verifier, header, signatures, count, digests, taken, arena);
    for (i = 0; i < count; i++)
        if (signatures[i].result == RESULT_NONE && !taken[i])
            dkim_header_digest_own(header, &signatures[i], digests[i], arena);
}
