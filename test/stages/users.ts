/** A steady stream of requests by many users, each known by a header, and what each of them met. */
import { Agent, request } from "node:http";

export interface Met {
  readonly user: string;
  readonly status: number;
  /** 0 when there was no answer of the app. */
  readonly release: number;
  readonly stage: string;
  readonly own: string;
  readonly ms: number;
}

export interface Users extends AsyncDisposable {
  /** What was met since the last take. */
  take(): readonly Met[];
}

export const userNames: readonly string[] = Array.from({ length: 200 }, (_, i) => `user-${i}`);
const inflightMax = 200;

/** `perSecond` requests, one user after another; `staff` is one in ten. */
export function startUsers(port: number, app: string, perSecond: number): Users {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  let met: Met[] = [];
  let inflight = 0;
  let serial = 0;
  const startedAt = performance.now();
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1_000);
    for (; serial < due; serial++) {
      if (inflight >= inflightMax) continue;
      const user = serial % 10 === 0 ? "staff" : (userNames[(serial * 7) % userNames.length] ?? "");
      inflight++;
      void ask(agent, port, app, user).then((one) => {
        inflight--;
        met.push(one);
      });
    }
  }, 5);
  return {
    take() {
      const taken = met;
      met = [];
      return taken;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      const until = performance.now() + 10_000;
      while (inflight > 0 && performance.now() < until) await Bun.sleep(10);
      agent.destroy();
    },
  };
}

function ask(agent: Agent, port: number, app: string, user: string): Promise<Met> {
  const startedAt = performance.now();
  const toMet = (status: number, text: string): Met => {
    let facts: Record<string, string> = {};
    try {
      facts = JSON.parse(text) as Record<string, string>;
    } catch {}
    const release = Number((facts.release ?? "v0").slice(1));
    const ms = performance.now() - startedAt;
    return { user, status, release, stage: facts.stage ?? "", own: facts.own ?? "", ms };
  };
  return new Promise((resolve) => {
    const options = {
      ...{ agent, port, host: "127.0.0.1", path: "/" },
      // What a client says of its own stage is never believed.
      headers: { host: `${app}.localhost`, "x-user": user, "x-nines-stage": "beta" },
      timeout: 30_000,
    };
    const asked = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve(toMet(response.statusCode ?? 0, text)));
      response.on("error", () => resolve(toMet(0, "")));
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(toMet(0, "")));
    asked.end();
  });
}
