/* Leased delivery as a Promela model, for spin. docs/model/README.md tells how to read and run it; `run` runs it.
 *
 * Owns: the rules R1 to R12 under which the hub's Redis scripts and the nodes pass items around. Never does: payloads,
 * HTTP, the worker's side of the gateway.
 *
 * One item's life, at Redis (where[item]):
 *
 *            the hub's BLMOVE             take                     commit
 *    INPUT ────────────────────► ARRIVED ──────► BOOKS ───────────────────────────► DONE
 *      │                          take             │ ▲ │                              ▲
 *      └───────────────────────────────────────────┘ │ │ commit, output elsewhere     │ there: written, here: dropped
 *                                                    │ └───────────────► OUTBOX ──────┘
 *      on the BOOKS it is in `retry` exactly once,   │
 *      or in exactly one holder's `held`             └──► DEAD   too many failures or losses
 *
 *           in retry ──── take ────► held by (node, epoch) with the take's number
 *               ▲                        │
 *               └─ fail, return, inventory, reap, a closed epoch
 *
 * One item's life, at a node (phase[node, item]):
 *
 *    NOTHING ── lease reply ──► HAVE ──┬─ the worker did it ─► COMMIT_DUE ──┐
 *       ▲                              ├─ the worker failed ─► FAIL_DUE ────┤
 *       │                              └─ drain, stop ───────► RETURN_DUE ──┤
 *       └────────── acknowledged ───────────────────────────────────────────┘
 *
 * Messages, node to hub: take(epoch, number), commit / fail / return(epoch, item, number), inventory(epoch, r, pairs).
 * Back to the node: lease_reply, and acknowledgements, which are part of the sender's step.
 *
 * Hub, network and the hub's connection to Redis are one thing here: a request may be executed now, later, several times
 * or never, and its reply may be lost. That covers a hub that dies at any point, two hubs, half-open connections, repeats
 * and reordering. Each script is one step, as in Redis. What its sender no longer waits for (it timed out, crashed, or has
 * another copy's answer) may live on as an old copy, executed at any later time: one old take, one old outcome and one
 * inventory per node.
 *
 * `calm` becomes true at some moment: from then on nothing new goes wrong (old copies may still arrive, once each), and
 * every item must end DONE or DEAD.
 *
 * Without flags the model is the protocol. A flag named after a rule (-DR4_NUMBER_IGNORED) switches that rule off; the
 * table in README.md tells what goes wrong then. Size of the model: ITEMS, EPOCHS, MAX_ATTEMPTS, MAX_LOSSES, RETURNS,
 * GIVE_UPS. More to meet: BOTH_FAULTY, OUTPUT_ELSEWHERE, AMNESIA, AUDIT, POISON, PASS_OVER, SETS.
 */

/* ---- size ---- */
#define NODES 2
#ifndef ITEMS
#define ITEMS 2
#endif
#ifndef EPOCHS
#define EPOCHS 2 /* runs of each node's agent */
#endif
#ifndef MAX_ATTEMPTS
#define MAX_ATTEMPTS 2
#endif
#ifndef MAX_LOSSES
#define MAX_LOSSES 2
#endif
#ifndef RETURNS
#define RETURNS 1 /* how often a node returns an item on its own account */
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 1 /* how often a node gives up an outstanding take */
#endif

/* Node 0 meets every fault. Node 1 only the partition that outlasts its deadline: it is reaped, computes on, and commits
   late. With BOTH_FAULTY both meet every fault. One of the two may go for ever, the other comes back. */
#ifdef BOTH_FAULTY
#define FAULTY(n) (true)
#define MAY_GO(n) (n == 1)
#else
#define FAULTY(n) (n == 0)
#define MAY_GO(n) (n == 0)
#endif

/* POISON: item 0 kills whatever machine opens it. The epochs beyond the first are for these deaths. */
#ifdef POISON
#define KILLS(i) (i == 0)
#define CRASH_EPOCHS 1
#else
#define KILLS(i) (false)
#define CRASH_EPOCHS EPOCHS
#endif

/* ---- the rules as conditions; a flag switches one off ---- */

/* R1: an id that is not on the books is not real. */
#ifdef R1_BOOKS_UNASKED
#define REAL(i) (true)
#else
#define REAL(i) (where[i] == BOOKS)
#endif

/* R2: take sets the holder's deadline in the same step. (Otherwise `deadline` says whether it has been set since.) */
#ifdef R2_DEADLINE_LATER
#define HAS_DEADLINE(n, e) deadline[(n) * EPOCHS + (e) - 1]
#define SET_DEADLINE(n, e, value) HAS_DEADLINE(n, e) = value
#else
#define HAS_DEADLINE(n, e) (true)
#define SET_DEADLINE(n, e, value) skip
#endif

/* R4: fail and return count only under the number that the lease was given with. */
#ifdef R4_NUMBER_IGNORED
#define HOLDS(n, e, i, given) (HELD(n, e, i) > 0)
#else
#define HOLDS(n, e, i, given) (HELD(n, e, i) == given)
#endif

/* R5: epochs are ordered. */
#ifdef R5_NO_EPOCHS
#define CURRENT(n, e) (true)
#else
#define CURRENT(n, e) (e == stored_epoch[n])
#endif
#ifdef R5_EPOCHS_UNORDERED
#define OPENS(n, e) (e != stored_epoch[n])
#else
#define OPENS(n, e) (e > stored_epoch[n])
#endif

/* R6: an inventory returns what was given up to r and is not listed as that very pair of id and number. */
#if defined(R6_R_IGNORED) || defined(R3_NO_NUMBERS)
#define MISSING(n, e, i, r) (HELD(n, e, i) > 0 && listed[OF(n, i)] == 0)
#elif defined(R6_IDS_ONLY)
#define MISSING(n, e, i, r) (HELD(n, e, i) > 0 && HELD(n, e, i) <= r && listed[OF(n, i)] == 0)
#else
#define MISSING(n, e, i, r) (HELD(n, e, i) > 0 && HELD(n, e, i) <= r && HELD(n, e, i) != listed[OF(n, i)])
#endif

/* R7: to close an epoch charges a loss as reaping does. The hub spares items that the node said it had not opened yet;
   here every item is charged. That is the safe side for what is checked: a spared item goes back as a returned one does,
   and returns are here too. What POISON shows holds for items that are charged. */
#ifdef R7_CLOSING_IS_FREE
#define CLOSING_CHARGES false
#else
#define CLOSING_CHARGES true
#endif

/* R12: what the hub's blocking move brought lies in a list, not in the hub's memory. */
#ifdef R12_POP_INTO_MEMORY
#define CAN_GIVE_ARRIVED(i) (where[i] == ARRIVED && hub_remembers)
#define HUB_REMEMBERS(value) hub_remembers = value
#else
#define HUB_REMEMBERS(value) skip
#define CAN_GIVE_ARRIVED(i) (where[i] == ARRIVED)
#endif

/* No rule: with this the search for endless loops (SETTLES) must find one. */
#ifdef REPLIES_LOST_FOR_EVER
#define REPLIES_ARE_LOST (true)
#else
#define REPLIES_ARE_LOST (!calm)
#endif

/* ---- Redis ---- */
#define INPUT 0   /* in the producer's list */
#define ARRIVED 1 /* b:idm:arrived */
#define BOOKS 2   /* b:idm:items */
#define OUTBOX 3  /* b:idm:outbox, for an output on another Redis */
#define DONE 4
#define DEAD 5 /* b:idm:dead */
byte where[ITEMS];
byte retry[ITEMS];    /* how often the id is in b:idm:retry */
byte attempts[ITEMS]; /* b:idm:attempts */
byte losses[ITEMS];   /* b:idm:losses */
byte results[ITEMS];  /* how often its result is in the output */
byte held[NODES * EPOCHS * ITEMS]; /* b:idm:held:<holder>: number of the take that gave the item, 0 = not there */
#define HELD(n, e, i) held[((n) * EPOCHS + (e) - 1) * ITEMS + (i)]
byte stored_epoch[NODES]; /* b:idm:nodes: the node's epoch … */
byte last_take[NODES];    /* … and the last number that was executed for it */
#ifdef R2_DEADLINE_LATER
bit deadline[NODES * EPOCHS]; /* b:idm:holders has it */
#endif

/* ---- nodes ---- */
#define OF(n, i) ((n) * ITEMS + (i))
#define NOTHING 0
#define HAVE 1
#define COMMIT_DUE 2 /* from here on: an outcome is to be sent, or not acknowledged yet */
#define FAIL_DUE 3
#define RETURN_DUE 4
#define SET_DUE 5 /* only as old_outcome, with SETS: both items in one commit */
bit up[NODES];
bit gone[NODES];     /* for ever */
byte epoch[NODES];   /* of this run of its agent */
byte take_no[NODES]; /* of its outstanding take; an agent that is up always has one */
bit gave_up[NODES];  /* an inventory must be acknowledged yet */
byte phase[NODES * ITEMS];
byte number[NODES * ITEMS]; /* under which it has the item */

/* ---- messages on their way ---- */
byte lease_reply[NODES]; /* to the outstanding take: REPLY and a bit per item; 0 = none */
#define REPLY 128
byte old_take_epoch[NODES]; /* 0 = none */
byte old_take_no[NODES];
byte old_outcome[NODES]; /* COMMIT_DUE, FAIL_DUE, RETURN_DUE or SET_DUE; 0 = none */
byte old_outcome_epoch[NODES];
byte old_outcome_item[NODES];
byte old_outcome_no[NODES]; /* SET_DUE: item 1's number in the upper four bits */
bit inventory_sent[NODES];
byte inventory_epoch[NODES];
byte inventory_r[NODES];
byte listed[NODES * ITEMS]; /* the inventory's pairs: number per item, 0 = not listed */
#ifdef R5_REGISTRATION_RELEASES
bit old_registration[NODES];
#endif
#ifdef R8_CONNECTION_RENEWS
bit half_open[NODES]; /* a dead run's connection that nobody has noticed */
#endif
#ifdef R12_POP_INTO_MEMORY
bit hub_remembers;
#endif

/* ---- output on another Redis, R9 ---- */
#ifdef OUTPUT_ELSEWHERE
bit to_there[ITEMS]; /* a write is on its way to the other Redis */
bit to_here[ITEMS];  /* its acknowledgement is on its way back */
byte outbox_q[ITEMS];
byte highest_q;
byte applied; /* <output queue>:idm:applied, there */
#elif defined(R9_WRITE_FIRST)
bit to_there[ITEMS];
bit to_here[ITEMS];
bit drop_marker[ITEMS];
bit marker[ITEMS]; /* there: this item's result has been written */
#endif

/* ---- what can still go wrong ---- */
bit calm;
byte returns_left = RETURNS;
byte give_ups_left = GIVE_UPS;
#ifdef AMNESIA
bit amnesia_left = 1;
#endif

/* ---- what only the model knows, to check by ---- */
bit taken_away[NODES * ITEMS];   /* reaped from a node that is alive: it computes on what it no longer holds */
bit failure_owed[NODES * ITEMS]; /* a worker failed and has not been charged yet */
byte deaths[ITEMS];              /* machines that this item has killed */

/* ---- between the statements of one step; 0 at its end ---- */
byte share;    /* how many items the hub is ready to give */
bit passing;   /* it passes over what waits in retry */
bit executed;  /* the script said so */
bit refused;
byte given;    /* a bit per item */
hidden byte j; /* these inside d_step only */
hidden byte pick;
hidden byte closing;
hidden byte live_run_closed;
hidden byte one_failure_charged_once;

/* ======== the scripts ======== */

/* Takes everything from a holder: the reaper for silence, `open_epoch` when a newer run of the agent has spoken (R7). */
inline release(n, e, charged) {
	for (j : 0 .. ITEMS - 1) {
		if
		:: HELD(n, e, j) > 0 ->
			if /* the node is alive and has the item, or will have it when the reply arrives */
			:: up[n] && epoch[n] == e &&
			   ((phase[OF(n, j)] != NOTHING && number[OF(n, j)] == HELD(n, e, j)) || take_no[n] == HELD(n, e, j)) ->
				taken_away[OF(n, j)] = 1
			:: else
			fi;
			HELD(n, e, j) = 0;
			if
			:: REAL(j) ->
				if
				:: charged -> losses[j]++
				:: else
				fi;
				if
				:: charged && losses[j] >= MAX_LOSSES -> to_dead(j)
				:: else -> retry[j]++
				fi
			:: else
			fi
		:: else
		fi
	}
	SET_DEADLINE(n, e, 0)
}

inline to_dead(i) {
	assert(where[i] == BOOKS); /* a dead letter never had a result */
	where[i] = DEAD
}

/* R5: the first message of a higher epoch closes the lower one. */
inline open_epoch(n, e) {
#ifndef R5_NO_EPOCHS
	if
	:: OPENS(n, e) ->
		live_run_closed = up[n] && epoch[n] == stored_epoch[n] && stored_epoch[n] > 0;
		assert(!live_run_closed); /* by the message of a dead one */
		if
		:: stored_epoch[n] > 0 ->
			closing = stored_epoch[n];
			release(n, closing, CLOSING_CHARGES)
		:: else
		fi;
		stored_epoch[n] = e;
		last_take[n] = 0
	:: else
	fi
#else
	skip
#endif
}

/* R2: one item from retry, else from arrived, else from the input, onto the books and into `held`. Ids in retry that are
   no longer on the books are cleared (R1). Passing over a retry entry, to leave it to another node for a while, is no
   clearing: the entry stays where it is, and the take is as if it had come a moment earlier. */
inline give_one(n, e, no) {
	pick = ITEMS;
	for (j : 0 .. ITEMS - 1) {
		if
		:: retry[j] > 0 && where[j] != BOOKS ->
#ifdef R1_TAKE_SERVES_GHOSTS
			assert(where[j] == BOOKS) /* an item is given out after its end */
#else
			retry[j] = 0
#endif
		:: else
		fi;
		if
		:: pick == ITEMS && retry[j] > 0 && where[j] == BOOKS && !passing -> pick = j
		:: else
		fi
	}
	if
	:: pick < ITEMS -> retry[pick]--
	:: else ->
		for (j : 0 .. ITEMS - 1) {
			if
			:: pick == ITEMS && CAN_GIVE_ARRIVED(j) -> pick = j
			:: else
			fi
		}
		for (j : 0 .. ITEMS - 1) {
			if
			:: pick == ITEMS && where[j] == INPUT -> pick = j
			:: else
			fi
		}
	fi;
	if
	:: pick < ITEMS ->
		where[pick] = BOOKS;
		HELD(n, e, pick) = no;
		given = given | (1 << pick)
	:: else
	fi
}

/* R3: a lower epoch or number is refused, the same number is answered again, a higher one is executed if there is
   anything to give. Sets `executed` and `given`, or `refused`; neither: nothing was there, and the call stays held. */
inline take(n, e, no) {
	open_epoch(n, e);
	if
#ifndef R5_NO_EPOCHS
	:: e < stored_epoch[n] -> refused = 1
#endif
#ifndef R3_NO_NUMBERS
	:: CURRENT(n, e) && no < last_take[n] -> refused = 1
	:: CURRENT(n, e) && no == last_take[n] ->
		executed = 1;
		for (j : 0 .. ITEMS - 1) {
			if
			:: HELD(n, e, j) == no && where[j] == BOOKS -> given = given | (1 << j)
			:: else
			fi
		}
#endif
	:: else ->
		give_one(n, e, no);
		if
		:: given > 0 ->
			executed = 1;
			if
			:: share > 1 -> give_one(n, e, no)
			:: else
			fi;
#ifndef R3_NO_NUMBERS
			last_take[n] = no;
#endif
			skip
		:: else
		fi
	fi
}

/* R4 */
inline fail(n, e, i, no) {
	if
	:: HOLDS(n, e, i, no) ->
		HELD(n, e, i) = 0;
		if
		:: REAL(i) ->
			one_failure_charged_once = failure_owed[OF(n, i)];
			assert(one_failure_charged_once);
			failure_owed[OF(n, i)] = 0;
			attempts[i]++;
			if
			:: attempts[i] >= MAX_ATTEMPTS -> to_dead(i)
			:: else -> retry[i]++
			fi
		:: else
		fi
	:: else
	fi
}

/* R4, uncharged */
inline give_back(n, e, i, no) {
	if
	:: HOLDS(n, e, i, no) ->
		HELD(n, e, i) = 0;
		if
		:: REAL(i) -> retry[i]++
		:: else
		fi
	:: else
	fi
}

/* R10: any live node may bring it; the first wins. The sender's own entry goes in any case (R1). */
inline commit(n, e, i) {
#ifdef R9_WRITE_FIRST
	if /* asked here, written there, and only then taken off the books */
	:: where[i] == BOOKS -> to_there[i] = 1
	:: else
	fi
#else
	if
#ifdef OUTPUT_ELSEWHERE
	:: where[i] == BOOKS ->
		where[i] = OUTBOX;
		highest_q++;
		outbox_q[i] = highest_q
#elif defined(R10_ANY_COMMIT_LANDS)
	:: true ->
		where[i] = DONE;
		results[i]++
#else
	:: where[i] == BOOKS ->
		where[i] = DONE;
		results[i]++
#endif
	:: else
	fi;
	HELD(n, e, i) = 0
#endif
}

#ifdef SETS
/* R10: two items that were closed together, whose writes cannot be told apart, are one commit: all or nothing. If it is
   refused, what the sender still holds of it, under the numbers that it names, goes to others. */
#ifdef R10_NUMBERS_IGNORED
#define STILL_HELD(n, e, i, no) (HELD(n, e, i) > 0)
#else
#define STILL_HELD(n, e, i, no) (HELD(n, e, i) == no)
#endif
#ifdef R10_ANY_COMMIT_LANDS
#define SET_LANDS (true)
#else
#define SET_LANDS (where[0] == BOOKS && where[1] == BOOKS)
#endif
inline commit_set(n, e, no0, no1) {
	if
	:: SET_LANDS ->
		where[0] = DONE;
		where[1] = DONE;
		results[0]++;
		results[1]++;
		HELD(n, e, 0) = 0;
		HELD(n, e, 1) = 0
	:: else ->
		refuse_in_set(n, e, 0, no0);
		refuse_in_set(n, e, 1, no1)
	fi
}
inline refuse_in_set(n, e, i, no) {
	if
	:: where[i] == BOOKS && STILL_HELD(n, e, i, no) ->
		HELD(n, e, i) = 0;
		retry[i]++
	:: where[i] != BOOKS -> HELD(n, e, i) = 0
	:: else
	fi
}
#endif

inline outcome(kind, n, e, i, no) {
	if
	:: kind == COMMIT_DUE -> commit(n, e, i)
	:: kind == FAIL_DUE -> fail(n, e, i, no)
	:: kind == RETURN_DUE -> give_back(n, e, i, no)
#ifdef SETS
	:: kind == SET_DUE -> commit_set(n, e, no & 15, no >> 4)
#endif
	fi
}

/* R6 */
inline inventory(n, e, r) {
	open_epoch(n, e);
	if
	:: CURRENT(n, e) ->
#if !defined(R3_NO_NUMBERS) && !defined(R6_NO_FENCE)
		if /* the given-up take, should it still arrive, is refused */
		:: last_take[n] < r -> last_take[n] = r
		:: else
		fi;
#endif
		for (j : 0 .. ITEMS - 1) {
			if
			:: MISSING(n, e, j, r) ->
				HELD(n, e, j) = 0;
				if
				:: REAL(j) -> retry[j]++
				:: else
				fi
			:: else
			fi
		}
	:: else
	fi
}

/* ======== nodes ======== */

inline send_inventory(n, r) {
	for (j : 0 .. ITEMS - 1) {
		listed[OF(n, j)] = number[OF(n, j)]
	}
	inventory_sent[n] = 1;
	inventory_epoch[n] = epoch[n];
	inventory_r[n] = r
}

inline forget_inventory(n) {
	for (j : 0 .. ITEMS - 1) {
		listed[OF(n, j)] = 0
	}
	inventory_sent[n] = 0;
	inventory_epoch[n] = 0;
	inventory_r[n] = 0
}

inline forget_old_take(n) {
	old_take_epoch[n] = 0;
	old_take_no[n] = 0
}

inline forget_old_outcome(n) {
	old_outcome[n] = 0;
	old_outcome_epoch[n] = 0;
	old_outcome_item[n] = 0;
	old_outcome_no[n] = 0
}

inline leave_old_outcome(n, i) {
	old_outcome[n] = phase[OF(n, i)];
	old_outcome_epoch[n] = epoch[n];
	old_outcome_item[n] = i;
	old_outcome_no[n] = number[OF(n, i)]
}

/* The outstanding take's request may arrive yet, though nobody waits for its answer. */
inline perhaps_leave_old_take(n) {
	if
	:: !calm && FAULTY(n) && old_take_epoch[n] == 0 ->
		old_take_epoch[n] = epoch[n];
		old_take_no[n] = take_no[n]
	:: skip
	fi
}

inline perhaps_leave_old_outcome(n, i) {
	if
	:: phase[OF(n, i)] >= COMMIT_DUE && !calm && old_outcome[n] == 0 ->
		if
		:: leave_old_outcome(n, i)
		:: skip
		fi
	:: else
	fi
}

inline crash(n) {
	perhaps_leave_old_take(n);
	perhaps_leave_old_outcome(n, 0);
#if ITEMS > 1
	perhaps_leave_old_outcome(n, 1);
#endif
#if ITEMS > 2
	perhaps_leave_old_outcome(n, 2);
#endif
	d_step {
		for (j : 0 .. ITEMS - 1) {
			phase[OF(n, j)] = NOTHING;
			number[OF(n, j)] = 0;
			taken_away[OF(n, j)] = 0
		}
		up[n] = 0;
#ifdef R8_CONNECTION_RENEWS
		half_open[n] = 1;
#endif
		gave_up[n] = 0;
		lease_reply[n] = 0;
		take_no[n] = 0
	}
}

/* A lease that brings an id which the node already has (R4): with a commit pending it adopts the number and keeps the
   commit; with a fail or return pending it is a new item. */
inline accept_lease(n) {
	for (j : 0 .. ITEMS - 1) {
		if
		:: (lease_reply[n] >> j) & 1 ->
			number[OF(n, j)] = take_no[n];
			if
			:: phase[OF(n, j)] != COMMIT_DUE ->
				phase[OF(n, j)] = HAVE;
				failure_owed[OF(n, j)] = 0
			:: else
			fi;
			taken_away[OF(n, j)] = taken_away[OF(n, j)] && HELD(n, epoch[n], j) != take_no[n]
		:: else
		fi
	}
	lease_reply[n] = 0
}

#define AVAILABLE(i) (where[i] == INPUT || (retry[i] > 0 && where[i] == BOOKS) || CAN_GIVE_ARRIVED(i))
#define SETTLED(i) (where[i] == DONE || where[i] == DEAD)
#if ITEMS == 1
#define ANY_AVAILABLE AVAILABLE(0)
#define ALL_SETTLED SETTLED(0)
#define HOLDS_ANY(n, e) (HELD(n, e, 0) > 0)
#elif ITEMS == 2
#define ANY_AVAILABLE (AVAILABLE(0) || AVAILABLE(1))
#define ALL_SETTLED (SETTLED(0) && SETTLED(1))
#define HOLDS_ANY(n, e) (HELD(n, e, 0) || HELD(n, e, 1))
#else
#define ANY_AVAILABLE (AVAILABLE(0) || AVAILABLE(1) || AVAILABLE(2))
#define ALL_SETTLED (SETTLED(0) && SETTLED(1) && SETTLED(2))
#define HOLDS_ANY(n, e) (HELD(n, e, 0) || HELD(n, e, 1) || HELD(n, e, 2))
#endif

/* A held call is executed when it changes something: nobody polls, and a model that did nothing for ever would never be
   seen to be stuck. */
#ifdef R3_NO_NUMBERS
#define TAKE_DOES_SOMETHING(n) (ANY_AVAILABLE || epoch[n] > stored_epoch[n])
#else
#define TAKE_DOES_SOMETHING(n) (ANY_AVAILABLE || OPENS(n, epoch[n]) || take_no[n] <= last_take[n])
#endif

inline choose_share() {
#if ITEMS > 1
	if
	:: share = 1
	:: share = 2
	fi;
#else
	share = 1;
#endif
#ifdef PASS_OVER
	if
	:: !calm -> passing = 1
	:: skip
	fi
#else
	skip
#endif
}

inline forget_take() {
	share = 0;
	passing = 0;
	executed = 0;
	refused = 0;
	given = 0
}

/* The agent: takes, gives takes up, crashes, starts anew. A lost request is one that is executed late. */
proctype Node(byte n) {
	end: do
	/* the outstanding take arrives; copies of one number are answered alike, so one reply on its way is enough */
	:: atomic { up[n] && lease_reply[n] == 0 && TAKE_DOES_SOMETHING(n) ->
		choose_share();
		d_step {
			take(n, epoch[n], take_no[n]);
			assert(!refused); /* a live node is never refused */
			lease_reply[n] = (executed -> REPLY | given : 0);
			forget_take()
		} }

	/* its reply arrives; the next take is sent at once */
	:: atomic { up[n] && lease_reply[n] > 0 ->
		d_step { accept_lease(n) };
		perhaps_leave_old_take(n);
#ifndef R3_NO_NUMBERS
		take_no[n]++
#endif
	   }
#ifdef R3_NO_NUMBERS
	/* the call failed, and there is no number to repeat it under: tell what we have, ask anew */
	:: atomic { up[n] && !calm && FAULTY(n) ->
		perhaps_leave_old_take(n);
		lease_reply[n] = 0;
		gave_up[n] = 1;
		d_step { send_inventory(n, 0) } }
	:: atomic { up[n] && !inventory_sent[n] && gave_up[n] -> d_step { send_inventory(n, 0) } }
#else
	/* its reply is lost: the same number is sent again */
	:: atomic { REPLIES_ARE_LOST && lease_reply[n] > 0 && FAULTY(n) -> lease_reply[n] = 0 }

	/* it is given up (a switch, a drain): an inventory closes the number (R6), repeated until acknowledged */
	:: atomic { up[n] && !calm && give_ups_left > 0 && FAULTY(n) ->
		give_ups_left--;
		d_step { send_inventory(n, take_no[n]) };
		perhaps_leave_old_take(n);
		lease_reply[n] = 0;
		gave_up[n] = 1;
		take_no[n]++ }
	:: atomic { up[n] && !inventory_sent[n] && gave_up[n] -> d_step { send_inventory(n, take_no[n] - 1) } }
#endif
#ifdef R3_EMPTY_USES_NUMBER
	:: atomic { up[n] && !calm && lease_reply[n] == 0 && !ANY_AVAILABLE && take_no[n] > last_take[n] &&
		    epoch[n] == stored_epoch[n] && take_no[n] < 5 ->
		perhaps_leave_old_take(n);
		take_no[n]++ }
#endif
#ifdef AUDIT
	/* R6: an audit at any moment does no harm */
	:: atomic { up[n] && !calm && !inventory_sent[n] && !gave_up[n] && FAULTY(n) ->
		d_step { send_inventory(n, take_no[n] - 1) } }
#endif
#ifdef AMNESIA
	/* Redis comes back without its last second: an acknowledged commit is undone, and the node has forgotten the item.
	   The audit finds it; it is sent every minute, here where it has an effect. */
	:: atomic { up[n] && !calm && amnesia_left && phase[OF(n, 0)] == COMMIT_DUE ->
		amnesia_left = 0;
		phase[OF(n, 0)] = NOTHING;
		number[OF(n, 0)] = 0 }
#ifndef R6_NO_AUDIT
	:: atomic { up[n] && !inventory_sent[n] && HELD(n, epoch[n], 0) > 0 && HELD(n, epoch[n], 0) < take_no[n] &&
		    HELD(n, epoch[n], 0) != number[OF(n, 0)] ->
		d_step { send_inventory(n, take_no[n] - 1) } }
#endif
#endif

	:: atomic { up[n] && !calm && epoch[n] < CRASH_EPOCHS && FAULTY(n) ->
		crash(n);
		if
		:: MAY_GO(n) -> gone[n] = 1
		:: skip
		fi }

	/* it starts: registration issues a higher epoch, and releases nothing (R5) */
	:: atomic { !up[n] && !gone[n] && epoch[n] < EPOCHS ->
		up[n] = 1;
		take_no[n] = 1;
#ifdef R5_REGISTRATION_RELEASES
		d_step {
			if
			:: epoch[n] > 0 && stored_epoch[n] > 0 ->
				closing = stored_epoch[n];
				release(n, closing, CLOSING_CHARGES)
			:: else
			fi;
			stored_epoch[n]++;
			last_take[n] = 0;
			epoch[n] = stored_epoch[n]
		};
		if
		:: !calm -> old_registration[n] = 1
		:: skip
		fi }
	:: atomic { old_registration[n] && stored_epoch[n] < EPOCHS ->
		d_step {
			old_registration[n] = 0;
			closing = stored_epoch[n];
			release(n, closing, CLOSING_CHARGES);
			for (j : 0 .. ITEMS - 1) {
				taken_away[OF(n, j)] = 0
			}
			stored_epoch[n]++;
			last_take[n] = 0
		} }
#else
		epoch[n]++ }
#endif
#ifdef R2_DEADLINE_LATER
	:: atomic { up[n] && !HAS_DEADLINE(n, epoch[n]) && HOLDS_ANY(n, epoch[n]) -> SET_DEADLINE(n, epoch[n], 1) }
#endif
	od
}

/* What the network still has of a node's messages: inventories, and what nobody waits for any more. */
proctype Network(byte n) {
	end: do
	/* an old take: its answer goes nowhere; it may be executed again */
	:: atomic { old_take_epoch[n] > 0 && (ANY_AVAILABLE || OPENS(n, old_take_epoch[n])) ->
		choose_share();
		d_step {
			take(n, old_take_epoch[n], old_take_no[n]);
			share = executed; /* from here on: may it stay? */
			executed = 0;
			passing = 0;
			refused = 0;
			given = 0
		};
		if
		:: forget_old_take(n)
		:: !calm && share -> skip
		fi;
		share = 0 }
	:: atomic { old_take_epoch[n] > 0 -> forget_old_take(n) }

	:: atomic { old_outcome[n] > 0 ->
		d_step { outcome(old_outcome[n], n, old_outcome_epoch[n], old_outcome_item[n], old_outcome_no[n]) };
		if
		:: forget_old_outcome(n)
		:: !calm -> skip
		fi }
	:: atomic { old_outcome[n] > 0 -> forget_old_outcome(n) }

	:: atomic { inventory_sent[n] ->
		d_step { inventory(n, inventory_epoch[n], inventory_r[n]) };
		if
		:: up[n] && gave_up[n] && inventory_epoch[n] == epoch[n] ->
			if
			:: gave_up[n] = 0
			:: !calm -> skip /* the acknowledgement is lost */
			fi
		:: else
		fi;
		if
		:: d_step { forget_inventory(n) }
		:: !calm -> skip /* another copy of it */
		fi }
	:: atomic { !calm && inventory_sent[n] -> d_step { forget_inventory(n) } }
	od
}

/* What a worker makes of one item at one node, and the message about it, which the node repeats until acknowledged. */
#ifdef R9_WRITE_FIRST
#define MAY_SEND(n, i) (phase[OF(n, i)] != COMMIT_DUE || where[i] != BOOKS || !to_there[i])
#define ACKNOWLEDGED(n, i) (!(phase[OF(n, i)] == COMMIT_DUE && where[i] == BOOKS))
#else
#define MAY_SEND(n, i) (true)
#define ACKNOWLEDGED(n, i) (true)
#endif
proctype Worker(byte n; byte i) {
	end: do
	:: atomic { up[n] && phase[OF(n, i)] == HAVE && !KILLS(i) -> phase[OF(n, i)] = COMMIT_DUE }
	:: atomic { up[n] && phase[OF(n, i)] == HAVE && !KILLS(i) ->
		phase[OF(n, i)] = FAIL_DUE;
		failure_owed[OF(n, i)] = 1 }
	:: atomic { up[n] && phase[OF(n, i)] == HAVE && !calm && returns_left > 0 ->
		returns_left--;
		phase[OF(n, i)] = RETURN_DUE }
#ifdef POISON
	:: atomic { up[n] && phase[OF(n, i)] == HAVE && KILLS(i) && epoch[n] < EPOCHS ->
		deaths[i]++;
		crash(n) }
#endif
	:: atomic { up[n] && phase[OF(n, i)] >= COMMIT_DUE && MAY_SEND(n, i) ->
		d_step { outcome(phase[OF(n, i)], n, epoch[n], i, number[OF(n, i)]) };
		if
		:: ACKNOWLEDGED(n, i) ->
			if
			:: !calm && FAULTY(n) && old_outcome[n] == 0 -> leave_old_outcome(n, i)
			:: skip
			fi;
			phase[OF(n, i)] = NOTHING;
			number[OF(n, i)] = 0;
			failure_owed[OF(n, i)] = 0
		:: !ACKNOWLEDGED(n, i) -> skip
		:: !calm && FAULTY(n) -> skip /* the acknowledgement is lost */
		fi }
	od
}

#ifdef SETS
/* A worker that has both items open, and closes them together. (A refused set whose acknowledgement is lost is refused
   again under the next number, and so on as long as acknowledgements are lost: here up to number 5.) */
proctype SetWorker(byte n) {
	end: do
	:: atomic { up[n] && phase[OF(n, 0)] == COMMIT_DUE && phase[OF(n, 1)] == COMMIT_DUE && (calm || take_no[n] < 6) ->
		d_step { commit_set(n, epoch[n], number[OF(n, 0)], number[OF(n, 1)]) };
		if
		:: if
		   :: !calm && FAULTY(n) && old_outcome[n] == 0 ->
			old_outcome[n] = SET_DUE;
			old_outcome_epoch[n] = epoch[n];
			old_outcome_no[n] = number[OF(n, 0)] | (number[OF(n, 1)] << 4)
		   :: skip
		   fi;
		   d_step {
			for (j : 0 .. ITEMS - 1) {
				phase[OF(n, j)] = NOTHING;
				number[OF(n, j)] = 0
			}
			skip
		   }
		:: !calm && FAULTY(n) -> skip /* the acknowledgement is lost */
		fi }
	od
}
#endif

/* R8: a holder from whose node nothing was received within the deadline is reaped, at any time while things go wrong (a
   partition looks like a death); when calm, only if that run of the node is over. The node's record stays. */
#ifdef R8_CONNECTION_RENEWS
#define RENEWED(n) (half_open[n])
#else
#define RENEWED(n) (false)
#endif
proctype Reaper(byte n; byte e) {
	end: do
	:: atomic { HAS_DEADLINE(n, e) && HOLDS_ANY(n, e) && (!calm || !(up[n] && epoch[n] == e)) && !RENEWED(n) ->
		d_step {
			release(n, e, true);
#ifdef R8_REAP_FORGETS
			if
			:: stored_epoch[n] == e -> last_take[n] = 0
			:: else
			fi
#endif
		} }
	od
}

/* R12: the hub waits with a blocking move, for one item at a time. */
proctype Hub() {
	end: do
	:: atomic { where[0] == INPUT -> where[0] = ARRIVED; HUB_REMEMBERS(1) }
#if ITEMS > 1
	:: atomic { where[1] == INPUT && where[0] != ARRIVED -> where[1] = ARRIVED; HUB_REMEMBERS(1) }
#endif
#ifdef R12_POP_INTO_MEMORY
	:: atomic { !calm && hub_remembers -> hub_remembers = 0 } /* the hub dies */
#endif
	:: atomic { !calm -> calm = 1 }
	od
}

/* R9: the outbox's lowest entry is written there, by any hub, any number of times; there, what is not newer than `applied`
   is passed over. */
#ifdef OUTPUT_ELSEWHERE
#if ITEMS == 1 || defined(R9_ANY_ORDER)
#define LOWEST(i) (true)
#else
#define BEFORE(k, i) (where[k] == OUTBOX && outbox_q[k] < outbox_q[i])
#define LOWEST(i) (!BEFORE(0, i) && !BEFORE(1, i))
#endif
proctype OtherRedis(byte i) {
	end: do
	:: atomic { where[i] == OUTBOX && LOWEST(i) && !to_there[i] && !to_here[i] -> to_there[i] = 1 }
	:: atomic { to_there[i] ->
		if
		:: outbox_q[i] > applied ->
			applied = outbox_q[i];
			results[i]++
		:: else
		fi;
		if
		:: to_here[i] = 1
		:: !calm -> skip
		fi;
		if
		:: to_there[i] = 0
		:: !calm -> skip
		fi }
	:: atomic { to_here[i] ->
		if
		:: where[i] == OUTBOX -> where[i] = DONE
		:: else
		fi;
		if
		:: to_here[i] = 0
		:: !calm -> skip
		fi }
	:: atomic { !calm && to_there[i] -> to_there[i] = 0 }
	:: atomic { !calm && to_here[i] -> to_here[i] = 0 }
	od
}
#elif defined(R9_WRITE_FIRST)
/* The other way round, with a marker per item: kept for ever, or dropped when the books are done (R9_MARKER_DROPPED). */
proctype OtherRedis(byte i) {
	end: do
	:: atomic { to_there[i] ->
		if
		:: !marker[i] ->
			marker[i] = 1;
			results[i]++
		:: else
		fi;
		if
		:: to_here[i] = 1
		:: !calm -> skip
		fi;
		if
		:: to_there[i] = 0
		:: !calm -> skip
		fi }
	:: atomic { to_here[i] ->
		if
		:: where[i] == BOOKS -> where[i] = DONE
		:: else
		fi;
		if
		:: drop_marker[i] = 1
		:: !calm -> skip
		fi;
		if
		:: to_here[i] = 0
		:: !calm -> skip
		fi }
#ifdef R9_MARKER_DROPPED
	:: atomic { drop_marker[i] ->
		drop_marker[i] = 0;
		marker[i] = 0 }
#endif
	:: atomic { !calm && to_there[i] -> to_there[i] = 0 }
	:: atomic { !calm && to_here[i] -> to_here[i] = 0 }
	od
}
#endif

/* ======== what must hold ======== */

#if EPOCHS == 1
#define HELD_BY(n, i) (HELD(n, 1, i) > 0)
#elif EPOCHS == 2
#define HELD_BY(n, i) ((HELD(n, 1, i) > 0) + (HELD(n, 2, i) > 0))
#elif EPOCHS == 3
#define HELD_BY(n, i) ((HELD(n, 1, i) > 0) + (HELD(n, 2, i) > 0) + (HELD(n, 3, i) > 0))
#else
#define HELD_BY(n, i) ((HELD(n, 1, i) > 0) + (HELD(n, 2, i) > 0) + (HELD(n, 3, i) > 0) + (HELD(n, 4, i) > 0))
#endif

/* No item is lost, none is given to two: on the books it is in retry once, or held once. */
#define IN_ONE_PLACE(i) (where[i] != BOOKS || retry[i] + HELD_BY(0, i) + HELD_BY(1, i) == 1)

/* Committed at most once: a result for what is done, none for what is dead. */
#if defined(OUTPUT_ELSEWHERE)
#define ONE_RESULT(i) \
	(results[i] <= 1 && (where[i] == DONE || where[i] == OUTBOX || results[i] == 0) && (where[i] != DONE || results[i] == 1))
#elif defined(R9_WRITE_FIRST)
#define ONE_RESULT(i) \
	(results[i] <= 1 && (where[i] != DEAD || results[i] == 0) && (where[i] != DONE || results[i] == 1))
#else
#define ONE_RESULT(i) (results[i] == (where[i] == DONE))
#endif

/* What a live node computes, it holds, unless it was reaped or the item has its end. */
#define WORKS_ON_ITS_OWN(n, i) \
	(!(up[n] && phase[OF(n, i)] == HAVE) || where[i] != BOOKS || taken_away[OF(n, i)] || \
	 HELD(n, epoch[n], i) == number[OF(n, i)])

/* An item that kills machines stops. */
#define KILLS_FEW(i) (deaths[i] <= MAX_LOSSES)

#define GOOD(i) (IN_ONE_PLACE(i) && ONE_RESULT(i) && KILLS_FEW(i) && WORKS_ON_ITS_OWN(0, i) && WORKS_ON_ITS_OWN(1, i))

hidden byte in_one_place; /* so that the message of a failed assertion can be read */
hidden byte at_most_one_result;
hidden byte kills_few;
hidden byte works_on_its_own;
hidden byte all_settled;

inline say_what_is_wrong(i) {
	d_step {
		in_one_place = IN_ONE_PLACE(i);
		at_most_one_result = ONE_RESULT(i);
		kills_few = KILLS_FEW(i);
		works_on_its_own = WORKS_ON_ITS_OWN(0, i) && WORKS_ON_ITS_OWN(1, i);
		assert(in_one_place);
		assert(at_most_one_result);
		assert(kills_few);
		assert(works_on_its_own)
	}
}

/* Looks at every state; the last line is reached only when nothing can happen any more, which is after `calm`. */
proctype Monitor() {
	if
	:: atomic { !GOOD(0) -> say_what_is_wrong(0) }
#if ITEMS > 1
	:: atomic { !GOOD(1) -> say_what_is_wrong(1) }
#endif
#if ITEMS > 2
	:: atomic { !GOOD(2) -> say_what_is_wrong(2) }
#endif
	:: d_step { timeout ->
		all_settled = ALL_SETTLED;
		assert(all_settled) }
	fi
}

init {
	atomic {
		run Monitor();
		run Hub();
		byte n, i;
		for (n : 0 .. NODES - 1) {
			run Node(n);
			run Network(n);
			for (i : 1 .. EPOCHS) {
				run Reaper(n, i)
			}
			for (i : 0 .. ITEMS - 1) {
				run Worker(n, i)
			}
#ifdef SETS
			run SetWorker(n);
#endif
		}
#if defined(OUTPUT_ELSEWHERE) || defined(R9_WRITE_FIRST)
		for (i : 0 .. ITEMS - 1) {
			run OtherRedis(i)
		}
#endif
	}
}

/* Stronger than "never stuck": once calm, every fair run settles every item. */
#ifdef SETTLES
ltl settles { [] (calm -> <> (ALL_SETTLED)) }
#endif
