/** Topics on the platform: the app's end of its bus. */
import { startBus } from "../bus/bus.ts";
import { systemClock } from "../std/clock.ts";
import type { Log } from "../std/log.ts";
import { type Platform, toChannel, toTopic } from "./surroundings.ts";
import type { Topics } from "./topics.ts";

export async function startPlatformTopics(platform: Platform, log: Log): Promise<Topics & AsyncDisposable> {
  const { app, process, brokers, secret } = platform;
  const bus = await startBus({
    brokers: async () => brokers,
    secret,
    sender: `${app}.${process}`,
    clock: systemClock,
    random: Math.random,
    log,
  });
  return {
    async publish(topic, message, { app: owner, ...options } = {}) {
      const { id } = await bus.publish(toTopic(app, topic, owner), message, options);
      return { id };
    },
    subscribe(topic, channel, handler, { app: owner, ...options } = {}) {
      const name = toChannel(app, channel, owner);
      const subscription = bus.subscribe(toTopic(app, topic, owner), name, handler, options);
      return {
        whenJoined: (timeoutMs) => subscription.whenJoined(timeoutMs),
        close: async () => subscription[Symbol.asyncDispose](),
      };
    },
    [Symbol.asyncDispose]: async () => bus[Symbol.asyncDispose](),
  };
}
