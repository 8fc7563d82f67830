/** The same as bus-nines.ts over JetStream, as its own documentation says to do it: explicit acks, async publishes. */
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { benchBody, publishAll } from "./bus-window.ts";

const { ROLE, PORT, COUNT, LEVEL } = process.env;
const count = Number(COUNT);
const connection = await connect({ port: Number(PORT) });
const stream = jetstream(connection);
if (ROLE === "subscriber") {
  const manager = await jetstreamManager(connection);
  const storage = LEVEL === "memory" ? "memory" : "file";
  await manager.streams.add({ name: "bench", subjects: ["bench"], storage, retention: "interest" });
  await manager.consumers.add("bench", {
    durable_name: "all",
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    max_ack_pending: 2_000,
  });
  const consumer = await stream.consumers.get("bench", "all");
  const messages = await consumer.consume({ max_messages: 2_000 });
  console.log("ready");
  let handled = 0;
  for await (const message of messages) {
    JSON.parse(message.string());
    message.ack();
    if (++handled === count) break;
  }
  await connection.flush();
  console.log("done");
} else {
  console.log("ready");
  for await (const _ of console) break;
  let n = 0;
  const body = () =>
    JSON.stringify({ ...benchBody, _id: `${++n}-0b1c-4cd5-9d3a-2d8f3c9be0aa`, _src: "publisher" });
  await publishAll(() => stream.publish("bench", body(), { timeout: 60_000 }));
}
