/** NSQ clients that others wrote, as npm has them, against the embedded broker. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createRequire } from "node:module";
import { systemClock } from "../std/clock.ts";
import { type Broker, startBroker } from "./broker.ts";
import { quiet, until } from "./harness.ts";

const require = createRequire(import.meta.url);
const [topic, channel] = ["orders", "worker"];

/** What these tests use of a client. */
interface Client {
  publish(topic: string, body: string | readonly string[], delayMs?: number): Promise<void>;
  /** With a timeout after which what is neither settled nor touched comes again. */
  subscribe(timeoutMs: number, handle: (message: Heard) => void): Promise<void>;
  /** How often it had to connect again. */
  readonly reconnects: number;
  close(): Promise<void>;
}

interface Heard {
  readonly body: string;
  readonly attempts: number;
  finish(): void;
  requeue(delayMs: number): void;
  touch(): void;
}

interface Emitter {
  on(event: string, callback: (value: never) => void): void;
}

function openSqueaky(port: number): Client {
  type Sent = Heard & { body: unknown };
  type Publisher = Emitter & { publish(...args: unknown[]): Promise<unknown>; close(): Promise<void> };
  const { Publisher, Subscriber } = require("squeaky") as {
    Publisher: new (options: object) => Publisher;
    Subscriber: new (options: object) => Emitter & { close(): Promise<void> };
  };
  const opened: { close(): Promise<void> }[] = [];
  let reconnects = 0;
  const watch = <T extends Emitter & { close(): Promise<void> }>(end: T): T => {
    end.on("reconnect", () => reconnects++);
    opened.push(end);
    return end;
  };
  const publisher = watch(new Publisher({ host: "127.0.0.1", port }));
  const ready = new Promise<void>((resolve) => publisher.on("ready", () => resolve()));
  return {
    get reconnects() {
      return reconnects;
    },
    async publish(topic, body, delayMs) {
      await ready;
      await publisher.publish(topic, body, delayMs);
    },
    async subscribe(timeout, handle) {
      const options = { host: "127.0.0.1", port, topic, channel, concurrency: 2, timeout };
      const subscriber = watch(new Subscriber(options));
      subscriber.on("message", (message: Sent) => {
        handle({
          body: Buffer.isBuffer(message.body) ? message.body.toString() : String(message.body),
          attempts: message.attempts,
          finish: () => void message.finish(),
          requeue: (delayMs) => void message.requeue(delayMs),
          touch: () => void message.touch(),
        });
      });
    },
    async close() {
      for (const end of opened) await end.close();
    },
  };
}

function openNsqjs(port: number): Client {
  type Sent = Heard & { body: Buffer };
  type Connectable = Emitter & { connect(): void; close(): void };
  type Writer = Connectable & {
    publish(topic: string, body: unknown, done: (error?: Error) => void): void;
    deferPublish(topic: string, body: unknown, delayMs: number, done: (error?: Error) => void): void;
  };
  const { Writer, Reader } = require("nsqjs") as {
    Writer: new (host: string, port: number) => Writer;
    Reader: new (topic: string, channel: string, options: object) => Connectable;
  };
  const opened: Connectable[] = [];
  let closed = 0;
  const open = <T extends Connectable>(end: T, closes: string): T => {
    end.on(closes, () => closed++);
    opened.push(end);
    end.connect();
    return end;
  };
  const writer = open(new Writer("127.0.0.1", port), "closed");
  const failed = new Promise<never>((_, reject) => writer.on("error", reject));
  failed.catch(() => {});
  const ready = new Promise<void>((resolve) => writer.on("ready", () => resolve()));
  return {
    get reconnects() {
      return closed;
    },
    async publish(topic, body, delayMs) {
      await ready;
      const published = new Promise<void>((resolve, reject) => {
        const done = (error?: Error) => (error ? reject(error) : resolve());
        if (delayMs === undefined) writer.publish(topic, body, done);
        else writer.deferPublish(topic, [body], delayMs, done);
      });
      await Promise.race([published, failed]);
    },
    async subscribe(messageTimeout, handle) {
      const options = { nsqdTCPAddresses: [`127.0.0.1:${port}`], maxInFlight: 2, messageTimeout };
      const reader = open(new Reader(topic, channel, options), "nsqd_closed");
      reader.on("message", (message: Sent) => {
        handle({
          body: message.body.toString(),
          attempts: message.attempts,
          finish: () => message.finish(),
          requeue: (delayMs) =>
            (message.requeue as (delay: number, backoff: boolean) => void)(delayMs, false),
          touch: () => message.touch(),
        });
      });
    },
    async close() {
      for (const end of opened) end.close();
    },
  };
}

for (const [name, open] of Object.entries({ nsqjs: openNsqjs, squeaky: openSqueaky })) {
  describe(name, () => {
    let broker: Broker;
    let client: Client;
    beforeEach(async () => {
      broker = await startBroker({
        host: "127.0.0.1",
        port: 0,
        clock: systemClock,
        log: quiet,
        limits: { heartbeatMs: 1_000 },
      });
      client = open(broker.port);
    });
    afterEach(async () => {
      await client.close();
      await broker[Symbol.asyncDispose]();
    });

    test("publishes one, many and delayed ones, and hears each once", async () => {
      const heard: string[] = [];
      let laterMs = 0;
      const startedAt = performance.now();
      await client.subscribe(30_000, (message) => {
        heard.push(message.body);
        if (message.body === "later") laterMs = performance.now() - startedAt;
        message.finish();
      });
      await client.publish(topic, "later", 300);
      await client.publish(topic, "one");
      await client.publish(topic, ["the second", "the third"]);
      await until("all are heard", () => heard.length === 4);
      expect(heard.toSorted()).toEqual(["later", "one", "the second", "the third"]);
      expect(laterMs).toBeGreaterThan(250);
      await until("all are finished", () => broker.stats().topics[0]?.channels[0]?.finished === 4);
    });

    test("what it requeues comes again with one attempt more, and what it never settles when its time is up", async () => {
      const attempts: number[] = [];
      await client.subscribe(1_000, (message) => {
        attempts.push(message.attempts);
        if (message.attempts === 1) message.requeue(50);
        if (message.attempts === 3) message.finish();
      });
      await client.publish(topic, "stubborn");
      await until("it was tried three times", () => attempts.length === 3);
      expect(attempts).toEqual([1, 2, 3]);
      const channel = () => broker.stats().topics[0]?.channels[0];
      await until("it is finished", () => channel()?.finished === 1);
      expect(channel()).toMatchObject({ requeued: 1, timedOut: 1, depth: 0 });
    });

    test("what it touches stays with it for longer than its timeout", async () => {
      let deliveries = 0;
      await client.subscribe(2_000, (message) => {
        deliveries++;
        const touching = setInterval(() => message.touch(), 200);
        setTimeout(() => {
          clearInterval(touching);
          message.finish();
        }, 2_600);
      });
      await client.publish(topic, "long work");
      await until("it is finished", () => broker.stats().topics[0]?.channels[0]?.finished === 1);
      expect(broker.stats().topics[0]?.channels[0]?.timedOut).toBe(0);
      expect(deliveries).toBe(1);
    });

    test("it answers heartbeats: idle for many times their period it is still connected, and hears", async () => {
      const heard: string[] = [];
      await client.subscribe(30_000, (message) => {
        heard.push(message.body);
        message.finish();
      });
      await client.publish(topic, "before");
      await until("it hears", () => heard.length === 1);
      const clients = broker.stats().sessions.map(({ remote }) => remote);
      await systemClock.sleep(4_000);
      await client.publish(topic, "after");
      await until("it hears still", () => heard.length === 2);
      expect(broker.stats().sessions.map(({ remote }) => remote)).toEqual(clients);
      expect(client.reconnects).toBe(0);
    });

    test("what it may not do is told to it by name", async () => {
      await expect(client.publish("orders!", "x")).rejects.toThrow("E_BAD_TOPIC");
    });
  });
}
