/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_DECIDE_H
#define POSTERN_DECIDE_H

#include <postern/policy.h>

/*
 * The decision: rules from the top in four-valued logic.  Pure: sees values only, keeps nothing,
 * allocates nothing, asks nobody; safe from any thread.
 *
 * A test is true, false, open (its fact's stage has not come) or in fault.  A fact whose stage has
 * come but whose value is still open is pending: it may turn out true, false or in fault.  So a
 * test has a set of possible truths, `and`, `or` and `not` combine sets element by element, and the
 * walk over the rules keeps the set of outcomes that are possible.  The decision is certain when
 * all of them are alike to the caller; else it is worth waiting.
 *
 * One element: `false and X` is false, `true or X` is true; otherwise open wins over fault.
 * A word in fault is seen by == and in {} only where they name the fact's own fault word; every
 * other test on a fact in fault is in fault.  A number in fault is an interval: < <= > >= hold
 * where they hold at both ends, == and in {} are false where every operand lies outside.
 *
 * The walk: true speaks; false goes on; open holds everything below; fault goes on, but
 *   - a rule with on_fault_defer speaks VERDICT_FAULT (fault_rule is the rule itself);
 *   - below an accept or quarantine rule in fault, every reply of 500 and more is VERDICT_FAULT
 * (rule is the reply's, fault_rule the topmost such exemption). Rules that only observe and header
 * rules never speak, never hold back and never soften; RULE_OFF rules do not exist.
 */
enum verdict_kind {
    VERDICT_NONE, /* no rule is true: the mail goes on */
    VERDICT_OPEN, /* a rule is open: nothing may be spoken yet */
    VERDICT_ACCEPT,
    VERDICT_QUARANTINE,
    VERDICT_REPLY,
    VERDICT_FAULT, /* 451 4.4.3, the daemon's own: an on_fault rule, or a 5xx below an exemption in
                      fault */
};

struct verdict {
    bool certain; /* false: wait for pending facts; the other members mean nothing */
    enum verdict_kind kind;
    int rule; /* the rule that decided (ACCEPT, QUARANTINE, REPLY, FAULT: the rule that spoke), or
                 -1 */
    int fault_rule; /* FAULT: the rule in fault that made it so; else -1 */
};

/* What the caller may say at this point; verdicts that he may not say are all alike to him (the
 * mail goes on), and are never waited for. */
enum speak {
    SPEAK_NOTHING,
    SPEAK_521,     /* before speak_at: only a 521 */
    SPEAK_REPLIES, /* MAIL, RCPT: replies; accept, quarantine, none and open are alike */
    SPEAK_ALL, /* end of message: quarantine differs too.  Where an enforced header rule is in the
                * policy, the exact outcome counts (accept ends the walk before the header rules
                * below) and so does what the header rules above it turn out to be, unless the mail
                * is refused whatever they are */
};

/* A set of possible truths of a condition, never empty. */
enum truth { TRUTH_FALSE = 1, TRUTH_TRUE = 2, TRUTH_FAULT = 4, TRUTH_OPEN = 8 };

/* What CONDITION can turn out to be for VIEW at stage NOW. */
unsigned decide_condition(const struct layout *layout, const struct cond *condition,
                          const struct view *view, enum stage now);

/* The outcome at stage NOW for the recipient (or, before RCPT, the transaction) that VIEW shows.
 * MODES as filled by policy_modes().  A verdict that may not be spoken comes out as the kind it has
 * where only one is possible, else as VERDICT_OPEN with rule -1; what is spoken is up to
 * verdict_speaks().  Where several exemptions may be in fault, fault_rule is the topmost that can
 * be. */
struct verdict decide(const struct policy *policy, const struct view *view, const uint8_t *modes,
                      enum stage now, enum speak speak);

/* Whether a verdict is certain and to be said under SPEAK (a reply or 451; quarantine with
 * SPEAK_ALL). */
bool verdict_speaks(const struct policy *policy, const struct verdict *verdict, enum speak speak);

/* Marks in NEEDED (one byte per slot of the layout, zeroed by the caller) every slot that is still
 * open and can still matter now or later: those in undecided parts of conditions, down to the first
 * rule that certainly ends the walk.  A derived fact is marked itself, not its subject.  WAITED:
 * only rules that enforce count; otherwise observing ones too (they are looked up, never waited
 * for). */
void decide_needs(const struct policy *policy, const struct view *view, const uint8_t *modes,
                  enum stage now, bool waited, uint8_t *needed);

/* Marks in FIRED (one byte per rule, zeroed by the caller) the rules that only observe (or, in
 * HEADERS, add a header) and are certainly true for VIEW, down to the verdict: the first enforcing
 * rule that is not certainly false (or in fault without speaking).  FIRED or HEADERS may be NULL.
 */
void decide_marks(const struct policy *policy, const struct view *view, const uint8_t *modes,
                  enum stage now, uint8_t *fired, uint8_t *headers);

/* Whether two recipients have the same message policy: the same rules stay open for both with the
 * same remaining conditions, with the same faults on the way, down to a rule that is certainly true
 * for each and equally strict. A recipient fact that is still open makes them different, as nobody
 * knows what it will be. */
bool decide_same_policy(const struct policy *policy, const struct view *a, const struct view *b,
                        const uint8_t *modes, enum stage now);

/* How strict an outcome is: none, open, accept 0; quarantine 1; 4xx and fault 2; 5xx 3. Recipients'
 * outcomes differ when this differs. */
int verdict_rank(const struct policy *policy, const struct verdict *verdict);

/* What is said at the end of the message for all recipients together. */
struct mixed_verdict {
    bool differs;   /* their outcomes are not equally strict: the record says `mixed` */
    bool split;     /* MIXED_LATE and they differ: 451 4.5.3; the other members mean nothing */
    size_t speaker; /* the recipient whose verdict is spoken for all */
};

/* VERDICTS of COUNT (at least 1) recipients, all certain.  LATE: split where they differ, else as
 * STRICTEST.  STRICTEST: the strictest.  LENIENT: the least strict.  Among equally strict ones the
 * topmost rule speaks, then the first recipient. Whoever must not be split (authenticated clients,
 * local submissions) passes MIXED_STRICTEST. */
struct mixed_verdict decide_mixed(const struct policy *policy, const struct verdict *verdicts,
                                  size_t count, enum mixed mixed);

#endif
