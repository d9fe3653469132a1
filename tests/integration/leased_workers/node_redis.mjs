// node-redis with the protocol version that RESP says; it pings while it waits.
import { createClient } from "redis";

const { INPUT_REDIS_URL: url, INPUT_QUEUE: queue, OUTPUT_QUEUE: out, RESP } = process.env;
const client = createClient({ url, RESP: Number(RESP), pingInterval: 200 });
client.on("error", (error) => console.error(error.message));
await client.connect();
for (;;) {
	const popped = await client.brPop(queue, 0);
	if (popped)
		await client.lPush(out, String(popped.element * popped.element));
}
