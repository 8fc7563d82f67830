/** All loads of a drill, each a process of its own, started together and ended in the order in which they feed each other. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { app, type Ground } from "./ground.ts";
import { type Hand, startHand } from "./load/crew.ts";
import { type Load, startLoad } from "./load/load.ts";

export interface Loads extends AsyncDisposable {
  readonly http: Load;
  readonly orders: Load;
  readonly target: Hand;
  /** Ends whatever makes something new; what listens goes on. */
  quiet(): Promise<void>;
  /** Then those who listen. */
  stop(): Promise<void>;
  journal(name: string): string;
}

const lanes = { lanes: 4, perSecond: 10 };
const keys = { keys: 5, perSecond: 6 };
const ordersPerSecond = 5;
const webSockets = 5;
const slowClients = 2;
/** Who waits longer has failed. What is stopped is replaced within three seconds, on a machine that is not too busy. */
const timeoutMs = 8_000;

export async function startLoads(ground: Ground, rate: number): Promise<Loads> {
  const { platform, folder, env } = ground;
  const journal = (name: string) => join(folder, `${name}.jsonl`);
  const spool = (name: string) => {
    const path = join(folder, `spool-${name}`);
    mkdirSync(path);
    return { ...env, NINES_SPOOL: path, NINES_PROCESS: `drill.${name}` };
  };
  const stack = new AsyncDisposableStack();
  try {
    const target = stack.use(await startHand("target", { journal: journal("target") }, {}));
    await platform.must("buffer:set", `${app}.payments`, `http://127.0.0.1:${target.said}/`);
    const brokers = (env.NINES_BUS_BROKERS ?? "").split(",").map((text) => {
      const [, id, host, port] = /^([^=]+)=(.+):(\d+)$/.exec(text) ?? [];
      return { id, host, port: Number(port) };
    });
    const audit = stack.use(
      await startHand("audit", { journal: journal("audit"), topic: `${app}.orders`, brokers }, env),
    );
    const [messages, writes, flags, slow] = await Promise.all([
      startHand("messages", { journal: journal("messages"), ...lanes }, spool("messages")),
      startHand("writes", { journal: journal("writes"), ...keys }, spool("writes")),
      startHand("flags", { journal: journal("flags") }, env),
      startHand(
        "slow",
        { journal: journal("slow"), port: platform.port, host: `${app}.localhost`, clients: slowClients },
        {},
      ),
    ]);
    for (const hand of [messages, writes, flags, slow]) stack.use(hand);
    const place = { port: platform.port, app };
    const http = stack.use(
      await startLoad({
        ...place,
        rate,
        timeoutMs,
        sockets: webSockets,
        path: "/?ms=5",
        journal: journal("http"),
      }),
    );
    const orders = stack.use(
      await startLoad({
        ...place,
        rate: ordersPerSecond,
        mix: { post_new: 1, post_kept: 1 },
        path: "/order",
        journal: journal("orders"),
      }),
    );
    return {
      http,
      orders,
      target,
      journal,
      async quiet() {
        await Promise.all([
          http.stop(),
          orders.stop(),
          ...[messages, writes, flags, slow].map((one) => one.stop()),
        ]);
      },
      async stop() {
        await Promise.all([audit.stop(), target.stop()]);
      },
      [Symbol.asyncDispose]: async () => await stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
