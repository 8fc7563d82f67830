/** Topics of local mode: in this process alone, and gone with it. */
import { randomUUID } from "node:crypto";
import { NinesError, toError } from "../std/errors.ts";
import { LocalTopic } from "./local-topic.ts";
import { toChannel, toTopic } from "./surroundings.ts";
import type { Message, Topics } from "./topics.ts";

/** The largest message, as on the platform. */
const messageBytesMax = 1_048_576;

export function startLocalTopics(app: string, log: (line: string) => void): Topics & AsyncDisposable {
  const topics = new Map<string, LocalTopic>();
  let broadcasts = 0;
  const open = (name: string): LocalTopic => {
    const existing = topics.get(name);
    if (existing !== undefined) return existing;
    const topic = new LocalTopic((message, reason) => {
      log(`dead letter of ${name}: ${reason}`);
      if (!name.endsWith(".dead")) open(`${name}.dead`).publish({ ...message, _reason: reason });
    });
    topics.set(name, topic);
    return topic;
  };
  return {
    async publish(topic, message, options = {}) {
      const id = options.id ?? randomUUID();
      const stamped: Message = { ...message, _id: id, _src: app };
      check(stamped);
      open(toTopic(app, topic, options.app)).publish(stamped);
      return { id };
    },
    subscribe(topic, channel, handler, options = {}) {
      const name =
        channel === "broadcast" ? `broadcast ${++broadcasts}` : toChannel(app, channel, options.app);
      const member = open(toTopic(app, topic, options.app)).join(name, handler, options, (error) =>
        log(`handler failed: ${toError(error).message}`),
      );
      return { whenJoined: async () => true, close: async () => member.leave() };
    },
    async [Symbol.asyncDispose]() {
      for (const topic of topics.values()) topic.close();
      topics.clear();
    },
  };
}

function check(message: Message): void {
  for (const [key, value] of Object.entries(message)) {
    if (typeof value !== "string") {
      throw new NinesError("invalid", `message.${key}: expected a string, found ${typeof value}`);
    }
  }
  if (Buffer.byteLength(JSON.stringify(message)) > messageBytesMax) {
    throw new NinesError("too_large", `a message is at most ${messageBytesMax} bytes`);
  }
}
