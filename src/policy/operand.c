/* SPDX-License-Identifier: MIT */
#include "policy_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <postern/domain.h>
#include <postern/words.h>

static bool read_bool(struct policy_builder *builder, const struct slot *slot,
                      const struct token *token, struct operand *operand)
{
    operand->number = strcmp(token->text, "true") == 0 || strcmp(token->text, "yes") == 0;
    if (operand->number != 0 || strcmp(token->text, "false") == 0 || strcmp(token->text, "no") == 0)
        return true;
    builder_error(builder, &token->at, "'%s' is true or false, not '%s'", slot->name, token->text);
    return false;
}

static bool read_number(struct policy_builder *builder, const struct slot *slot,
                        const struct token *token, struct operand *operand)
{
    static const char units[] = "KMG"; /* of bytes, as sizes are written in options */
    const char *unit;
    char *end;

    errno = 0;
    operand->number = strtoll(token->text, &end, 10);
    unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (end != token->text && errno == 0 && *end == '\0')
        return true;
    if (end != token->text && errno == 0 && unit != NULL && end[1] == '\0' &&
        !__builtin_mul_overflow(operand->number, INT64_C(1) << 10 * (unit - units + 1),
                                &operand->number))
        return true;
    builder_error(builder, &token->at,
                  "'%s' is a number and cannot be compared with '%s'; sizes may be written as 64K, "
                  "10M or 1G",
                  slot->name, token->text);
    return false;
}

static bool read_domain(struct policy_builder *builder, const struct slot *slot,
                        const struct token *token, struct operand *operand)
{
    char name[DOMAIN_SIZE];

    operand->text = "";
    if (token->length == 0)
        return true;
    if (domain_canonical(token->text, token->length, name)) {
        operand->text = arena_strdup(builder->arena, name);
        return true;
    }
    if (token->text[0] == '.')
        builder_error(builder, &token->at,
                      "'%s' is a domain; '%s' with all names below it can stand in a table only",
                      slot->name, token->text);
    else
        builder_error(builder, &token->at, "'%s' is a domain, and '%s' is no domain name",
                      slot->name, token->text);
    return false;
}

static bool read_address(struct policy_builder *builder, const struct slot *slot,
                         const struct token *token, struct operand *operand)
{
    const char *at = strrchr(token->text, '@');
    char domain[DOMAIN_SIZE];

    operand->text = token->text;
    if (token->length == 0)
        return true;
    if (at == NULL) {
        if (strcasecmp(token->text, "postmaster") != 0)
            builder_warning(builder, &token->at,
                            "'%s' has no '@', so only an address without a domain is equal to it",
                            token->text);
        return true;
    }
    if (at == token->text || !domain_canonical(at + 1, strlen(at + 1), domain)) {
        builder_error(builder, &token->at, "'%s' is an address, and '%s' is not local@domain",
                      slot->name, token->text);
        return false;
    }
    if (at == token->text + 1 && token->text[0] == '*')
        builder_warning(builder, &token->at,
                        "'*' is no pattern; all addresses of the domain are %s.domain == \"%s\"",
                        slot->name, domain);
    operand->text =
        arena_printf(builder->arena, "%.*s@%s", (int)(at - token->text), token->text, domain);
    return true;
}

static bool read_ip(struct policy_builder *builder, const struct slot *slot,
                    const struct token *token, bool network, struct operand *operand)
{
    bool host_bits = false;

    if (!net_parse(token->text, &operand->net, &host_bits)) {
        builder_error(builder, &token->at, "'%s' is an IP address, and '%s' is no address%s",
                      slot->name, token->text, network ? " or network" : "");
        return false;
    }
    if (!network && strchr(token->text, '/') != NULL) {
        builder_error(builder, &token->at, "'%s' is a network; write '%s in { %s }'", token->text,
                      slot->name, token->text);
        return false;
    }
    if (host_bits) {
        char text[ADDR_TEXT_SIZE];

        builder_warning(builder, &token->at, "'%s' stands for the network %s/%u", token->text,
                        addr_format(&operand->net.addr, text), (unsigned)operand->net.bits);
    }
    return true;
}

static bool read_word(struct policy_builder *builder, const struct slot *slot,
                      const struct token *token, struct operand *operand)
{
    int word = slot_word(slot, token->text);
    const char *all = "";
    const char *nearest;
    int i;

    if (word >= 0) {
        operand->number = word;
        return true;
    }
    for (i = 0; i < slot->word_count; i++)
        all = arena_printf(builder->arena, "%s%s%s", all, i != 0 ? ", " : "", slot->words[i]);
    nearest = words_nearest(token->text, slot->words, slot->word_count);
    if (nearest != NULL)
        builder_error(builder, &token->at,
                      "'%s' is never '%s'; did you mean '%s'? (it is one of %s)", slot->name,
                      token->text, nearest, all);
    else
        builder_error(builder, &token->at, "'%s' is never '%s'; it is one of %s", slot->name,
                      token->text, all);
    return false;
}

/* Members of sets are mostly domains, but a set may hold other names. */
static const char *member_name(struct arena *arena, const struct token *token)
{
    char domain[DOMAIN_SIZE];

    if (domain_canonical(token->text, token->length, domain))
        return arena_strdup(arena, domain);
    return token->text;
}

bool operand_read(struct policy_builder *builder, slot_t number, const struct token *token,
                  bool network, struct operand *operand)
{
    const struct slot *slot = &builder->layout->slots[number];

    memset(operand, 0, sizeof(*operand));
    if (slot->type != FACT_WORD && token->kind == TOKEN_WORD &&
        layout_find(builder->facts, token->text) != SLOT_NONE) {
        builder_error(builder, &token->at,
                      "'%s' is a fact, and facts cannot be compared with each other; write \"%s\" "
                      "if this text is meant",
                      token->text, token->text);
        return false;
    }
    switch ((enum fact_type)slot->type) {
    case FACT_BOOL:
        return read_bool(builder, slot, token, operand);
    case FACT_NUMBER:
        return read_number(builder, slot, token, operand);
    case FACT_DOMAIN:
        return read_domain(builder, slot, token, operand);
    case FACT_ADDRESS:
        return read_address(builder, slot, token, operand);
    case FACT_IP:
        return read_ip(builder, slot, token, network, operand);
    case FACT_WORD:
        return read_word(builder, slot, token, operand);
    case FACT_SET:
        operand->text = member_name(builder->arena, token);
        return true;
    case FACT_TEXT:
    case FACT_LOCAL_PART:
        operand->text = token->text;
        return true;
    case FACT_ROWS:
        break;
    }
    return false;
}

static int compare_exact(const void *a, const void *b)
{
    return strcmp(((const struct operand *)a)->text, ((const struct operand *)b)->text);
}

static int compare_caseless(const void *a, const void *b)
{
    return strcasecmp(((const struct operand *)a)->text, ((const struct operand *)b)->text);
}

size_t operands_sort(enum fact_type type, struct operand *operands, size_t count)
{
    int (*compare)(const void *, const void *) =
        type == FACT_TEXT ? compare_exact : compare_caseless;
    size_t kept = 1;
    size_t i;

    if (count < 2 || operands[0].text == NULL)
        return count;
    qsort(operands, count, sizeof(*operands), compare);
    for (i = 1; i < count; i++) {
        if (compare(&operands[i], &operands[kept - 1]) != 0)
            operands[kept++] = operands[i];
    }
    return kept;
}
