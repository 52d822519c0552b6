/* SPDX-License-Identifier: MIT */
#include "dkim_canon.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include <postern/arena.h>
#include <postern/str.h>

enum {
    BUFFER_SIZE = 1024, /* what is shorter is gathered before it is hashed */
    BLOCK = 64,
    SMALL_BLOCK = 16,
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- c= ---- */

static bool read_word(const char *word, size_t length, enum canon *canon)
{
    if (length == strlen("simple") && strncasecmp(word, "simple", length) == 0)
        *canon = CANON_SIMPLE;
    else if (length == strlen("relaxed") && strncasecmp(word, "relaxed", length) == 0)
        *canon = CANON_RELAXED;
    else
        return false;
    return true;
}

bool canon_read(const char *text, enum canon *header, enum canon *body)
{
    size_t length = strcspn(text, "/");

    *header = *body = CANON_SIMPLE;
    if (*text == '\0')
        return true;
    if (!read_word(text, length, header))
        return false;
    return text[length] == '\0' || read_word(text + length + 1, strlen(text + length + 1), body);
}

/* ---- header fields ---- */

/* RFC 6376 3.4.1: nothing is changed, but folding had CRLF when it was signed. */
static void simple_header(struct str *out, const char *name, const char *value, size_t length)
{
    const char *end = value + length;
    const char *start = value;
    const char *at = value;

    str_add(out, name);
    str_add_char(out, ':');
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if (at == value || at[-1] != '\r') {
            str_add_bytes(out, start, (size_t)(at - start));
            str_add_char(out, '\r');
            start = at;
        }
        at++;
    }
    str_add_bytes(out, start, (size_t)(end - start));
}

/* RFC 6376 3.4.2. */
static void relaxed_header(struct str *out, const char *name, const char *value, size_t length)
{
    size_t name_length = strlen(name);
    bool blank = false;
    bool empty = true;
    size_t start;
    size_t i = 0;

    while (name_length > 0 && is_blank(name[name_length - 1]))
        name_length--;
    for (; i < name_length; i++)
        str_add_char(out, (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]));
    str_add_char(out, ':');
    for (i = 0; i < length;) {
        if (is_blank(value[i])) {
            blank = true;
            i++;
        } else if (value[i] == '\n') {
            i++;
        } else if (value[i] == '\r' && i + 1 < length && value[i + 1] == '\n') {
            i += 2;
        } else {
            if (blank && !empty)
                str_add_char(out, ' ');
            blank = empty = false;
            start = i++;
            while (i < length && !is_blank(value[i]) && value[i] != '\r' && value[i] != '\n')
                i++;
            str_add_bytes(out, value + start, i - start);
        }
    }
}

void canon_header(struct str *out, enum canon canon, const char *name, const char *value,
                  size_t length)
{
    if (canon == CANON_RELAXED)
        relaxed_header(out, name, value, length);
    else
        simple_header(out, name, value, length);
}

/* ---- bodies ---- */

struct body_hash {
    enum canon canon;
    EVP_MD_CTX *digest;
    uint64_t length; /* of the canonical body so far */
    /* What is held back until it is known what follows: in this order. */
    uint64_t line_ends; /* CRLFs: perhaps they end the body */
    bool blank;         /* relaxed: white space, perhaps at the end of its line */
    bool cr;            /* perhaps a CRLF begins */
    size_t filled;
    unsigned char buffer[BUFFER_SIZE];
};

struct body_hash *body_hash_new(enum canon canon)
{
    struct body_hash *hash = xmalloc(sizeof(*hash));

    /* All but the buffer. */
    memset(hash, 0, offsetof(struct body_hash, buffer));
    hash->canon = canon;
    hash->digest = EVP_MD_CTX_new();
    if (hash->digest == NULL || EVP_DigestInit_ex(hash->digest, EVP_sha256(), NULL) != 1)
        abort(); /* no memory */
    return hash;
}

void body_hash_free(struct body_hash *hash)
{
    if (hash == NULL)
        return;
    EVP_MD_CTX_free(hash->digest);
    free(hash);
}

static void digest_add(struct body_hash *hash, const unsigned char *bytes, size_t length)
{
    if (EVP_DigestUpdate(hash->digest, bytes, length) != 1)
        abort(); /* SHA-256 cannot fail */
}

static void flush(struct body_hash *hash)
{
    digest_add(hash, hash->buffer, hash->filled);
    hash->filled = 0;
}

static void put(struct body_hash *hash, const unsigned char *bytes, size_t length)
{
    hash->length += length;
    if (length > BUFFER_SIZE - hash->filled)
        flush(hash);
    if (length > BUFFER_SIZE) {
        digest_add(hash, bytes, length);
        return;
    }
    memcpy(hash->buffer + hash->filled, bytes, length);
    hash->filled += length;
}

static void put_text(struct body_hash *hash, const char *text)
{
    put(hash, (const unsigned char *)text, strlen(text));
}

/* Something follows that is no white space: what was held back before it belongs to the body. */
static void release(struct body_hash *hash)
{
    for (; hash->line_ends > 0; hash->line_ends--)
        put(hash, (const unsigned char *)"\r\n", 2);
    if (hash->blank)
        put_text(hash, " ");
    hash->blank = false;
    if (hash->cr)
        put_text(hash, "\r");
    hash->cr = false;
}

/* Whether relaxed may change the byte that NEXT follows: a tab, or a blank that is not the only one
 * or the last of its line. */
static bool changes(unsigned char byte, unsigned char next)
{
    return (byte == '\t') | ((byte == ' ') & ((next == ' ') | (next == '\r')));
}

/* The same of a block and the byte behind it.  Without a way out of the loop, so that the compiler
 * makes vectors of it. */
static inline bool block_changes(const unsigned char *block, int size)
{
    unsigned char any = 0;

    for (int i = 0; i < size; i++)
        any |= changes(block[i], block[i + 1]);
    return any != 0;
}

/* How much of this relaxed leaves as it is, over however many lines.  This is where the time goes
 * for large bodies. */
static size_t unchanged(const unsigned char *bytes, size_t length)
{
    size_t i = 0;

    while (i + BLOCK < length && !block_changes(bytes + i, BLOCK))
        i += BLOCK;
    while (i + SMALL_BLOCK < length && !block_changes(bytes + i, SMALL_BLOCK))
        i += SMALL_BLOCK;
    while (i + 1 < length && !changes(bytes[i], bytes[i + 1]))
        i++;
    return i + 1 < length || is_blank((char)bytes[i]) ? i : length;
}

/* Takes what begins with neither white space nor a CR, with nothing held back, up to what is
 * held back or changed; returns how much that is. */
static size_t take(struct body_hash *hash, const unsigned char *bytes, size_t length)
{
    size_t end = hash->canon == CANON_RELAXED ? unchanged(bytes, length) : length;

    for (;;) {
        if (bytes[end - 1] == '\r' || (hash->canon == CANON_RELAXED && bytes[end - 1] == ' '))
            end--;
        else if (end > 2 && bytes[end - 1] == '\n' && bytes[end - 2] == '\r')
            end -= 2;
        else
            break;
    }
    put(hash, bytes, end);
    return end;
}

void body_hash_add(struct body_hash *hash, const unsigned char *bytes, size_t length)
{
    size_t i = 0;

    while (i < length) {
        if (hash->cr && bytes[i] == '\n') {
            /* RFC 6376 3.4.4: white space at the end of a line is ignored. */
            hash->cr = hash->blank = false;
            hash->line_ends++;
            i++;
            continue;
        }
        if (hash->cr)
            release(hash);
        if (bytes[i] == '\r') {
            hash->cr = true;
            i++;
        } else if (hash->canon == CANON_RELAXED && is_blank((char)bytes[i])) {
            hash->blank = true;
            i++;
        } else {
            release(hash);
            i += take(hash, bytes + i, length - i);
        }
    }
}

uint64_t body_hash_end(struct body_hash *hash, unsigned char digest[BODY_HASH_SIZE])
{
    unsigned written = 0;

    if (hash->cr)
        release(hash);
    /* RFC 6376 3.4.3 and 3.4.4: one CRLF at the end, added where there is none; an empty body
     * becomes one in simple, and stays empty in relaxed. */
    if (hash->length > 0 || hash->canon == CANON_SIMPLE)
        put_text(hash, "\r\n");
    flush(hash);
    if (EVP_DigestFinal_ex(hash->digest, digest, &written) != 1)
        abort();
    assert(written == BODY_HASH_SIZE);
    return hash->length;
}
