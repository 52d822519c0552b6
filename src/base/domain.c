/* SPDX-License-Identifier: MIT */
#include <postern/domain.h>

#include <string.h>

#include <idn2.h>

enum {
    LABEL_MAX = 63,
    NAME_MAX_OCTETS = DOMAIN_SIZE - 1,
    /* A name of 253 octets has at most as many characters, each of at most four octets in UTF-8. */
    UTF8_MAX = 4 * DOMAIN_SIZE
};

/* Lower case for what may stand in a name, 0 for what may not.  Underscores are no host names but
 * DNS names all the same (_dmarc, _domainkey), and hosts with underscores do send mail. */
static char name_char(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
        return c;
    return 0;
}

static bool canonical_ascii(const char *text, size_t length, char out[DOMAIN_SIZE])
{
    bool only_digits = true;
    size_t label = 0;
    size_t i;

    if (length != 0 && text[length - 1] == '.')
        length--;
    if (length == 0 || length > NAME_MAX_OCTETS)
        return false;
    for (i = 0; i < length; i++) {
        if (text[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
            out[i] = '.';
            continue;
        }
        out[i] = name_char(text[i]);
        if (out[i] == 0 || ++label > LABEL_MAX)
            return false;
        if (out[i] < '0' || out[i] > '9')
            only_digits = false;
    }
    out[length] = '\0';
    return label != 0 && !only_digits;
}

/* U-labels become A-labels as in RFC 5891 5; UTS 46 maps case and width first, as browsers and
 * mail programs do, and nontransitional processing keeps sharp s a letter of its own. */
static bool canonical_utf8(const char *text, size_t length, char out[DOMAIN_SIZE])
{
    char copy[UTF8_MAX + 1];
    uint8_t *ascii = NULL;
    bool good;

    if (length > UTF8_MAX || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (idn2_lookup_u8((const uint8_t *)copy, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) !=
        IDN2_OK)
        return false;
    good = canonical_ascii((const char *)ascii, strlen((const char *)ascii), out);
    idn2_free(ascii);
    return good;
}

bool domain_canonical(const char *text, size_t length, char out[DOMAIN_SIZE])
{
    bool good;
    size_t i;

    for (i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x80)
            break;
    }
    if (i == length)
        good = canonical_ascii(text, length, out);
    else
        good = canonical_utf8(text, length, out);
    if (!good)
        out[0] = '\0';
    return good;
}

bool domain_within(const char *name, const char *parent)
{
    size_t length = strlen(name);
    size_t suffix = strlen(parent);

    if (suffix == 0 || length < suffix || memcmp(name + length - suffix, parent, suffix) != 0)
        return false;
    return length == suffix || name[length - suffix - 1] == '.';
}

const char *domain_parent(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot != NULL ? dot + 1 : NULL;
}

size_t domain_labels(const char *name)
{
    size_t count = 1;

    if (*name == '\0')
        return 0;
    for (; *name != '\0'; name++) {
        if (*name == '.')
            count++;
    }
    return count;
}
