# SPDX-License-Identifier: MIT
#
# Writes the manual page postern-replies(7) from what read.awk has read, in the first language.

function escaped(words) {
    gsub(/\\/, "\\e", words)
    return words
}

# A line of text, folded at blanks as hand-written pages are.
function put_folded(words,    at) {
    while (length(words) > 78) {
        for (at = 79; at > 1 && substr(words, at, 1) != " "; at--)
            ;
        if (at == 1)
            break
        print (words ~ /^[.']/ ? "\\&" : "") substr(words, 1, at - 1)
        words = substr(words, at + 1)
    }
    print (words ~ /^[.']/ ? "\\&" : "") words
}

# Text with its `...` as .Ql, each sentence on a line of its own.
function put_text(words,    parts, count, i, after, lines, n, j) {
    count = split(words, parts, "`")
    for (i = 1; i <= count; i++) {
        if (i % 2 == 0) {
            # What closes stands behind a blank on the macro's line, what follows on a line of its own.
            after = ""
            if (i < count && match(parts[i + 1], /^[.,;:)?]+/)) {
                after = substr(parts[i + 1], 1, RLENGTH)
                parts[i + 1] = substr(parts[i + 1], RLENGTH + 1)
                gsub(/./, " &", after)
            }
            print ".Ql " (parts[i] ~ / / ? "\"" parts[i] "\"" : parts[i]) after
            continue
        }
        sub(/^ +/, "", parts[i])
        sub(/ +$/, "", parts[i])
        if (parts[i] == "")
            continue
        gsub(/[.] /, ".\n", parts[i])
        n = split(escaped(parts[i]), lines, "\n")
        for (j = 1; j <= n; j++)
            put_folded(lines[j])
    }
}

# A line of a reply, broken at blanks to fit the page.
function put_literal(words,    lines, n, i, at) {
    n = split(words, lines, "\n")
    for (i = 1; i <= n; i++) {
        while (length(lines[i]) > 66) {
            for (at = 66; at > 1 && substr(lines[i], at, 1) != " "; at--)
                ;
            if (at == 1)
                break
            print escaped(substr(lines[i], 1, at - 1))
            lines[i] = "    " substr(lines[i], at + 1)
        }
        print escaped(lines[i])
    }
}

function put_item(name, entry, field,    heading) {
    if (!((name, entry, field) in text))
        return
    heading = text[name, "page", field]
    gsub(/`/, "", heading)
    print ".It Em " heading
    put_text(text[name, entry, field])
}

function put_fields(name, entry,    i, list, n) {
    n = split("when sender admin go near use", list, " ")
    print ".Bl -tag -width Ds"
    for (i = 1; i <= n; i++)
        put_item(name, entry, list[i])
    print ".El"
}

function put_rule(name, entry,    i, replies) {
    print ".Ss " entry
    put_text(text[name, entry, "title"] ".")
    for (i = 1; i <= rows; i++)
        if (row_rule[i] == entry)
            replies = replies row_text[i] "\n"
    if (replies != "") {
        print ".\\\" test: none it is a reply, made from the rule itself\n.Bd -literal -offset indent"
        put_literal(substr(replies, 1, length(replies) - 1))
        print ".Ed\n.Pp"
    }
    put_text(text[name, entry, "says"])
    if (outcome[entry] == "accept")
        put_text(text[name, "page", "accepts"])
    if (outcome[entry] == "quarantine")
        put_text(text[name, "page", "holds"])
    if (off[entry])
        put_text(text[name, "page", "off"])
    if (observes[entry])
        put_text(text[name, "page", "observes"])
    put_fields(name, entry)
}

function put_code(name, entry) {
    print ".Ss " entry
    put_text(text[name, entry, "title"] ".")
    put_text(text[name, entry, "says"])
    put_fields(name, entry)
}

function put_kind(name, heading, wanted,    i) {
    print ".Sh " toupper(heading)
    for (i = 1; i <= keys; i++)
        if (kind[key[i]] == wanted) {
            if (wanted == "rule" || wanted == "own")
                put_rule(name, key[i])
            else
                put_code(name, key[i])
        }
}

function put_examples() {
    print ".Sh EXAMPLES\nA bounce quotes a reply with 5.1.6; what is it about?"
    print ".\\\" test: session\n.Bd -literal -offset indent\n$ postern code 5.1.6\n5.1.6  Mailbox has moved\n\\&...\n.Ed"
    print ".Pp\nWhich of two codes is the right one for a rule?"
    print ".\\\" test: session\n.Bd -literal -offset indent\n$ COLUMNS=70 postern code 550 554 | head -n 1"
    print "550  Not taken: mailbox or policy   554  Transaction failed\n.Ed"
}

function write_all(    name) {
    name = lang[1]
    print ".\\\" SPDX-License-Identifier: MIT"
    print ".\\\" Made from etc/ and src/help/texts/" name ".txt; changes here are lost."
    print ".Dd November 22, 2026\n.Dt POSTERN-REPLIES 7\n.Os\n.Sh NAME\n.Nm postern-replies"
    print ".Nd what the replies of the mail policy daemon postern mean\n.Sh DESCRIPTION"
    put_text(text[name, "page", "intro"])
    print ".Pp"
    put_text(text[name, "page", "how-class"])
    print ".Pp"
    put_text(text[name, "page", "how-ref"])
    print ".Pp"
    put_text(text[name, "page", "how-post"])
    print ".Pp\nThe same texts are shown by"
    print ".Ic postern code ,\nwhich puts codes side by side, and stand in the help pages, in other languages,\ntoo; see\n.Xr postern-code 8 .\nThe replies are shown with examples for names and addresses."
    put_kind(name, text[name, "page", "codes"], "code")
    put_kind(name, text[name, "page", "enhanced"], "enhanced")
    put_kind(name, text[name, "page", "rules"], "rule")
    put_kind(name, text[name, "page", "own"], "own")
    put_examples()
    print ".Sh SEE ALSO\n.Xr postern-audit 5 ,\n.Xr postern.conf 5 ,\n.Xr postern-policy 7 ,\n.Xr postern 8 ,\n.Xr postern-code 8"
}
