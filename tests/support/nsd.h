/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_NSD_H
#define POSTERN_TEST_NSD_H

/*
 * A real name server (nsd) on 127.0.0.1 for one test program, with a configuration and a zone of
 * its own in a temporary folder.  It is authoritative for the root, so that a resolver can take it
 * for its forwarder: names that the zone does not hold do not exist.
 */
struct nsd;

/* Starts it and waits until it answers.  RECORDS are lines of the zone ".", without its SOA
 * (MINIMUM 60) and NS records.  PORT 0 means any free one.  A failure ends the program with a
 * message. */
struct nsd *nsd_start(const char *records, unsigned port);

/* The same for the zone NAME, whose whole text, SOA and NS included, is TEXT. */
struct nsd *nsd_start_zone(const char *name, const char *text, unsigned port);

unsigned nsd_port(const struct nsd *nsd);

/* "127.0.0.1@PORT" */
const char *nsd_server(const struct nsd *nsd);

/* SIGSTOP makes it fall silent, SIGCONT brings it back. */
void nsd_signal(struct nsd *nsd, int number);

/* Ends it and removes its folder. */
void nsd_stop(struct nsd *nsd);

/* A port of 127.0.0.1 that is free for UDP and TCP just now. */
unsigned free_port(void);

#endif
