/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TABLE_LMDB_CHECK_H
#define POSTERN_TABLE_LMDB_CHECK_H

/*
 * Whether the LMDB file FD (a private copy) can be given to the library, which trusts what it
 * reads: a file that was copied half, or over another one, would make it read past its end or call
 * abort(3).  NULL when it can: every page that the last committed state reaches lies in the file
 * and holds together.  Otherwise a constant sentence.  Knows format 1, of LMDB 0.9; a file of
 * another version is left to the library, which refuses what it does not know.
 */
const char *lmdb_check(int fd);

#endif
