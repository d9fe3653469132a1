// ioredis, one connection; the push is not awaited before the next pop: both go out in one packet.
import { Redis } from "ioredis";

const client = new Redis(process.env.INPUT_REDIS_URL);
const { INPUT_QUEUE: queue, OUTPUT_QUEUE: out } = process.env;
for (;;) {
	const [, item] = await client.brpop(queue, 0);
	client.lpush(out, String(item * item));
}
