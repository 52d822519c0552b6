# SPDX-License-Identifier: MIT
#
# Writes the rules and texts that read.awk has read as C, for `postern code`.

# Awks do not agree on backslashes in what gsub puts in, so that none are left to it here.
function replaced(words, old, new,    at, all) {
    while ((at = index(words, old)) > 0) {
        all = all substr(words, 1, at - 1) new
        words = substr(words, at + 1)
    }
    return all words
}

function quoted(words) {
    return "\"" replaced(replaced(replaced(words, "\\", "\\\\"), "\"", "\\\""), "\n", "\\n") "\""
}

function write_language(name,    i, j, parts) {
    printf "static const struct help_entry entries_%s[] = {\n", name
    for (i = 1; i <= keys; i++) {
        printf "    {%s, HELP_KIND_%s, {", quoted(key[i]), toupper(kind[key[i]])
        for (j = 1; j <= field_count; j++)
            if ((name, key[i], field_names[j]) in text)
                printf "\n        [HELP_%s] = %s,", toupper(field_names[j]), quoted(text[name, key[i], field_names[j]])
        print "}},"
    }
    printf "};\nstatic const struct help_label labels_%s[] = {\n", name
    for (i = 1; i <= fields; i++) {
        split(field_order[i], parts, SUBSEP)
        if (parts[1] == "page")
            printf "    {%s, %s},\n", quoted(parts[2]), quoted(text[name, "page", parts[2]])
    }
    print "};"
}

function write_all(    i) {
    does["reply"] = "HELP_SPEAKS"
    does["accept"] = "HELP_ACCEPTS"
    does["quarantine"] = "HELP_HOLDS"
    does["header"] = "HELP_MARKS"
    field_count = split("title says when sender admin go near use", field_names, " ")
    print "/* Made from etc/ and src/help/texts; changes here are lost. */\n#include <postern/help.h>\n"
    for (i = 1; i <= langs; i++)
        write_language(lang[i])
    print "const struct help_language help_languages[] = {"
    for (i = 1; i <= langs; i++)
        printf "    {%s, %s, %s, entries_%s, %d, labels_%s, sizeof(labels_%s) / sizeof(labels_%s[0])},\n", quoted(lang[i]),
            quoted(text[lang[i], "page", "name"]), (text[lang[i], "page", "dir"] == "rtl" ? "true" : "false"), lang[i], keys,
            lang[i], lang[i], lang[i]
    print "};\nconst size_t help_language_count = " langs ";"
    print "const struct help_reply help_replies[] = {"
    for (i = 1; i <= rows; i++)
        printf "    {%s, %d, %s, %s, %s},\n", quoted(row_rule[i]), row_code[i], quoted(row_enhanced[i]), quoted(row_source[i]),
            quoted(row_text[i])
    print "};\nconst size_t help_reply_count = " rows ";"
    print "const struct help_rule help_rules[] = {"
    for (i = 1; i <= rules; i++)
        printf "    {%s, %s, %s, %s},\n", quoted(rule_order[i]), does[outcome[rule_order[i]]],
            (off[rule_order[i]] ? "true" : "false"), (observes[rule_order[i]] ? "true" : "false")
    print "};\nconst size_t help_rule_count = " rules ";"
}
