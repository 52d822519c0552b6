/* SPDX-License-Identifier: MIT */
#include <postern/help.h>

#include <assert.h>
#include <string.h>

const struct help_language *help_language(const char *tag)
{
    size_t length = strcspn(tag, "-_.@");

    for (size_t i = 0; i < help_language_count; i++) {
        const char *known = help_languages[i].tag;
        if (strlen(known) == length && strncmp(known, tag, length) == 0)
            return &help_languages[i];
    }
    return NULL;
}

const struct help_entry *help_find(const struct help_language *language, const char *key)
{
    for (size_t i = 0; i < language->entry_count; i++) {
        if (strcmp(language->entries[i].key, key) == 0)
            return &language->entries[i];
    }
    return NULL;
}

const char *help_label(const struct help_language *language, const char *name)
{
    for (size_t i = 0; i < language->label_count; i++) {
        if (strcmp(language->labels[i].name, name) == 0)
            return language->labels[i].text;
    }
    assert(!"a label that is not there");
    return "";
}

const char *help_field_label(const struct help_language *language, enum help_field field)
{
    static const char *const names[HELP_FIELDS] = {
        [HELP_TITLE] = "meaning", [HELP_SAYS] = "says",   [HELP_WHEN] = "when",
        [HELP_SENDER] = "sender", [HELP_ADMIN] = "admin", [HELP_GO] = "go",
        [HELP_NEAR] = "near",     [HELP_USE] = "use",
    };

    return help_label(language, names[field]);
}

const struct help_rule *help_rule(const char *name)
{
    for (size_t i = 0; i < help_rule_count; i++) {
        if (strcmp(help_rules[i].name, name) == 0)
            return &help_rules[i];
    }
    return NULL;
}
