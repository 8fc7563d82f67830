/** `nines bus` and `bus:…`: topics, channels and brokers of this home, asked of the brokers themselves. */
import { NinesError } from "../../std/errors.ts";
import { toHome } from "../../wire/home.ts";
import { type Call, type Command, defineCommand, type Env, jsonFlag, noArgs } from "../command.ts";
import { isRunning, notRunning } from "../kernel.ts";
import { UsageError } from "../usage.ts";

const sampleMs = 1_000;
const countFlag = {
  kind: "number",
  value: "N",
  min: 1,
  max: 10_000_000,
  summary: "stop after so many",
} as const;

/** The platform's half is loaded by who uses it. */
async function openTools(env: Env) {
  const { parseConfig } = await import("../../platform/config.ts");
  const tools = await import("../../platform/bus-tools.ts");
  const config = parseConfig(env);
  const home = toHome(config.home);
  if (!isRunning(home)) throw notRunning(home);
  return { ...tools, config, home };
}

export const bus = defineCommand({
  places: "",
  args: noArgs,
  flags: { json: jsonFlag, all: { kind: "switch", summary: "the platform's own topics too" } },
  notes: "Rates are of one second. Sums are of the brokers that answer.",
  async run({ flags, out, env }) {
    const { readBrokers, config, home } = await openTools(env);
    const before = await readBrokers(config, home);
    await new Promise((resolve) => setTimeout(resolve, sampleMs));
    const after = await readBrokers(config, home);
    const shown = (topic: { topic: string }) => flags.all || !topic.topic.startsWith("nines.");
    const topics = toTopics(before, after).filter(shown);
    const brokers = after.map((broker) =>
      broker.state === "up"
        ? {
            id: broker.id,
            state: broker.state,
            heldBytes: broker.held_bytes,
            connections: broker.connections,
          }
        : broker,
    );
    if (flags.json) {
      out.json({ brokers, topics });
      return 0;
    }
    out.table(
      ["BROKER", "STATE", "CONNECTIONS", "MEMORY", ""],
      brokers.map((broker) =>
        broker.state === "up"
          ? [broker.id, "up", String(broker.connections), `${Math.ceil(broker.heldBytes / 1_024)} KiB`, ""]
          : [broker.id, out.paint("red", "away"), "-", "-", broker.reason],
      ),
    );
    out.line();
    if (topics.length === 0) out.note("no topics");
    else
      out.table(
        ["TOPIC", "CHANNEL", "DEPTH", "IN FLIGHT", "OLDEST", "IN/S", "OUT/S", "MEMBERS", ""],
        topics.map((row) => [
          row.topic,
          row.channel,
          String(row.depth),
          String(row.inflight),
          row.oldestMs === 0 ? "-" : `${(row.oldestMs / 1_000).toFixed(1)} s`,
          String(row.inPerSecond),
          String(row.outPerSecond),
          String(row.members),
          row.paused ? out.paint("yellow", "paused") : "",
        ]),
      );
    return 0;
  },
});

interface Row {
  readonly topic: string;
  /** `-` for what waits for a first channel. */
  readonly channel: string;
  readonly depth: number;
  readonly inflight: number;
  readonly oldestMs: number;
  readonly inPerSecond: number;
  readonly outPerSecond: number;
  readonly members: number;
  readonly paused: boolean;
}

type Brokers = Awaited<ReturnType<Awaited<ReturnType<typeof openTools>>["readBrokers"]>>;

/** One row for each channel, summed over the brokers, and one for a topic without any. */
function toTopics(before: Brokers, after: Brokers): Row[] {
  const rows = new Map<string, Row>();
  const add = (row: Row) => {
    const key = `${row.topic} ${row.channel}`;
    const sum = rows.get(key);
    if (sum === undefined) return rows.set(key, row);
    return rows.set(key, {
      ...row,
      depth: sum.depth + row.depth,
      inflight: sum.inflight + row.inflight,
      oldestMs: Math.max(sum.oldestMs, row.oldestMs),
      inPerSecond: sum.inPerSecond + row.inPerSecond,
      outPerSecond: sum.outPerSecond + row.outPerSecond,
      members: sum.members + row.members,
      paused: sum.paused || row.paused,
    });
  };
  for (const broker of after) {
    if (broker.state !== "up") continue;
    const earlier = before.find(({ id }) => id === broker.id);
    const past = earlier?.state === "up" ? earlier.topics : [];
    for (const topic of broker.topics) {
      const was = past.find(({ topic_name }) => topic_name === topic.topic_name);
      const inPerSecond = Math.max(0, topic.message_count - (was?.message_count ?? topic.message_count));
      const common = { topic: topic.topic_name, inPerSecond };
      if (topic.channels.length === 0 || topic.depth > 0) {
        const { depth, oldest_ms: oldestMs } = topic;
        add({
          ...common,
          channel: "-",
          depth,
          inflight: 0,
          oldestMs,
          outPerSecond: 0,
          members: 0,
          paused: false,
        });
      }
      for (const channel of topic.channels) {
        const wasChannel = was?.channels.find(({ channel_name }) => channel_name === channel.channel_name);
        add({
          ...common,
          channel: channel.channel_name,
          depth: channel.depth + channel.deferred_count,
          inflight: channel.in_flight_count,
          oldestMs: channel.oldest_ms,
          outPerSecond: Math.max(
            0,
            channel.finish_count - (wasChannel?.finish_count ?? channel.finish_count),
          ),
          members: channel.client_count,
          paused: channel.paused,
        });
      }
    }
  }
  return [...rows.values()].sort((a, b) =>
    `${a.topic} ${a.channel}`.localeCompare(`${b.topic} ${b.channel}`),
  );
}

export const publish = defineCommand({
  places: "TOPIC KEY=VALUE…",
  args: { min: 1, max: 257 },
  flags: { json: jsonFlag },
  notes: "An app's topic has the app's name before it: shop.orders",
  async run({ flags, args, out, env }) {
    const [topic = "", ...pairs] = args;
    const message = Object.fromEntries(pairs.map(toPair));
    const { openToolBus, config, home } = await openTools(env);
    const end = await openToolBus(config, home);
    try {
      const published = await end.publish(topic, message);
      if (flags.json) out.json(published);
      else out.line(`${published.id} is with ${published.brokers.join(", ")}`);
      return 0;
    } finally {
      await end[Symbol.asyncDispose]();
    }
  },
});

function toPair(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new UsageError(`"${text}" has no =`, "write KEY=VALUE");
  return [text.slice(0, at), text.slice(at + 1)];
}

export const tail = defineCommand({
  places: "TOPIC",
  args: { min: 1, max: 1 },
  flags: { count: countFlag },
  notes: "Prints copies, one JSON a line, and takes nothing from anybody. Ends with Ctrl-C.",
  async run({ flags, args, out, env }) {
    const { openToolBus, config, home } = await openTools(env);
    const end = await openToolBus(config, home);
    let left = flags.count ?? Number.POSITIVE_INFINITY;
    try {
      await new Promise<void>((resolve) => {
        process.once("SIGINT", resolve);
        const subscription = end.subscribe(args[0] as string, "broadcast", (message) => {
          if (left-- > 0) out.line(JSON.stringify(message));
          if (left <= 0) resolve();
        });
        void subscription.whenJoined(5_000).then(() => out.note(`hearing ${args[0]}`));
      });
      return 0;
    } finally {
      await end[Symbol.asyncDispose]();
    }
  },
});

export const drain = defineCommand({
  places: "TOPIC CHANNEL",
  args: { min: 2, max: 2 },
  flags: { count: countFlag },
  notes: "Takes what waits in the channel out of it, and prints it, one JSON a line.",
  async run({ flags, args, out, env }) {
    const [topic = "", channel = ""] = args;
    const tools = await openTools(env);
    await checkChannel(tools, topic, channel);
    const max = flags.count ?? Number.POSITIVE_INFINITY;
    const taken = await tools.drain(tools.config, tools.home, { topic, channel, max }, async (message) =>
      out.line(JSON.stringify(message)),
    );
    out.note(`${taken} taken out of ${topic}, ${channel}`);
    return 0;
  },
});

const replayChannel = "nines.replay";

export const replay = defineCommand({
  places: "TOPIC",
  args: { min: 1, max: 1 },
  flags: { count: countFlag, json: jsonFlag },
  notes: "Publishes the dead letters of the topic to it again, with new ids; all its channels get them.",
  async run({ flags, args, out, env }) {
    const [topic = ""] = args;
    const tools = await openTools(env);
    const { config, home } = tools;
    const end = await tools.openToolBus(config, home);
    const from = {
      topic: `${topic}.dead`,
      channel: replayChannel,
      max: flags.count ?? Number.POSITIVE_INFINITY,
    };
    try {
      const replayed = await tools.drain(config, home, from, async (letter) => {
        const { _topic, _channel, _attempts, _reason, _src, _id, ...message } = letter;
        await end.publish(topic, { ...message, _replayed: _id ?? "" });
      });
      // What is left, and what comes, waits for the next one as before.
      if (flags.count === undefined)
        await tools.administer(config, home, "delete", from.topic, replayChannel);
      if (flags.json) out.json({ topic, replayed });
      else out.line(`${replayed} dead letters of ${topic} were published again`);
      return 0;
    } finally {
      await end[Symbol.asyncDispose]();
    }
  },
});

export const pause: Command = toSwitch("pause");
export const unpause: Command = toSwitch("unpause");

function toSwitch(verb: "pause" | "unpause"): Command {
  return defineCommand({
    places: "TOPIC CHANNEL",
    args: { min: 2, max: 2 },
    flags: {},
    async run({ args, out, env }: Call) {
      const [topic = "", channel = ""] = args;
      const tools = await openTools(env);
      const done = await tools.administer(tools.config, tools.home, verb, topic, channel);
      if (done === 0) throw new NinesError("not_found", `no broker has a channel ${channel} of ${topic}`);
      out.line(`${topic}, ${channel}: ${verb === "pause" ? "paused" : "goes on"}, on ${done} brokers`);
      return 0;
    },
  });
}

/** To subscribe would make it. */
async function checkChannel(
  tools: Awaited<ReturnType<typeof openTools>>,
  topic: string,
  channel: string,
): Promise<void> {
  const brokers = await tools.readBrokers(tools.config, tools.home);
  const exists = brokers.some(
    (broker) =>
      broker.state === "up" &&
      broker.topics.some(
        ({ topic_name, channels }) =>
          topic_name === topic && channels.some(({ channel_name }) => channel_name === channel),
      ),
  );
  if (!exists) throw new NinesError("not_found", `no broker has a channel ${channel} of ${topic}`);
}
