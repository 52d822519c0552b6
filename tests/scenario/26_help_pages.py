#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# time limit: 120 s
"""The help pages: every anchor in every language, links that lead somewhere, clean HTML, and replies of a real Postfix that
point to them; and the same texts in the terminal."""

import glob
import html.parser
import os
import re
import subprocess
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from harness import *

enter_sandbox()

LANGUAGES = {"en": ("en", "ltr"), "zh": ("zh-Hans", "ltr"), "vi": ("vi", "ltr"), "ar": ("ar", "rtl")}
CODES = ["354", "421", "450", "451", "452", "521", "550", "551", "552", "553", "554", "556"]
PLACE = folder("pages")
subprocess.run(["make", "-s", "-C", ROOT, "site", "V=1", "BUILD=" + PLACE], check=True)
SITE = PLACE + "/site"
HELP = "https://mx.example.test/postern/"

nsd = Nsd({"example.net": "@ MX 10 mail\nmail A 203.0.113.7\n", "nomail.example": "@ MX 0 .\n", "example": "", "test": ""})
dns = Unbound({".": nsd.at})
sink = Sink()
# The shipped rules, each with the address of its page behind its text.
RULES = folder("rules")
for path in glob.glob(installed() + "/rules.d/*.conf"):
    write(os.path.join(RULES, os.path.basename(path)), re.sub(r'^(    reply \d.*)";$', r'\1; see %{help}";', read(path), flags=re.M))
postern = Postern("""
help_url %s;
table ours { example.test; }
table trusted { 192.0.2.250; }
table forwarders { };
table forwarder_domains { };
table users { alice@example.test; }
table leavers file:{dir}/leavers;
recipients { domains ours; known users; moved leavers; }
include %s/*.conf;
""" % (HELP, RULES), resolver=dns, files={"leavers": "dave@example.test dave@example.net\nerin@example.test\n"})
mx = Postfix(postern.milter, sink, main={"mynetworks": "192.0.2.250", "relay_domains": "elsewhere.example nomail.example"})


class Page(html.parser.HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, name):
        super().__init__()
        self.name, self.ids, self.links, self.headings, self.tags, self.text = name, [], [], [], [], ""
        self.feed(read(os.path.join(SITE, name)))
        self.close()

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        if re.match(r"h[1-6]$", tag):
            self.headings.append(int(tag[1]))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


PAGES = {name: Page(name) for name in [one + ".html" for one in LANGUAGES] + ["index.html"]}


def shipped_rules():
    """The rules of etc/, those that are comments, too."""
    names = set()
    for path in [ROOT + "/etc/postern.conf"] + glob.glob(ROOT + "/etc/rules.d/*.conf"):
        names |= set(re.findall(r"^(?:# )?rule (\S+)", read(path), re.M))
    expect(len(names) > 20, names)
    return names


def shipped_codes():
    codes = set()
    for path in [ROOT + "/etc/postern.conf"] + glob.glob(ROOT + "/etc/rules.d/*.conf"):
        for pair in re.findall(r'\breply (\d{3}) (\d\.\d+\.\d+) "', read(path)):
            codes |= set(pair)
    return codes


@case("there is a page for each language and an index, and nothing else")
def _():
    same(sorted(os.listdir(SITE)), sorted(PAGES))


@case("each code and each shipped rule is an anchor in each language, and in the index")
def _():
    wanted = shipped_rules() | shipped_codes() | set(CODES) | {"postern:fault", "postern:split", "postern:busy"}
    for page in PAGES.values():
        same(sorted(wanted - set(page.ids)), [], page.name)
        same(len(page.ids), len(set(page.ids)), "ids of " + page.name)
    for name in LANGUAGES:
        page = PAGES[name + ".html"]
        headings = {attributes.get("id") for tag, attributes in page.tags if tag == "h3"}
        same(sorted(wanted - headings), [], "headings of " + name)


@case("all links lead to a page and an anchor that are there")
def _():
    for page in PAGES.values():
        expect(len(page.links) > 50, page.name)
        for link in page.links + [one["href"] for one in page.all("link") if one["rel"] == "alternate"]:
            name, _, anchor = link.partition("#")
            target = PAGES.get(name or page.name)
            expect(target is not None, "%s: %s" % (page.name, link))
            expect(not anchor or anchor in target.ids, "%s: %s" % (page.name, link))
    for key in shipped_rules():
        for name in LANGUAGES:
            has(PAGES["index.html"].links, "%s.html#%s" % (name, key))


@case("pages load nothing, and say so")
def _():
    for page in PAGES.values():
        text = read(os.path.join(SITE, page.name))
        for tag in "img", "iframe", "object", "embed", "audio", "video", "form":
            same(page.all(tag), [], page.name)
        same([one for one in page.all("script") if "src" in one], [], page.name)
        same({one["href"] for one in page.all("link") if one["rel"] != "alternate"}, {"data:,"}, page.name)
        same(re.findall(r"url\(|@import", text), [], page.name)
        policy = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
        expect(len(policy) == 1 and policy[0].startswith("default-src 'none';"), policy)


@case("what a screen reader goes by: language, direction, landmarks, headings in order, table heads")
def _():
    for page in PAGES.values():
        tag, direction = LANGUAGES.get(page.name[:-5], ("en", "ltr"))
        same((page.all("html")[0]["lang"], page.all("html")[0]["dir"]), (tag, direction), page.name)
        same([len(page.all(one)) for one in ("main", "header", "footer", "title", "h1")], [1] * 5, page.name)
        has([one.get("name") for one in page.all("meta")], "viewport")
        same(page.headings[0], 1)
        for before, after in zip(page.headings, page.headings[1:]):
            expect(after <= before + 1, "%s: h%d behind h%d" % (page.name, after, before))
        expect(all(one.get("scope") in ("col", "row") for one in page.all("th")), page.name)
        expect(all("aria-label" in one for one in page.all("nav")), page.name)
        # Codes and replies run from left to right in every page.
        for one in page.all("code") + page.all("pre"):
            same(one.get("dir"), "ltr", page.name)
        if page.name != "index.html":
            first = [attributes for tag, attributes in page.tags if tag == "a"][0]
            same((first["class"], first["href"]), ("skip", "#contents"))
            same([one["hreflang"] for one in page.all("a") if one.get("aria-current")], [tag])
    for one in PAGES["index.html"].all("a"):
        name = one["href"].partition(".")[0]
        same(one.get("lang", LANGUAGES[name][0]), LANGUAGES[name][0])


@case("the HTML is clean")
def _():
    # tidy 5.6 does not know this attribute of WAI-ARIA 1.1.
    known = 'proprietary attribute "aria-current"'
    for name in PAGES:
        found = subprocess.run(["tidy", "-q", "-e", "-utf8", os.path.join(SITE, name)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        same([line for line in found.stderr.splitlines() if known not in line], [], name)
    broken = subprocess.run(["tidy", "-q", "-e", "-utf8"], input="<!DOCTYPE html><html><body><p></b></html>", stderr=subprocess.PIPE, text=True)
    expect(broken.returncode > 0 and broken.stderr, "tidy finds what is wrong")


@case("replies of a real Postfix point to an anchor that is there, for each rule that refuses at RCPT")
def _():
    rows = [("someone@example.net", "nobody@example.test", "unknown-mailbox", "550"), ("someone@example.net", "dave@example.test", "moved", "551"),
            ("someone@example.net", "erin@example.test", "moved-away", "550"), ("someone@example.net", "x@elsewhere.example", "relay-denied", "551"),
            ("someone@example.net", "x@nomail.example", "null-mx-recipient", "556"), ("someone@nomail.example", "alice@example.test", "null-mx-sender", "550"),
            ("someone@gone.test", "alice@example.test", "no-sender-domain", "550")]
    for sender, recipient, rule, code in rows:
        with mx.client("203.0.113.7", "mail.example.net") as client:
            same(client.mail(sender).code, 250)
            reply = client.rcpt(recipient)
        same(str(reply.code), code, rule)
        url = matches(reply.text, r"; see (\S+) \(ref \w{6}\)$").group(1)
        same(url, HELP + "#" + rule)
        for page in PAGES.values():
            has(page.ids, url.partition("#")[2], page.name)
        # The page shows the reply as it was spoken.
        words = reply.text.partition(">: ")[2].partition("; see ")[0].partition("<")[0].partition(" Domain ")[0]
        expect(words and words in PAGES["en.html"].text, words)


# ---- the terminal ----

def code(*words, status=0, **env):
    env = dict({"LC_ALL": "C.UTF-8"}, **env)
    got = subprocess.run(["env"] + ["%s=%s" % pair for pair in env.items()] + [binary(), "code", *words], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, encoding="utf-8")
    same(got.returncode, status, got.stderr)
    return got.stdout if status == 0 else got.stderr


def columns(line):
    return sum(0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in line)


@case("postern code: side by side where there is room, one below the other where not; never wider than the terminal")
def _():
    for lang in LANGUAGES:
        for width in 20, 40, 60, 80, 160, 500:
            for words in ("354",), ("354", "551"), ("550", "551", "554"), ("521", "556", "5.7.26", "dmarc"):
                out = code("--lang", lang, *words, COLUMNS=str(width))
                for line in out.splitlines():
                    expect(columns(line) <= max(width, 24) or width >= 500, "%d of %d columns: %s" % (columns(line), width, line))
                    expect(line == line.rstrip(), "blanks at the end of %r" % line)
                expect("`" not in out and "\x1b" not in out, "plain in a pipe")
                side = lang != "ar" and len(words) > 1 and (width - 3 * (len(words) - 1)) // len(words) >= 24
                first = out.splitlines()[0]
                same(all(one in first for one in words), side or len(words) == 1, "%s %s: %s" % (width, words, first))
    has(code("354", "551", COLUMNS="80"), "354  Start mail input                    551  User not local\n\nWhat it says\n")


@case("postern code: each code and rule is known, in each language; the list has them all")
def _():
    keys = sorted(shipped_rules() | shipped_codes() | set(CODES))
    for lang in LANGUAGES:
        everything = code("--lang", lang)
        for key in keys:
            matches(everything, r"(?m)^  %s  " % re.escape(key))
    for key in keys:
        text = code(key)
        expect(text.startswith(key + "  "), text[:40])
        expect(text.splitlines()[0].partition("  ")[2] in PAGES["en.html"].text, key)
    has(code("unknown-mailbox", COLUMNS="120"), "  550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown (ref ")
    has(code("551"), "relay-denied, moved\n")
    has(code("trusted"), "refuses nothing")
    has(code("closed"), "shipped as a comment")
    has(code("spf-permerror"), "only observes")


@case("postern code: the language of the locale, where the terminal can show it")
def _():
    rows = [({"LC_ALL": "zh_CN.UTF-8"}, "zh"), ({"LC_ALL": "", "LANG": "vi_VN.utf8"}, "vi"), ({"LC_ALL": "", "LC_MESSAGES": "ar_EG.UTF-8", "LANG": "vi_VN.UTF-8"}, "ar"),
            ({"LC_ALL": "zh_CN.GB18030"}, "en"), ({"LC_ALL": "C"}, "en"), ({"LC_ALL": "fr_FR.UTF-8"}, "en"), ({"LC_ALL": "", "LC_MESSAGES": "", "LANG": ""}, "en")]
    for env, lang in rows:
        same(code("550", **env), code("550", "--lang", lang), str(env))
    same(code("550", "-l", "vi", LC_ALL="zh_CN.UTF-8"), code("550", "--lang", "vi"))


@case("postern code: what is not known, and what is wrong")
def _():
    has(code("557", status=1), "nothing is known of '557'; did you mean '55")
    has(code("5.7.62", status=1), "did you mean '5.7.2")
    has(code("dmrac", "354", status=1), "did you mean 'dmarc'")
    has(code("zzzzzzzz", status=1), "'postern code' lists all")
    has(code("\x1b[2J\u00fc", status=1), "'?[2J??'")
    has(code("--lang", "fr", "550", status=2), "en, zh, vi or ar")
    has(code(*["550"] * 9, status=2), "usage")
    same(code("550", "550").count("Not taken"), 2)


main()
