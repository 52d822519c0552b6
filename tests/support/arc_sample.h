/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TEST_ARC_SAMPLE_H
#define POSTERN_TEST_ARC_SAMPLE_H

/*
 * A message that was sealed twice by another implementation (dkimpy 1.1.4): by a list, which then
 * changed subject and text, and by a relay, which changed nothing more.
 */
static const char arc_sample[] =
    "ARC-Seal: i=2; cv=pass; a=rsa-sha256; d=relay.example; s=sel2;\n"
    " t=1767225700;\n"
    " b=dyZFxiNeta4jnR8Ah9xjlpypmbRGzI8/7Qjl1+NmoK0bPLamcNMqXu5OCBY5TNeMCuIDe\n"
    " 9KTNkABqU6Z9kQyP2d3IRH/vqT8szdqh2XGR8zqlhtgsH2zh/6KxIBDrD7SygJAteBO6jmP\n"
    " ztMhTW1NoqzASDCW5HhT9Az1nuGg9r4=\n"
    "ARC-Message-Signature: i=2; a=rsa-sha256; c=relaxed/relaxed;\n"
    " d=relay.example; s=sel2; t=1767225700; h=from : to : subject : date :\n"
    " message-id : from; bh=OrQf9apAqjcWxEl16Y6QmPThyMxtKhCQVTlGBCxnRsk=;\n"
    " b=XUjYZ2B8/tSInQPxVfS31LJSz0MhnVMHi7PszaRCkYIJMSY24ynM1M449YBPBBqomOCI/\n"
    " TtMgXYW2MkqFf5OTVNjUyYgz9iKU3FeO6ZqJyB0Ml3wFN1iyHEO4C+pLSB3CM1/yC2il7U9\n"
    " cQ9Ihjfyxs9+Nr0U83bXWc99vlsh3oU=\n"
    "ARC-Authentication-Results: i=2; relay.example; arc=pass;\n"
    "  dmarc=fail header.from=author.example\n"
    "Authentication-Results: relay.example; arc=pass; dmarc=fail header.from=author.example\n"
    "ARC-Seal: i=1; cv=none; a=rsa-sha256; d=lists.example; s=sel;\n"
    " t=1767225600;\n"
    " b=LQJxrz4sA7YoF28AwbqEf2liMYiD5lixDxuuW/FXEk4hZLdmofRrjP8h+GJIsjkQCirl3\n"
    " 1/5w20A8IA9i/8fy9Bvux/Pdf3GdnSRKlSWPoWtnKB4OWBzpnXT/6BgX4OpIrPhM5moBIE8\n"
    " 9zEJSKnDVQMDitemPsV+sVKM/j9FdoM=\n"
    "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed;\n"
    " d=lists.example; s=sel; t=1767225600; h=from : to : subject : date :\n"
    " message-id : from; bh=u8rkmjzCkGH55NQl185j7o4mo1sQZ2nFSkSv6UaHc24=;\n"
    " b=TQg9vMlF1iZD57myyDY8U3vqLlgEtbhtJd2k8YROlgWZ+YnaPp6ldid0z455SYX3pABRY\n"
    " 0w3pQF5oi8nl7eYaJsmE6CX7ujklRmPb4xZXGxjG3iMerhS1cQCx6rgMjy54uPYdMJmhtxv\n"
    " Dr8cZ6lTHCfdgE6JP4Dhrq07nzda22Q=\n"
    "ARC-Authentication-Results: i=1; lists.example; spf=pass smtp.mailfrom=author.example;\n"
    "  dmarc=pass header.from=author.example\n"
    "Authentication-Results: lists.example; spf=pass smtp.mailfrom=author.example;\n"
    "\tdmarc=pass header.from=author.example\n"
    "Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\n"
    "From: Author <author@author.example>\n"
    "To:list@lists.example\n"
    "Subject: [list] a  folded\n"
    "\tsubject \n"
    "Date: Thu, 1 Jan 2026 00:00:00 +0000\n"
    "Message-ID: <1@author.example>\n"
    "\n"
    "Hello  world \n"
    "\n"
    " two\tthree\n"
    "\n"
    "\n"
    "-- \n"
    "footer\n";

/* Both keys, sel._domainkey.lists.example and sel2._domainkey.relay.example. */
static const char arc_sample_key[] =
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDEdtRnza7e7KackMJNmbSl57"
    "OzEpRIeWkhcckcUhP6WmuIkirHvw5t7Eig/wkQ7bRhlFmob+6pLDiy5FJ4Js05sFBJ4wmuX3cgj/"
    "1yibRWtl+wEqOnQPuu66x+wwXSN8+nYwAvpJebk0h8EiB9Eb0chOdz1cnWXRYNtXUmFYijmQIDAQAB";

#endif
