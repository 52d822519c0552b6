# SPDX-License-Identifier: MIT
#
# make                 build/postern; needs no root
# make check           everything: unit tests and scenarios (installs what is missing, as root)
# make help            the other targets
#
# WERROR=1             warnings are errors
# SAN=address|thread   build with ASan+UBSan or TSan, in build-asan or build-tsan
# BUILD=DIR            another folder for all output
# V=1                  show the commands
# PEERS=install        make bench installs the filters that postern is held against
# BENCHFLAGS=...       for tests/bench/run

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
DATADIR ?= $(PREFIX)/share
LIBEXECDIR ?= $(PREFIX)/libexec
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
BASHDIR ?= $(DATADIR)/bash-completion/completions
# Debian's own packages use /usr/share/zsh/vendor-completions.
ZSHDIR ?= $(DATADIR)/zsh/site-functions
CONFDIR := /etc/postern
FUZZ_TIME ?= 30
TESTFLAGS ?=

PKG_CONFIG ?= pkg-config
PKGS := libevent libevent_pthreads libunbound libpcre2-8 lmdb libidn2 libsystemd jansson libcrypto opendkim
LIBS_FOUND := $(shell $(PKG_CONFIG) --exists $(PKGS) 2>/dev/null && echo yes)

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wconversion
HARDEN := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
BUILD ?= build
# Fortified string functions would hide overruns from the sanitizers.
ifeq ($(SAN),address)
BUILD := build-asan
HARDEN := -fstack-protector-strong
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifeq ($(SAN),thread)
BUILD := build-tsan
HARDEN := -fstack-protector-strong
SANFLAGS := -fsanitize=thread -fno-omit-frame-pointer
else ifneq ($(SAN),)
$(error SAN is address or thread)
endif

ALL_CFLAGS := -std=c17 $(WARN) $(if $(WERROR),-Werror) $(HARDEN) -fPIE -pthread $(CFLAGS) $(SANFLAGS)
ALL_CPPFLAGS := -D_GNU_SOURCE -Iinclude \
	$(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null) $(CPPFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed -pthread $(SANFLAGS) $(LDFLAGS)
# libmilter and libspf2 come without pkg-config files.
LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) -lmilter -lspf2

SRCS := $(wildcard src/*/*.c)
OBJS := $(SRCS:%.c=$(BUILD)/obj/%.o)
CLI_OBJS := $(filter $(BUILD)/obj/src/cli/%,$(OBJS))
LIB_OBJS := $(filter-out $(CLI_OBJS),$(OBJS)) $(BUILD)/obj/src/help/texts.o
SUPPORT_OBJS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/support/*.c))
UNIT := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/bench_*.c))
PROGRAM_OBJS := $(patsubst $(BUILD)/%,$(BUILD)/obj/%.o,$(UNIT) $(FUZZ) $(BENCH))
LIB := $(BUILD)/libpostern.a
SUPPORT := $(if $(SUPPORT_OBJS),$(BUILD)/libsupport.a)

# What the replies mean: the rules and one file of texts per language become C, a manual page and
# the help pages.
HELP_FROM := etc/postern.conf $(sort $(wildcard etc/rules.d/*.conf)) src/help/own.conf \
	src/help/texts/en.txt $(filter-out %/en.txt,$(sort $(wildcard src/help/texts/*.txt)))
HELP_AWK = LC_ALL=C awk -f src/help/read.awk -f src/help/$(1).awk $(2) $(HELP_FROM)
MADE_MAN := $(BUILD)/man/postern-replies.7

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))
RUN_TESTS = POSTERN=$(BUILD)/postern tests/run $(TESTFLAGS)

.PHONY: all help deps unit support check check-unit check-scenario check-asan check-tsan demo site \
	fuzz fuzz-run bench lint deb dist package-check install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/postern $(MADE_MAN)

help:
	@echo 'make                 the program and its manuals, in $(BUILD)'
	@echo 'make install         as root: /usr/local, /etc/postern, the unit; takes PREFIX and DESTDIR'
	@echo 'make deb             a Debian package, in build/deb'
	@echo 'make site            help pages for senders, in $(BUILD)/site'
	@echo 'make demo            refusals and accepted mail, with a real Postfix'
	@echo 'make check           unit tests and scenarios; check-unit, check-scenario: one of the two'
	@echo 'make check-asan      all tests with sanitizers; check-tsan: with the thread sanitizer'
	@echo 'make package-check   tests of the package, in a bare Debian'
	@echo 'make bench           what a transaction costs, measured here'
	@echo 'make fuzz            every fuzzer for FUZZ_TIME seconds'
	@echo 'make lint            layers, format, static analysis, manuals'
	@echo 'make dist            an archive of the source'
	@echo 'make deps            as root: what building and testing need'
	@echo 'make clean           removes what was built'
	@echo 'Variables are told at the top of the Makefile.'

$(BUILD)/postern: $(CLI_OBJS) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/obj/src/help/texts.c: src/help/read.awk src/help/table.awk $(HELP_FROM)
	$(call say,MAKE,$@)
	$(Q)mkdir -p $(@D) && $(call HELP_AWK,table) >$@
$(BUILD)/obj/src/help/texts.o: $(BUILD)/obj/src/help/texts.c include/postern/help.h | $(BUILD)/libs-found
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<
$(MADE_MAN): src/help/read.awk src/help/mdoc.awk $(HELP_FROM)
	$(call say,MAKE,$@)
	$(Q)mkdir -p $(@D) && $(call HELP_AWK,mdoc) >$@
site: src/help/read.awk src/help/site.awk src/help/style.css $(HELP_FROM)
	$(call say,MAKE,$(BUILD)/site)
	$(Q)mkdir -p $(BUILD)/site && $(call HELP_AWK,site,-v out=$(BUILD)/site -v style=src/help/style.css)

$(LIB): $(LIB_OBJS)
$(SUPPORT): $(SUPPORT_OBJS)
$(BUILD)/%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) qcs $@ $^

$(BUILD)/obj/%.o: %.c | $(BUILD)/libs-found
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

$(PROGRAM_OBJS): EXTRA_CFLAGS = -Itests/support
$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(SUPPORT) $(LIB)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) $(EXTRA_LDFLAGS) -o $@ $^ $(EXTRA_LIBS) $(LIBS)
$(UNIT): EXTRA_LIBS = -lcmocka
$(BUILD)/tests/unit/test_spf_suite: EXTRA_LIBS += -lyaml
$(FUZZ): EXTRA_LDFLAGS = -fsanitize=fuzzer

$(BUILD)/libs-found:
	$(if $(LIBS_FOUND),,@$(PKG_CONFIG) --print-errors --exists $(PKGS); \
		echo 'postern: libraries are missing; "make deps" installs them (as root)' >&2; exit 1)
	$(Q)mkdir -p $(@D) && touch $@

unit: $(UNIT)

deps:
	scripts/deps build test lint fuzz

# What was missing at the start of make is seen only by a make started after it was installed.
check: ; $(Q)scripts/deps build test
	+$(Q)$(MAKE) --no-print-directory all unit && $(RUN_TESTS)
check-unit: all unit
	$(Q)$(RUN_TESTS) --unit
check-scenario: ; $(Q)scripts/deps build test
	+$(Q)$(MAKE) --no-print-directory all && $(RUN_TESTS) --scenario
check-asan:
	+$(Q)$(MAKE) --no-print-directory check SAN=address
check-tsan:
	+$(Q)$(MAKE) --no-print-directory check SAN=thread

demo: ; $(Q)scripts/deps build test
	+$(Q)$(MAKE) --no-print-directory all && POSTERN=$(BUILD)/postern python3 tests/demo.py

fuzz: ; $(Q)scripts/deps build fuzz
	+$(Q)$(MAKE) --no-print-directory fuzz-run CC=clang BUILD=build-fuzz HARDEN= \
		SANFLAGS='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'
fuzz-run: $(FUZZ)
	$(Q)scripts/fuzz $(BUILD) $(FUZZ_TIME) $(FUZZ)

bench: ; $(Q)scripts/deps build test bench
	+$(Q)$(MAKE) --no-print-directory bench-run
bench-run: all $(BENCH)
	$(Q)POSTERN=$(BUILD)/postern tests/bench/run $(if $(filter install,$(PEERS)),--peers) \
		$(BENCHFLAGS) $(BENCH)

lint: ; $(Q)scripts/deps build lint
	+$(Q)$(MAKE) --no-print-directory all && BUILD=$(BUILD) scripts/lint

# The Debian package, in $(BUILD)/deb.
deb: ; $(Q)scripts/deps build package
	$(Q)scripts/deb $(BUILD)/deb
# The source archive, which packaging/rpm/postern.spec starts from.
dist:
	$(Q)mkdir -p $(BUILD)
	$(Q)scripts/dist $(abspath $(BUILD)) | gzip -9n >$(BUILD)/postern-$$(scripts/dist --version).tar.gz
# Installed, upgraded and removed on bare systems in chroots; debootstrap's work is kept for the next time.
package-check: ; $(Q)scripts/deps build test package
	+$(Q)$(MAKE) --no-print-directory all && tests/package/prepare $(BUILD)/package && \
		$(RUN_TESTS) --package

install: all site
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(CONFDIR) $(DESTDIR)$(DATADIR)/postern/rules.d \
		$(DESTDIR)$(DATADIR)/postern/site \
		$(DESTDIR)$(LIBEXECDIR)/postern $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(TMPFILESDIR)
	install -m 755 $(BUILD)/postern $(DESTDIR)$(SBINDIR)/postern
	install -m 644 $(wildcard etc/rules.d/*.conf) $(DESTDIR)$(DATADIR)/postern/rules.d/
	sed 's,/usr/share/postern,$(DATADIR)/postern,g' etc/postern.conf >$(BUILD)/postern.conf
	test -e $(DESTDIR)$(CONFDIR)/postern.conf || \
		install -m 644 $(BUILD)/postern.conf $(DESTDIR)$(CONFDIR)/postern.conf
	install -m 644 $(BUILD)/site/*.html $(DESTDIR)$(DATADIR)/postern/site/
	install -m 755 systemd/socket-folder $(DESTDIR)$(LIBEXECDIR)/postern/socket-folder
	sed 's,/usr/sbin/postern,$(SBINDIR)/postern,g; s,/usr/libexec,$(LIBEXECDIR),g' \
		systemd/postern.service >$(BUILD)/postern.service
	install -m 644 $(BUILD)/postern.service $(DESTDIR)$(UNITDIR)/postern.service
	install -m 644 systemd/postern.sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/postern.conf
	install -m 644 systemd/postern.tmpfiles.conf $(DESTDIR)$(TMPFILESDIR)/postern.conf
	install -D -m 644 completions/postern.bash $(DESTDIR)$(BASHDIR)/postern
	install -D -m 644 completions/_postern $(DESTDIR)$(ZSHDIR)/_postern
	for page in $(wildcard man/*.[1-8]) $(MADE_MAN); do \
		sed 's,/usr/share/postern,$(DATADIR)/postern,g; s,/usr/libexec,$(LIBEXECDIR),g' \
			$$page >$(BUILD)/page && install -D -m 644 $(BUILD)/page \
			$(DESTDIR)$(DATADIR)/man/man$${page##*.}/$${page##*/} || exit 1; \
	done

clean:
	rm -rf build build-asan build-tsan build-fuzz

-include $(OBJS:.o=.d) $(SUPPORT_OBJS:.o=.d) $(PROGRAM_OBJS:.o=.d)
