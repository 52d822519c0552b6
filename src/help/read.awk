# SPDX-License-Identifier: MIT
#
# Reads rules (*.conf) and help texts (*.txt) for the writers beside it: table.awk (C), mdoc.awk (the manual page) and
# site.awk (the pages).  A text that is missing in one language, or that no rule needs, ends the build with a message.
#
# usage: awk -f read.awk -f WRITER.awk [-v out=FOLDER] etc/postern.conf etc/rules.d/*.conf own.conf texts/en.txt ...
#
# What the writers find:
#   langs, lang[1..langs]            the tags; the first is the language that all others are held against
#   keys, key[1..keys]               the keys of the entries in order; kind[KEY]: code, enhanced, rule or own
#   text[TAG, KEY, FIELD]            the texts; text[TAG, "page", LABEL] the labels
#   rows, row_rule[i] ...            the replies; outcome[RULE]: reply, accept, quarantine or header; off[RULE], observes[RULE]
# A writer has a function write_all().

function trouble(where, words) {
    print "help: " where ": " words > "/dev/stderr"
    failed = 1
}

# ---- rules ----

function start_samples() {
    split("rcpt bob@example.org|rcpt.domain example.org|rcpt.moved_to bob@example.com|sender alice@example.net|" \
          "sender.domain example.net|client.ip 192.0.2.1|client.name mail.example.net|helo mail.example.net|" \
          "hostname mx.example.org|id Y967Q6|help https://mx.example.org/postern|dnsbl.name zen|" \
          "dnsbl.reason https://bl.example/?ip=192.0.2.1|rhsbl.sender.name dbl|rhsbl.sender.reason https://bl.example/?d=example.net|" \
          "rhsbl.helo.name dbl|rhsbl.helo.reason https://bl.example/?d=mail.example.net|spf.domain example.net|spf.mechanism -all|" \
          "spf.explanation see https://example.net/spf|spf.problem two SPF records|spf.result softfail|received.count 51|" \
          "from.count 2|header.fault unclear_from|from.domain example.net|dmarc.policy reject|dkim.result fail|" \
          "dkim.reason the signature of example.net does not fit the body, which was changed|spf-temperror:spf.problem SERVFAIL for example.net|" \
          "dkim-temperror:dkim.reason key s1._domainkey.example.net not reachable|" \
          "signature-unacceptable:dkim.reason key of 512 bits", pairs, "|")
    for (i in pairs)
        sample[substr(pairs[i], 1, index(pairs[i], " ") - 1)] = substr(pairs[i], index(pairs[i], " ") + 1)
}

# What stands for a fact, in this rule or in any.
function example(name) {
    if ((rule ":" name) in sample)
        return sample[rule ":" name]
    return name in sample ? sample[name] : "(" name ")"
}

# The text of a reply with examples for what it shows.
function with_samples(words,    done, name, shows_id) {
    done = ""
    shows_id = index(words, "%{id}")
    while (match(words, /%\{[^}]*\}/)) {
        name = substr(words, RSTART + 2, RLENGTH - 3)
        done = done substr(words, 1, RSTART - 1) example(name)
        words = substr(words, RSTART + RLENGTH)
    }
    gsub(/%%/, "%", words)
    return done words (shows_id ? "" : " (ref " sample["id"] ")")
}

# Lines as on the wire, with line breaks between them.
function as_reply(code, enhanced, words,    lines, count, i, all) {
    count = split(words, lines, /\\n/)
    for (i = 1; i <= count; i++)
        all = all (i > 1 ? "\n" : "") code (i < count ? "-" : " ") enhanced " " lines[i]
    return all
}

function read_policy(line,    commented, rest, words) {
    commented = sub(/^# ?/, "", line)
    if (line ~ /^rule [^ ]+ +\{/) {
        split(line, words, " ")
        rule = words[2]
        if (rule in outcome) {
            rule = ""
            return
        }
        off[rule] = commented
        outcome[rule] = "none"
        rule_order[++rules] = rule
    }
    if (rule == "")
        return
    if (match(line, /(^|[ {])reply [0-9]+ [0-9.]+ "/)) {
        rest = substr(line, RSTART)
        sub(/^[ {]/, "", rest)
        split(rest, words, " ")
        outcome[rule] = "reply"
        row_rule[++rows] = rule
        row_code[rows] = words[2]
        row_enhanced[rows] = words[3]
        rest = substr(rest, index(rest, "\"") + 1)
        sub(/";.*$/, "", rest)
        row_source[rows] = rest
        row_text[rows] = as_reply(words[2], words[3], with_samples(rest))
    } else if (line ~ /(^|[ {;])accept;/)
        outcome[rule] = "accept"
    else if (line ~ /(^|[ {;])(quarantine|header) "/)
        outcome[rule] = line ~ /quarantine "/ ? "quarantine" : "header"
    if (line ~ /(^|[ ;])observe;/)
        observes[rule] = 1
    if (line ~ /\}[ ]*$/)
        rule = ""
}

# ---- texts ----

function kind_of(name) {
    if (name ~ /^[0-9][0-9][0-9]$/)
        return "code"
    if (name ~ /^[0-9]\.[0-9]+\.[0-9]+$/)
        return "enhanced"
    return name ~ /^postern:/ ? "own" : "rule"
}

function read_text(line,    colon, field, words) {
    if (line ~ /^(#|[ \t]*$)/)
        return
    if (line ~ /^\[[^ ]+\]$/) {
        entry = substr(line, 2, length(line) - 2)
        if ((tag, entry) in seen)
            trouble(FILENAME ":" FNR, "[" entry "] stands there twice")
        seen[tag, entry] = 1
        if (langs == 1 && entry != "page") {
            key[++keys] = entry
            kind[entry] = kind_of(entry)
        }
        return
    }
    colon = index(line, ": ")
    field = substr(line, 1, colon - 1)
    words = substr(line, colon + 2)
    if (colon == 0 || field !~ /^[a-z-]+$/ || entry == "") {
        trouble(FILENAME ":" FNR, "is neither [KEY] nor \"FIELD: text\"")
        return
    }
    if (split(words, ticks, "`") % 2 == 0)
        trouble(FILENAME ":" FNR, "a ` without its partner")
    text[tag, entry, field] = words
    if (langs == 1)
        field_order[++fields] = entry SUBSEP field
}

BEGIN {
    start_samples()
}

FNR == 1 {
    entry = rule = ""
    if (FILENAME ~ /\.txt$/) {
        tag = FILENAME
        sub(/^.*\//, "", tag)
        sub(/\.txt$/, "", tag)
        lang[++langs] = tag
    }
}

FILENAME ~ /\.conf$/ { read_policy($0); next }
{ read_text($0) }

# ---- is all there? ----

# What stands in `...` is the same in every language, in whatever order.
function check_ticks(where, ours, theirs,    a, b, n, i, count) {
    n = split(ours, a, "`")
    for (i = 2; i <= n; i += 2)
        count[a[i]]++
    n = split(theirs, b, "`")
    for (i = 2; i <= n; i += 2)
        count[b[i]]--
    for (i in count)
        if (count[i] != 0)
            trouble(where, "`" i "` stands in one language more often than in " lang[1])
}

function check_language(name,    i, parts, where) {
    for (i = 1; i <= fields; i++) {
        split(field_order[i], parts, SUBSEP)
        where = name ".txt: [" parts[1] "] " parts[2]
        if (!((name, parts[1], parts[2]) in text))
            trouble(where, "is missing")
        else
            check_ticks(where, text[lang[1], parts[1], parts[2]], text[name, parts[1], parts[2]])
    }
    for (i in text) {
        split(i, parts, SUBSEP)
        if (parts[1] == name && !((lang[1], parts[2], parts[3]) in text))
            trouble(name ".txt: [" parts[2] "] " parts[3], "is not in " lang[1] ".txt")
    }
}

function need(name, list,    words, n, i) {
    n = split(list, words, " ")
    for (i = 1; i <= n; i++)
        if (!((lang[1], name, words[i]) in text))
            trouble(lang[1] ".txt: [" name "] " words[i], "is missing")
}

function check_entries(    i) {
    for (i = 1; i <= keys; i++) {
        if (kind[key[i]] == "code")
            need(key[i], "title says when sender admin go near use")
        else if (kind[key[i]] == "enhanced")
            need(key[i], "title says when sender admin near")
        else if (!(key[i] in outcome))
            trouble(lang[1] ".txt: [" key[i] "]", "there is no such rule")
        else
            need(key[i], "title says admin" (outcome[key[i]] == "reply" ? " sender" : ""))
    }
    for (i = 1; i <= rules; i++)
        if (!(rule_order[i] in kind))
            trouble("rule " rule_order[i], "has no entry in " lang[1] ".txt")
    for (i = 1; i <= rows; i++) {
        if (!(row_code[i] in kind))
            trouble("rule " row_rule[i], "code " row_code[i] " has no entry in " lang[1] ".txt")
        if (!(row_enhanced[i] in kind))
            trouble("rule " row_rule[i], "code " row_enhanced[i] " has no entry in " lang[1] ".txt")
    }
}

END {
    check_entries()
    for (i = 2; i <= langs; i++)
        check_language(lang[i])
    if (failed)
        exit 1
    write_all()
}
