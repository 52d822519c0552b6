# SPDX-License-Identifier: MIT
#
# Writes the help pages into the folder OUT from what read.awk has read: LANGUAGE.html for each language, with an anchor per
# code and per rule, and index.html, with the same anchors, which leads to the reader's language.  A page needs nothing but
# itself; src/help/style.css stands in it.

function escaped(words) {
    gsub(/&/, "\\&amp;", words)
    gsub(/</, "\\&lt;", words)
    gsub(/>/, "\\&gt;", words)
    gsub(/"/, "\\&quot;", words)
    return words
}

# What is the same in every language runs from left to right in every page.
function code(words) {
    return "<code dir=\"ltr\" translate=\"no\">" escaped(words) "</code>"
}

function link(entry) {
    return "<a href=\"#" entry "\">" code(entry) "</a>"
}

# Text with its `...`, those that are keys of other entries as links.
function rich(words, own_key,    parts, count, i, all) {
    count = split(words, parts, "`")
    for (i = 1; i <= count; i++) {
        if (i % 2 == 1)
            all = all escaped(parts[i])
        else if (parts[i] in kind && parts[i] != own_key)
            all = all link(parts[i])
        else
            all = all code(parts[i])
    }
    return all
}

function label(name) {
    return rich(text[tag, "page", name])
}

function put(line) {
    print line > file
}

# The head of a page in the language TAG; the first letters of what follows are the reader's.
function put_head(title, html_lang, dir,    i, line) {
    put("<!DOCTYPE html>\n<html lang=\"" html_lang "\" dir=\"" dir "\">\n<head>\n<meta charset=\"utf-8\">")
    put("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">")
    put("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">")
    put("<title>" escaped(title) "</title>\n<link rel=\"icon\" href=\"data:,\">")
    for (i = 1; i <= langs; i++)
        put("<link rel=\"alternate\" hreflang=\"" text[lang[i], "page", "tag"] "\" href=\"" lang[i] ".html\">")
    put("<style>")
    while ((getline line < style) > 0)
        if (line !~ /^\/\*.*\*\/$/)
            put(line)
    close(style)
    put("</style>\n</head>\n<body>")
}

function put_languages(here,    i, current) {
    put("<nav class=\"languages\" aria-label=\"" label("languages") "\">\n<ul>")
    for (i = 1; i <= langs; i++) {
        current = lang[i] == here ? " aria-current=\"page\"" : ""
        put("<li><a href=\"" lang[i] ".html\" lang=\"" text[lang[i], "page", "tag"] "\" hreflang=\"" \
            text[lang[i], "page", "tag"] "\"" current ">" escaped(text[lang[i], "page", "name"]) "</a></li>")
    }
    put("</ul>\n</nav>")
}

# The place in the page goes along to another language.
function put_keep_place() {
    put("<script>\ndocument.querySelectorAll(\".languages a\").forEach(function (a) {")
    put("  a.addEventListener(\"click\", function () { a.hash = location.hash; });\n});\n</script>")
}

# ---- the tables at the top ----

function put_table_head(first, second) {
    put("<table>\n<thead><tr><th scope=\"col\">" first "</th><th scope=\"col\">" second "</th></tr></thead>\n<tbody>")
}

function put_codes_table(    i) {
    put_table_head(label("code"), label("use"))
    for (i = 1; i <= keys; i++)
        if (kind[key[i]] == "code")
            put("<tr><th scope=\"row\">" link(key[i]) " <span>" rich(text[tag, key[i], "title"]) "</span></th><td>" \
                rich(text[tag, key[i], "use"], key[i]) "</td></tr>")
    put("</tbody>\n</table>")
}

function codes_of(entry,    i, all, one) {
    for (i = 1; i <= rows; i++) {
        one = row_code[i] " " row_enhanced[i]
        if (row_rule[i] == entry && index(all, one) == 0)
            all = all " <span>" code(one) "</span>"
    }
    return all
}

function put_rules_table(    i) {
    put_table_head(label("rule"), label("meaning"))
    for (i = 1; i <= keys; i++)
        if (kind[key[i]] == "rule" || kind[key[i]] == "own")
            put("<tr><th scope=\"row\">" link(key[i]) codes_of(key[i]) "</th><td>" rich(text[tag, key[i], "title"]) "</td></tr>")
    put("</tbody>\n</table>")
}

# ---- entries ----

function put_field(entry, field) {
    if ((tag, entry, field) in text)
        put("<dt>" label(field) "</dt>\n<dd>" rich(text[tag, entry, field], entry) "</dd>")
}

function put_fields(entry,    i, list, n) {
    n = split("when sender admin go near use", list, " ")
    put("<dl>")
    for (i = 1; i <= n; i++)
        put_field(entry, list[i])
    put_users(entry)
    put("</dl>")
}

# The rules that speak a code.
function put_users(entry,    i, all, before) {
    for (i = 1; i <= rows; i++)
        if ((row_code[i] == entry || row_enhanced[i] == entry) && row_rule[i] != before) {
            all = all "<li>" link(row_rule[i]) "</li>"
            before = row_rule[i]
        }
    if (all != "" && kind[entry] != "rule")
        put("<dt>" label("used") "</dt>\n<dd><ul class=\"users\">" all "</ul></dd>")
}

function put_title(entry) {
    put("<h3 id=\"" entry "\">" code(entry) " " rich(text[tag, entry, "title"]) "</h3>")
}

function put_note(name) {
    put("<p class=\"note\">" label(name) "</p>")
}

function put_rule(entry,    i) {
    for (i = 1; i <= rows; i++)
        if (row_rule[i] == entry) {
            put("<pre dir=\"ltr\" lang=\"en\" translate=\"no\">" escaped(row_text[i]) "</pre>")
            put("<p class=\"codes\"><bdi dir=\"ltr\">" link(row_code[i]) " " link(row_enhanced[i]) "</bdi></p>")
        }
    put("<p>" rich(text[tag, entry, "says"], entry) "</p>")
    if (outcome[entry] == "accept")
        put_note("accepts")
    if (outcome[entry] == "quarantine")
        put_note("holds")
    if (off[entry])
        put_note("off")
    if (observes[entry])
        put_note("observes")
}

function put_entries(wanted,    i, list) {
    put("<section aria-labelledby=\"" wanted "\">\n<h2 id=\"" wanted "\">" label(wanted == "code" ? "codes" : wanted == "rule" ? "rules" : wanted) "</h2>")
    for (i = 1; i <= keys; i++) {
        if (kind[key[i]] != wanted)
            continue
        put("<article>")
        put_title(key[i])
        if (wanted == "rule" || wanted == "own")
            put_rule(key[i])
        else
            put("<p>" rich(text[tag, key[i], "says"], key[i]) "</p>")
        put_fields(key[i])
        put("</article>")
    }
    put("</section>")
}

# ---- pages ----

function unknown_mailbox(    i) {
    for (i = 1; i <= rows; i++)
        if (row_rule[i] == "unknown-mailbox")
            return row_text[i]
}

function put_page() {
    file = out "/" tag ".html"
    put_head(text[tag, "page", "title"], text[tag, "page", "tag"], text[tag, "page", "dir"])
    put("<a class=\"skip\" href=\"#contents\">" label("skip") "</a>\n<header>")
    put_languages(tag)
    put("<h1>" label("title") "</h1>\n<p>" label("intro") "</p>\n</header>\n<main id=\"contents\" tabindex=\"-1\">")
    put("<section aria-labelledby=\"how\">\n<h2 id=\"how\">" label("how") "</h2>")
    put("<pre dir=\"ltr\" lang=\"en\" translate=\"no\">" escaped(unknown_mailbox()) "</pre>")
    put("<p>" label("how-class") "</p>\n<p>" label("how-ref") "</p>\n<p>" label("how-post") "</p>\n</section>")
    put("<nav class=\"contents\" aria-label=\"" label("contents") "\">\n<ul>\n<li><a href=\"#which\">" label("which") "</a></li>")
    put("<li><a href=\"#all-rules\">" label("overview") "</a></li>\n<li><a href=\"#code\">" label("codes") "</a></li>")
    put("<li><a href=\"#enhanced\">" label("enhanced") "</a></li>\n<li><a href=\"#rule\">" label("rules") "</a></li>\n<li><a href=\"#own\">" label("own") "</a></li>\n</ul>\n</nav>")
    put("<section aria-labelledby=\"which\">\n<h2 id=\"which\">" label("which") "</h2>")
    put_codes_table()
    put("</section>\n<section aria-labelledby=\"all-rules\">\n<h2 id=\"all-rules\">" label("overview") "</h2>")
    put_rules_table()
    put("</section>")
    put_entries("code")
    put_entries("enhanced")
    put_entries("rule")
    put_entries("own")
    put("</main>\n<footer>\n<p>" label("foot") "</p>\n</footer>")
    put_keep_place()
    put("</body>\n</html>")
    close(file)
}

# Scripts lead on at once; without them the anchor is a line with a link for each language.
function put_index(    i, j, row) {
    tag = lang[1]
    file = out "/index.html"
    put_head(text[tag, "page", "title"], text[tag, "page", "tag"], text[tag, "page", "dir"])
    put("<script>\n(function () {\n  var pages = {};")
    for (i = 1; i <= langs; i++)
        put("  pages[\"" lang[i] "\"] = \"" lang[i] ".html\";")
    put("  var wanted = (navigator.languages || [navigator.language || \"\"]).map(function (one) {\n    return one.toLowerCase().split(\"-\")[0];\n  });")
    put("  wanted = wanted.concat(\"" lang[1] "\").filter(function (one) { return pages.hasOwnProperty(one); });")
    put("  location.replace(pages[wanted[0]] + location.hash);\n})();\n</script>")
    put("<header>\n<h1>" label("title") "</h1>\n</header>\n<main>\n<h2>" label("choose") "</h2>\n<ul class=\"choice\">")
    for (i = 1; i <= langs; i++)
        put("<li lang=\"" text[lang[i], "page", "tag"] "\" dir=\"" text[lang[i], "page", "dir"] "\"><a href=\"" lang[i] ".html\">" \
            escaped(text[lang[i], "page", "name"]) "</a> <span>" escaped(text[lang[i], "page", "title"]) "</span></li>")
    put("</ul>\n<h2>" label("contents") "</h2>")
    put_table_head(label("code") " / " label("rule"), label("languages"))
    for (i = 1; i <= keys; i++) {
        row = ""
        for (j = 1; j <= langs; j++)
            row = row (j > 1 ? " " : "") "<a href=\"" lang[j] ".html#" key[i] "\" lang=\"" text[lang[j], "page", "tag"] "\">" \
                "<bdi>" escaped(text[lang[j], "page", "name"]) "</bdi></a>"
        put("<tr id=\"" key[i] "\"><th scope=\"row\">" code(key[i]) "</th><td class=\"links\">" row "</td></tr>")
    }
    put("</tbody>\n</table>\n</main>\n<footer>\n<p>" label("foot") "</p>\n</footer>\n</body>\n</html>")
    close(file)
}

function write_all(    i) {
    for (i = 1; i <= langs; i++) {
        tag = lang[i]
        put_page()
    }
    put_index()
}
