"""Each rule broken on purpose: one edit of one script, and the tests have to notice. test_random.py runs those that the random
plans find; this program runs the others against test_rules.py, and tells which test noticed; some minutes:

    /usr/bin/python3 tests/broker/mutants.py [WORD IN ITS NAME]
"""
import os
import pathlib
import subprocess
import sys
import tempfile

from broker import SCRIPTS

HERE = pathlib.Path(__file__).resolve().parent

# name: (file, what stands there, what is put there instead)
BY_RANDOM_PLANS = {
    "r1 a commit does not ask the books": (
        "commit", "real = real + (on_books(pair[1]) and 1 or 0)", "real = real + 1"),
    "r2 no deadline": ("take", "set_last(node, epoch, n)\nrenew_deadline(holder, now + lease_ms)", "set_last(node, epoch, n)"),
    "r4 fail and return do not look at the number": (
        "common", "redis.call('HGET', held, id) == number", "redis.call('HGET', held, id) ~= false"),
    "r4 fail and return do not look at the holder's hash": (
        "common", "redis.call('HGET', held, id) == number", "true"),
    "r5 the new epoch does not begin at 1": (
        "common", "digits(epoch) .. ' 0')\n\treturn 0", "digits(epoch) .. ' ' .. last)\n\treturn tonumber(last)"),
    "r7 a loss charges nothing": ("common", "unopened[id] and 1 or OPENED", "0"),
    "r7 a reaped holder keeps its items": ("common", "redis.call('DEL', key('held:' .. holder), key('unopened:' .. holder))", ""),
    "r9 the outbox is written again": ("outbox_apply", "if q <= done then", "if false then"),
    "r9 the refused are forgotten": ("outbox_apply", "redis.call('HSET', refused, field, reason)", ""),
    "r9 the outbox is dropped unseen": ("outbox_next", "at = at + 1", "at = at + 1\n\tredis.call('LPOP', key('outbox'))"),
    "r10 a set lands in part": ("commit", "if real < #set.ids then", "if real == 0 then"),
    "r10 what did not land stays nowhere": ("commit", "redis.call('RPUSH', key('retry'), id)\n\t\t\t\tback", "back"),
    "r11 ids leave the books before the check": (
        "commit", "local there, reason = check(set)\n\tif not there then\n\t\tgive_back",
        "for _, p in ipairs(set.ids) do redis.call('HDEL', key('items'), p[1]) end\n\t"
        "local there, reason = check(set)\n\tif not there then\n\t\tgive_back"),
}
BY_RULES = {
    "r6 inventory keeps what it does not list": ("inventory", "has[id] ~= number", "false"),
    "r6 inventory knows no r": ("inventory", "tonumber(number) <= r and ", ""),
    "r1 reap brings back what is off the books": (
        "common", "if on_books(id) then\n\t\t\tcount('lost', 1)", "if true then\n\t\t\tcount('lost', 1)"),
    "r5 a lower epoch may take": ("common", "if epoch < tonumber(current) then", "if false then"),
    "failures are never too many": ("common", "local dead = attempts >= 3 * rules.max_attempts\n", "local dead = false\n"),
    "r1 the sender keeps what it committed": ("commit", "call_many('HDEL', held, cleared)\n", ""),
    "r1 the sender keeps what another committed": ("common", "if same or not real then", "if same then"),
    "r1 take gives what is off the books": (
        "take", "local payload = redis.call('HGET', key('items'), id)", "local payload = redis.call('HGET', key('items'), id) or ''"),
    "r2 the input list before the arrived": ("take", "take_from_list(key('arrived'), 'RPOP', 'RPUSH')\n", ""),
    "r2 retry last": ("take", "take_from_retry()\ntake", "take"),
    "r2 ids by the caller's word": ("take", "{ seed, time[1], time[2], holder, number }", "{ seed }"),
    "r2 bytes are not counted": ("take", "i, spent + #payload", "i, spent"),
    "r3 a repeated number takes more": ("take", "if n == last then", "if false then"),
    "r3 a lower number takes": ("take", "if n < last then", "if false then"),
    "r3 an empty answer uses the number up": (
        "take", "if #reply == 0 then\n\trenew", "if #reply == 0 then\n\tset_last(node, epoch, n)\n\trenew"),
    "r3 a repeated number gives another's": ("take", "entries[i + 1] == number and ", ""),
    "r5 a higher epoch closes nothing": (
        "common", "local back, died = release(node .. ':' .. current, max_losses, now)", "local back, died = 0, 0"),
    "r5 epochs compared as text": ("common", "if epoch < tonumber(current)", "if digits(epoch) < current"),
    "r6 inventory compares ids alone": ("inventory", "has[id] ~= number", "not has[id]"),
    "r6 inventory does not close the number": ("inventory", "if last < r then", "if false then"),
    "r6 inventory turns the number back": ("inventory", "if last < r then", "if true then"),
    "r6 leaving charges": ("inventory", "call_many('RPUSH', key('retry'), returned)",
                           "for _, id in ipairs(returned) do redis.call('HINCRBY', key('losses'), id, 10) end\n"
                           "call_many('RPUSH', key('retry'), returned)"),
    "r7 unopened counts as opened": ("common", "unopened[id] and 1 or OPENED", "OPENED"),
    "r7 unopened counts nothing": ("common", "unopened[id] and 1 or OPENED", "unopened[id] and 0 or OPENED"),
    "r7 unopened stays so": ("take", "call_many('SREM', key('unopened:' .. holder), ids)", ""),
    "r8 the living are reaped": ("reap", "'-inf', digits(now)", "'-inf', '+inf'"),
    "r8 a start reaps": ("reap", "if start or ", "if "),
    "r8 a pause reaps": ("reap", "now - before > AWAY_MS", "false"),
    "r8 a clock set back reaps": ("reap", " or now < before", ""),
    "r8 reaping is not bounded": ("reap", "back + died >= ITEMS_MOST", "false"),
    "r8 a refused take renews": (
        "take", "if n < last then\n", "if n < last then\n\trenew_deadline(holder, now + lease_ms)\n"),
    "r8 an empty take does not renew": ("take", "if #reply == 0 then\n\trenew_deadline(holder, now + lease_ms)", "if #reply == 0 then"),
    "r8 reap forgets the node": ("common", "redis.call('ZREM', key('holders'), holder)\n\tlocal back",
                                 "redis.call('ZREM', key('holders'), holder)\n\t"
                                 "redis.call('HDEL', key('nodes'), string.match(holder, '^[^:]+'))\n\tlocal back"),
    "r9 q counts only": ("commit", ", time[1] * 1000000 + time[2])", ")"),
    "r9 another than the head is dropped": ("outbox_done", "if q and tonumber(q) == fate[1] then", "if q then"),
    "r10 a late copy takes from the newer lease": ("common", "redis.call('HGET', held, id) == number", "redis.call('HGET', held, id) ~= false"),
    "r10 a retried letter keeps its attempts": ("dead_retry", "forget(back)", ""),
    "dead letters of one millisecond in any order": ("common", ">= now then", "> now + 1e9 then"),
    "r11 types are not checked": ("common", "if write[1] ~= 'SET' and type ~= 'none' and type ~= form.type then", "if false then"),
    "r11 types as they are": ("common", "set.types[name] = form.type", ""),
    "r11 keys are not checked": ("common", "return output ~= '' and (", "return true or ("),
    "r11 keys with :idm: pass": ("common", "\n\t\tand not string.find(name, ':idm:', 1, true)", ""),
    "r11 any score": ("common", "if not is_score(write[i]) then", "if false then"),
    "r11 any length": ("common", "if set.lengths[name] > STRING_MOST then", "if false then"),
    "r11 a full Redis is noticed too late": ("commit", "when_full(false)", "when_full(true)"),
    "r11 a full Redis stops everything": ("common", "if goes_on then", "if false then"),
    "r11 the input's type is asked too late": ("take", "redis.call('LLEN', input) -- is", "-- is"),
    "r12 arrived stays": ("settle", "local arrived = redis.call('LPOP', key('arrived'), MOST_AT_ONCE)", "local arrived = false"),
    "r12 order turned": ("settle", "redis.call('RPOP', key('retry')", "redis.call('LPOP', key('retry')"),
    "r12 retry leaves while somebody holds": ("settle", "local ids = holders == 0 and", "local ids ="),
    "r12 loose writes repeat": ("commit", "redis.call('HSET', key('loose'), holder, digits(set.seq))", ""),
    "a purge while something is out": ("purge", "if holders > 0 then", "if false then"),
    "a purge forgets the results": ("purge", "redis.call('UNLINK', output, ", "redis.call('UNLINK', "),
    "a purge takes a pattern for a name": ("purge", "string.gsub(base, '[%*%?%[%]\\\\]', '\\\\%0')", "base"),
    "a failure is not seen": ("common", "\tsee(i, payload, attempts, dead)\n", ""),
    "alone is forgotten": ("fail", "if together then", "if false then"),
    "several alone in one answer": ("take", "(alone and alone_given)", "false"),
    "a node gets its own failure back at once": ("take", "if wait or ", "if "),
    "dead after failing on one node": ("common", " or not rules.two_nodes)", " or true)"),
    "no result is fine": ("commit", "if #set.writes == 0 and require_result then", "if false then"),
    "a push repeats": ("push", "local over = math.min(known - first, items)", "local over = 0"),
    "a push turned round": ("push", "pop == 'left' and 'RPUSH' or 'LPUSH'", "pop == 'left' and 'LPUSH' or 'RPUSH'"),
    "a push jumps over a gap": ("push", "if first > known then", "if false then"),
    "a push counts before it brings": (
        "push", "local over =", "redis.call('SET', counter, digits(first + items))\nlocal over ="),
    "a push counts backwards": ("push", "if items > over then", "if true then"),
    "a push is remembered for ever": ("push", ", 'EX', digits(kept_s))", ")"),
    "results from the writers' end": ("results_read", "if writer == 'right' then", "if writer == 'left' then"),
    "results are not turned round": ("results_read", "page[i], page[#page + 1 - i] = page[#page + 1 - i], page[i]", ""),
    "results forget what was taken": ("results_read", "local first = tonumber(redis.call('GET', taken) or 0)", "local first = 0"),
    "results over the size": ("results_read", "if #results > 0 and bytes + #result > max_bytes then", "if false then"),
    "results taken twice": ("results_take", "redis.call('SET', taken, digits(stop))", ""),
    "results taken at the writers' end": ("results_take", "if writer == 'right' then", "if writer == 'left' then"),
    "results taken beyond the end": ("results_take", "local wanted = math.min(upto, total)", "local wanted = upto"),
    "results counted before they are taken": (
        "results_take", "if stop > first then", "redis.call('SET', taken, digits(math.max(stop, first)))\nif stop > first then"),
    "what is passed over hides what is behind": ("take", "call_many('RPUSH', key('retry'), passed)", "call_many('LPUSH', key('retry'), passed)"),
}


def notices(edit):
    name, old, new = edit
    with tempfile.TemporaryDirectory(prefix="idm-mutant-") as folder:
        for path in SCRIPTS.glob("*.lua"):
            text = path.read_text()
            if path.stem == name:
                assert old in text, f"{name}.lua has no {old!r}"
                text = text.replace(old, new)
            (pathlib.Path(folder) / path.name).write_text(text)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "--rootdir", HERE, "-c", HERE / "pytest.ini", HERE / "test_rules.py"],
            env={**os.environ, "IDM_BROKER_SCRIPTS": folder, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True)
    found = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]
    return found[0].split(" - ")[0][7:].rpartition("::")[2] if found else ""


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    missed = 0
    for name, edit in BY_RULES.items():
        if word in name:
            found = notices(edit)
            missed += not found
            print(f"{name:48} {found or '-'}", flush=True)
    print(f"{missed} not noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
